//! A CAS's store on a backend that an input describes.

use std::sync::{Arc, Mutex, PoisonError};

use bannock_cas_store::{Backend, Batch, RecordId, SealingKey, StoreFault};
use bannock_crypto::secret::Secret;

use crate::pieces;

/// The records that the seed's store holds: name, times written, and value.
pub const RECORDS: [(&str, u64, &[u8]); 2] = [
    ("session/alice", 1, b"alice's session"),
    ("session/bob", 2, b"bob's second session"),
];

/// The key that seals the seed's store.
pub fn sealing_key() -> SealingKey {
    SealingKey::new(Secret::new([7; 32]))
}

/// Bytes as the host gives them, which may contradict themselves.
#[derive(Clone, Default)]
pub struct Host(Arc<Mutex<Contents>>);

#[derive(Default)]
struct Contents {
    meta: Vec<(Vec<u8>, Vec<u8>)>,
    records: Vec<(RecordId, Vec<u8>)>,
}

impl Host {
    /// Takes an input apart: names and bytes in turn, where a name of 32 bytes is that of a record.
    pub fn from_input(input: &[u8]) -> Self {
        let mut contents = Contents::default();
        for pair in pieces::split(input).chunks_exact(2) {
            let [name, value] = pair else { continue };
            match RecordId::try_from(*name) {
                Ok(id) => contents.records.push((id, value.to_vec())),
                Err(_) => contents.meta.push((name.to_vec(), value.to_vec())),
            }
        }
        Self(Arc::new(Mutex::new(contents)))
    }

    /// The input that describes this backend.
    pub fn to_input(&self) -> Vec<u8> {
        let contents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let meta = contents
            .meta
            .iter()
            .flat_map(|(name, value)| [&name[..], value]);
        let records = contents
            .records
            .iter()
            .flat_map(|(id, value)| [&id[..], value]);
        pieces::join(meta.chain(records))
    }

    /// Whether there is nothing at all.
    pub fn is_empty(&self) -> bool {
        let contents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |name: &[u8]| name == b"header" || name == b"head";
        contents.records.is_empty() && !contents.meta.iter().any(|(name, _)| known(name))
    }
}

impl Backend for Host {
    fn meta(&self, wanted: &'static str) -> Result<Option<Vec<u8>>, StoreFault> {
        let contents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = contents.meta.iter();
        let found = found.find(|(name, _)| name == wanted.as_bytes());
        Ok(found.map(|(_, value)| value.clone()))
    }

    fn read(&self, wanted: &RecordId) -> Result<Option<Vec<u8>>, StoreFault> {
        let contents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The first of several, while whoever scans keeps the last.
        let found = contents.records.iter().find(|(id, _)| id == wanted);
        Ok(found.map(|(_, value)| value.clone()))
    }

    fn scan(&self) -> Result<Vec<(RecordId, Vec<u8>)>, StoreFault> {
        let contents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(contents.records.clone())
    }

    fn apply(&self, batch: Batch) -> Result<(), StoreFault> {
        let mut contents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, value) in batch.meta {
            contents.meta.retain(|(known, _)| known != name.as_bytes());
            contents.meta.push((name.as_bytes().to_vec(), value));
        }
        for (id, value) in batch.records {
            contents.records.retain(|(known, _)| *known != id);
            contents.records.push((id, value));
        }
        Ok(())
    }
}
