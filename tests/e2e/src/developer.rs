//! A developer's own platform, LAS and CAS.
