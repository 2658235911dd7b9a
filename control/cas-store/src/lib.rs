//! What the CAS keeps, on a store that is trusted only to exist.
//!
//! [`SealedStore`] seals every record (AES-256-GCM under a random store key, which is itself sealed
//! by the platform's sealing key), hides record names behind a keyed hash, and binds the set of all
//! records together: a *head* record holds a commit counter, the hash of the previous head and a
//! root over every record's identifier, version and sealed bytes. A record that is edited, swapped,
//! deleted, added or put back to an older version no longer fits the root, which is checked over all
//! records when the store is opened and per record on every read.
//!
//! **Not detected:** the whole store put back to an older state while the CAS is not running. That
//! takes an anchor outside the store; this version has none and says so ([`Status::anchor`]).
//!
//! This crate knows nothing of sessions. [`Backend`]s hold sealed bytes only.

#![forbid(unsafe_code)]

mod backend;
mod embedded;
mod seal;
mod sealed;

pub use backend::{Backend, Batch, RecordId};
pub use embedded::Embedded;
pub use seal::SealingKey;
pub use sealed::{MAX_KEY, MAX_VALUE, SealedStore};

use zeroize::Zeroizing;

/// Version of the store format; a newer one is refused.
pub const FORMAT_VERSION: u16 = 1;

/// A record as read.
#[derive(Clone)]
pub struct Stored {
    /// How often the record was written; at least 1.
    pub version: u64,
    /// The plain value.
    pub value: Zeroizing<Vec<u8>>,
}

/// One write of a commit.
#[derive(Clone)]
pub struct Write {
    /// Name of the record, at most [`MAX_KEY`] bytes.
    pub key: String,
    /// Version that the record must have now; 0 when it must not exist.
    pub expected: u64,
    /// The new plain value, at most [`MAX_VALUE`] bytes.
    pub value: Zeroizing<Vec<u8>>,
}

/// What a store says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Store format version.
    pub format: u16,
    /// Commits so far.
    pub commits: u64,
    /// Number of records.
    pub records: usize,
    /// What keeps the host from presenting an older copy of the whole store.
    pub anchor: Anchor,
}

/// What keeps the host from presenting an older copy of the whole store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Nothing: freshness that the CAS gives to others is worth no more than its host.
    None,
}

impl core::fmt::Display for Anchor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::None => f.write_str("none"),
        }
    }
}

/// A transactional map from names to values.
///
/// Nothing is ever deleted: the CAS keeps what it decided.
pub trait Store: Send + Sync {
    /// Reads the record `key`.
    ///
    /// # Errors
    /// [`StoreFault::Tampered`] when what the backend returns is not what was committed; backend
    /// faults.
    fn get(&self, key: &str) -> Result<Option<Stored>, StoreFault>;

    /// Names of all records that start with `prefix`, in ascending order.
    ///
    /// # Errors
    /// [`StoreFault::Poisoned`] after an earlier failure.
    fn keys(&self, prefix: &str) -> Result<Vec<String>, StoreFault>;

    /// Applies all of `writes` durably, or none.
    ///
    /// # Errors
    /// [`StoreFault::Conflict`] when a record's version is not the expected one; limits; backend
    /// faults.
    fn commit(&self, writes: &[Write]) -> Result<(), StoreFault>;

    /// What the store says about itself.
    ///
    /// # Errors
    /// [`StoreFault::Poisoned`] after an earlier failure.
    fn status(&self) -> Result<Status, StoreFault>;
}

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    /// Somebody else changed the record first.
    #[error("record `{key}` has version {found}, not {expected}")]
    Conflict {
        /// Name of the record.
        key: String,
        /// The version that the writer had seen; 0 for none.
        expected: u64,
        /// The version that is there; 0 for none.
        found: u64,
    },
    /// The store holds something that this CAS did not write there, or lacks what it did write.
    #[error(
        "the store was changed by somebody else: {what}; restore the store from a copy made while \
         the CAS was stopped, and find out who can write to its directory"
    )]
    Tampered {
        /// What does not fit.
        what: String,
    },
    /// The sealing key does not open the store.
    #[error(
        "the store's key cannot be unsealed: it was sealed for another CAS measurement or another \
         platform, or its header was changed"
    )]
    NotSealedForUs,
    /// A newer Bannock wrote the store.
    #[error(
        "the store has format version {found}; this CAS reads up to {FORMAT_VERSION}: use the newer CAS"
    )]
    NewerFormat {
        /// Version found.
        found: u16,
    },
    /// A name or value is over the limit.
    #[error("{what} of {length} bytes is over the store's limit of {limit}")]
    Oversize {
        /// What is too long.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The backend failed.
    #[error("cannot {action} the store's database")]
    Backend {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The backend panicked on what it found on disk.
    #[error("the store's database is damaged: its reader gave up while trying to {action} it")]
    Damaged {
        /// What was tried.
        action: &'static str,
    },
    /// A file operation failed.
    #[error("cannot {action} `{path}`")]
    File {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The operating system gave no random bytes.
    #[error("cannot seal a record")]
    Entropy(#[from] bannock_crypto::random::EntropyFault),
    /// An earlier failure left it unknown what is on disk.
    #[error("the store failed before and refuses further work: restart the CAS")]
    Poisoned,
}
