//! Local attestation service.
