//! Records as they are stored.

use bannock_policy::{SecretValues, Session};
use minicbor::{Decode, Encode};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Version of all records here; a newer one is refused.
const FORMAT: u8 = 1;

/// Name of the record of the session `name`.
#[must_use]
pub fn session_key(name: &str) -> String {
    format!("session/{name}")
}

/// A record is not what this CAS writes, although it was sealed by this CAS.
#[derive(Debug, thiserror::Error)]
pub enum BadRecord {
    /// A newer CAS wrote it.
    #[error("record `{key}` has format {found}; this CAS reads up to {FORMAT}: use the newer CAS")]
    Newer {
        /// Name of the record.
        key: String,
        /// The format found.
        found: u8,
    },
    /// It cannot be decoded.
    #[error("record `{key}` cannot be decoded")]
    Malformed {
        /// Name of the record.
        key: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A session as stored, decoded.
pub(crate) struct StoredSession {
    pub(crate) creator: [u8; 32],
    pub(crate) stored_at: u64,
    pub(crate) session: Session,
    pub(crate) text: Zeroizing<String>,
    pub(crate) secrets: SecretValues,
}

#[derive(Encode, Decode, Zeroize, ZeroizeOnDrop)]
#[cbor(map)]
struct SessionRecord {
    #[n(0)]
    format: u8,
    #[cbor(n(1), with = "minicbor::bytes")]
    creator: [u8; 32],
    #[n(2)]
    stored_at: u64,
    #[cbor(n(3), with = "minicbor::bytes")]
    session: Vec<u8>,
    #[n(4)]
    text: String,
    #[cbor(n(5), with = "minicbor::bytes")]
    secrets: Vec<u8>,
}

impl StoredSession {
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(bannock_wire::encode(&SessionRecord {
            format: FORMAT,
            creator: self.creator,
            stored_at: self.stored_at,
            session: self.session.to_cbor().to_vec(),
            text: self.text.to_string(),
            secrets: self.secrets.to_cbor().to_vec(),
        }))
    }

    pub(crate) fn decode(key: &str, bytes: &[u8]) -> Result<Self, BadRecord> {
        let record: SessionRecord = decode(key, bytes)?;
        check_format(key, record.format)?;
        Ok(Self {
            creator: record.creator,
            stored_at: record.stored_at,
            session: Session::from_cbor(&record.session)
                .map_err(|source| malformed(key, source))?,
            text: Zeroizing::new(record.text.clone()),
            secrets: SecretValues::from_cbor(&record.secrets)
                .map_err(|source| malformed(key, source))?,
        })
    }
}

/// Who created the session in the record `bytes` named `key`.
///
/// # Errors
/// [`BadRecord`] when it is none.
pub fn creator_of(key: &str, bytes: &[u8]) -> Result<[u8; 32], BadRecord> {
    let record: SessionRecord = decode(key, bytes)?;
    check_format(key, record.format)?;
    Ok(record.creator)
}

/// What was seen of one trust domain: floors below which nothing is accepted any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Floor {
    /// Newest authenticated time, in seconds since the Unix epoch.
    #[n(0)]
    pub(crate) time: u64,
    /// Highest TCB evaluation data number.
    #[n(1)]
    pub(crate) evaluation: u32,
}

impl Floor {
    /// Both floors, each the higher one.
    pub(crate) fn raise(self, other: Self) -> Self {
        Self {
            time: self.time.max(other.time),
            evaluation: self.evaluation.max(other.evaluation),
        }
    }

    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(bannock_wire::encode(self))
    }

    pub(crate) fn decode(key: &str, bytes: &[u8]) -> Result<Self, BadRecord> {
        decode(key, bytes)
    }
}

fn check_format(key: &str, found: u8) -> Result<(), BadRecord> {
    if found > FORMAT {
        return Err(BadRecord::Newer {
            key: key.to_owned(),
            found,
        });
    }
    Ok(())
}

fn decode<T>(key: &str, bytes: &[u8]) -> Result<T, BadRecord>
where
    T: for<'b> Decode<'b, ()> + Encode<()>,
{
    bannock_wire::decode("store record", bytes).map_err(|source| malformed(key, source))
}

fn malformed(key: &str, source: impl std::error::Error + Send + Sync + 'static) -> BadRecord {
    BadRecord::Malformed {
        key: key.to_owned(),
        source: Box::new(source),
    }
}
