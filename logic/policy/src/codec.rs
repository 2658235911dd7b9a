//! A session as text, as deterministic CBOR, and as a hash.

use core::fmt;

use minicbor::{Decode, Encode};
use sha2::{Digest as _, Sha256};

use crate::ast::Session;
use crate::check::{self, Origins};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::lower::{self, Report};
use crate::syntax;
use crate::values::Digest;

/// Domain separation of [`Session::hash`].
pub const HASH_LABEL: &[u8] = b"bannock session v1\0";

/// Version of the CBOR form.
const FORMAT: u8 = 1;

/// The CBOR form with its version in front, so that a newer one is recognized.
#[derive(Encode, Decode)]
struct Stored<T> {
    #[n(0)]
    format: u8,
    #[n(1)]
    session: T,
}

/// Identifies a session: SHA-256 over [`HASH_LABEL`] and its deterministic CBOR.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionHash(pub [u8; 32]);

impl fmt::Display for SessionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Digest(self.0), f)
    }
}

impl fmt::Debug for SessionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<SessionHash> for Digest {
    fn from(hash: SessionHash) -> Self {
        Self(hash.0)
    }
}

/// Why bytes are not a stored session.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Written by a newer version.
    #[error(
        "session has storage format {found}, this version reads up to {FORMAT}; upgrade to read it"
    )]
    Newer {
        /// The format found.
        found: u8,
    },
    /// Not CBOR of the expected shape, or a value that no session has.
    #[error("stored session cannot be decoded; it is damaged or was not written by this software")]
    Malformed(#[source] minicbor::decode::Error),
    /// Decodes, but is not the one encoding of what it means.
    #[error("stored session is not in its deterministic encoding")]
    NotDeterministic,
    /// A value that the session language excludes.
    #[error("stored session breaks a rule of the language: {0}")]
    Value(&'static str),
    /// Values that do not fit together.
    #[error("stored session is inconsistent")]
    Inconsistent(#[source] Diagnostics),
}

impl Session {
    /// Parses and checks a session written in YAML.
    ///
    /// The input is untrusted; it may be any bytes.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the text. Only a text that is not YAML of the
    /// accepted kind ends at its first problem.
    pub fn parse(text: &[u8]) -> Result<Self, Diagnostics> {
        let mut report = Report::default();
        let session = match syntax::parse(text) {
            Err(found) => {
                report.found = found;
                None
            }
            Ok(root) => {
                let lowered = lower::session(&root, &mut report);
                lowered.map(|(session, origins)| {
                    for (path, problem) in check::relations(&session, &origins) {
                        let position = Some(root.locate(&path));
                        report.found.push(Diagnostic {
                            position,
                            path,
                            problem,
                        });
                    }
                    session
                })
            }
        };
        match (Diagnostics::new(report.found), session) {
            (Some(diagnostics), _) => Err(diagnostics),
            (None, Some(session)) => Ok(session),
            // Lowering gives nothing only after a report; fail closed should that ever change.
            (None, None) => Err(Diagnostics::empty_session()),
        }
    }

    /// The deterministic CBOR (RFC 8949, section 4.2.1) of the session.
    ///
    /// It contains secrets that the author wrote into the session. The session's creator is not
    /// part of it.
    #[must_use]
    pub fn to_cbor(&self) -> zeroize::Zeroizing<Vec<u8>> {
        crate::secrets::encode(&Stored {
            format: FORMAT,
            session: self,
        })
    }

    /// Decodes and checks a session. The input is untrusted; it may be any bytes.
    ///
    /// # Errors
    /// [`DecodeError`] unless the bytes are what [`Session::to_cbor`] writes for some checked session.
    pub fn from_cbor(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = minicbor::Decoder::new(bytes);
        decoder.array().map_err(DecodeError::Malformed)?;
        let found = decoder.u8().map_err(DecodeError::Malformed)?;
        if found > FORMAT {
            return Err(DecodeError::Newer { found });
        }
        let stored: Stored<Self> = minicbor::decode(bytes).map_err(DecodeError::Malformed)?;
        let session = stored.session;
        check::values(&session).map_err(DecodeError::Value)?;
        let found = check::relations(&session, &Origins::identity(&session));
        let found = found.into_iter().map(|(path, problem)| Diagnostic {
            position: None,
            path,
            problem,
        });
        if let Some(diagnostics) = Diagnostics::new(found.collect()) {
            return Err(DecodeError::Inconsistent(diagnostics));
        }
        if session.to_cbor().as_slice() != bytes {
            return Err(DecodeError::NotDeterministic);
        }
        Ok(session)
    }

    /// The session's identity, which a `predecessor` refers to.
    ///
    /// It does not change with the layout of the text, the order of keys, comments, the order of
    /// lists whose order means nothing, or the creator.
    #[must_use]
    pub fn hash(&self) -> SessionHash {
        let mut hash = Sha256::new();
        hash.update(HASH_LABEL);
        hash.update(self.to_cbor().as_slice());
        SessionHash(hash.finalize().into())
    }
}
