//! Client of the CAS.
