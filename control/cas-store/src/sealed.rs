//! The sealed, chained store on top of a backend.

use crate::{
    Anchor, Backend, Batch, FORMAT_VERSION, RecordId, SealingKey, Status, Store, StoreFault,
    Stored, Write,
    seal::{self, STORE_ID, StoreKeys},
};
use bannock_crypto::{
    digest::{Sha256, sha256},
    secret::Secret,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard},
};
use zeroize::Zeroizing;

/// Longest record name in bytes.
pub const MAX_KEY: usize = 1024;

/// Longest record value in bytes (16 MiB).
pub const MAX_VALUE: usize = 16 << 20;

const HEADER: &str = "header";
const HEAD: &str = "head";

/// A [`Store`] that trusts its backend only to exist.
pub struct SealedStore<B> {
    inner: Mutex<Inner<B>>,
}

struct Inner<B> {
    backend: B,
    store_id: [u8; STORE_ID],
    keys: StoreKeys,
    head: Head,
    index: BTreeMap<RecordId, Entry>,
    /// Names in order, for [`Store::keys`].
    names: BTreeMap<String, RecordId>,
    /// A commit failed half-way: what is on disk is unknown.
    poisoned: bool,
}

/// What must be found under a record identifier.
#[derive(Clone, Copy)]
struct Entry {
    version: u64,
    /// SHA-256 of the sealed bytes.
    digest: [u8; 32],
}

/// The record that binds all others.
#[derive(Clone, Copy)]
struct Head {
    /// Commits so far.
    counter: u64,
    /// Hash of the previous head.
    previous: [u8; 32],
    /// [`root`] over all records.
    root: [u8; 32],
}

impl Head {
    const LENGTH: usize = 8 + 32 + 32;

    fn encode(&self) -> [u8; Self::LENGTH] {
        let mut out = [0; Self::LENGTH];
        out[..8].copy_from_slice(&self.counter.to_le_bytes());
        out[8..40].copy_from_slice(&self.previous);
        out[40..].copy_from_slice(&self.root);
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (counter, rest) = bytes.split_first_chunk::<8>()?;
        let (previous, rest) = rest.split_first_chunk::<32>()?;
        Some(Self {
            counter: u64::from_le_bytes(*counter),
            previous: *previous,
            root: rest.try_into().ok()?,
        })
    }

    fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"bannock cas-store v1 head\0");
        hash.update(&self.encode());
        hash.finish()
    }
}

impl<B: Backend> SealedStore<B> {
    /// Opens the store on `backend`, or creates it when the backend is empty, and checks every
    /// record.
    ///
    /// # Errors
    /// [`StoreFault::NotSealedForUs`], [`StoreFault::NewerFormat`], [`StoreFault::Tampered`], or
    /// what the backend reports.
    pub fn open(backend: B, sealing: &SealingKey) -> Result<Self, StoreFault> {
        let inner = match backend.meta(HEADER)? {
            Some(header) => Inner::load(backend, sealing, &header)?,
            None => Inner::create(backend, sealing)?,
        };
        Ok(Self {
            inner: Mutex::new(inner),
        })
    }

    fn lock(&self) -> Result<MutexGuard<'_, Inner<B>>, StoreFault> {
        match self.inner.lock() {
            Ok(inner) if !inner.poisoned => Ok(inner),
            _ => Err(StoreFault::Poisoned),
        }
    }
}

impl<B: Backend> Inner<B> {
    fn create(backend: B, sealing: &SealingKey) -> Result<Self, StoreFault> {
        if backend.meta(HEAD)?.is_some() || !backend.scan()?.is_empty() {
            return Err(tampered("there are records, but the header is missing"));
        }
        let mut store_id = [0; STORE_ID];
        seal::system_random(&mut store_id)?;
        let store_key = Secret::generate(&seal::system_random)?;

        let sealed_key = sealing.wrapping_key()?.seal(
            &header_context(FORMAT_VERSION, &store_id),
            store_key.expose(),
        )?;
        let mut header = FORMAT_VERSION.to_le_bytes().to_vec();
        header.extend_from_slice(&store_id);
        header.extend_from_slice(&sealed_key);

        let inner = Self {
            backend,
            store_id,
            keys: StoreKeys::derive(&store_key)?,
            head: Head {
                counter: 0,
                previous: [0; 32],
                root: root(&BTreeMap::new()),
            },
            index: BTreeMap::new(),
            names: BTreeMap::new(),
            poisoned: false,
        };
        let head = inner.seal_head(&inner.head)?;
        inner.backend.apply(Batch {
            meta: vec![(HEADER, header), (HEAD, head)],
            records: Vec::new(),
        })?;
        Ok(inner)
    }

    fn load(backend: B, sealing: &SealingKey, header: &[u8]) -> Result<Self, StoreFault> {
        let short = || tampered("the header is too short");
        let (format, rest) = header.split_first_chunk::<2>().ok_or_else(short)?;
        let format = u16::from_le_bytes(*format);
        if format > FORMAT_VERSION {
            return Err(StoreFault::NewerFormat { found: format });
        }
        let (store_id, sealed_key) = rest.split_first_chunk::<STORE_ID>().ok_or_else(short)?;
        let store_key = sealing
            .wrapping_key()?
            .open(&header_context(format, store_id), sealed_key)
            .ok_or(StoreFault::NotSealedForUs)?;
        let store_key =
            Secret::try_from(store_key.as_slice()).map_err(|_| StoreFault::NotSealedForUs)?;
        let keys = StoreKeys::derive(&store_key)?;

        let sealed_head = backend
            .meta(HEAD)?
            .ok_or_else(|| tampered("the head record is missing"))?;
        let head = keys
            .head
            .open(&head_context(store_id), &sealed_head)
            .and_then(|plain| Head::decode(&plain))
            .ok_or_else(|| tampered("the head record is not one of this store"))?;

        let mut index = BTreeMap::new();
        let mut names = BTreeMap::new();
        for (id, sealed) in backend.scan()? {
            let (version, name, _) = open_record(&keys, store_id, &id, &sealed)?;
            index.insert(
                id,
                Entry {
                    version,
                    digest: sha256(&sealed),
                },
            );
            names.insert(name, id);
        }
        // Each record is genuine by itself; the root says whether these are the current ones.
        if root(&index) != head.root {
            return Err(tampered(
                "its records are genuine, but not those of the last commit: some were removed or \
                 put back to an older version",
            ));
        }
        Ok(Self {
            backend,
            store_id: *store_id,
            keys,
            head,
            index,
            names,
            poisoned: false,
        })
    }

    fn seal_head(&self, head: &Head) -> Result<Vec<u8>, StoreFault> {
        self.keys
            .head
            .seal(&head_context(&self.store_id), &head.encode())
    }

    fn get(&self, key: &str) -> Result<Option<Stored>, StoreFault> {
        let id = self.keys.record_id(key);
        let found = self.backend.read(&id)?;
        match (self.index.get(&id), found) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(tampered("a record appeared that was never written")),
            (Some(_), None) => Err(tampered(&format!("the record `{key}` disappeared"))),
            (Some(entry), Some(sealed)) => {
                let digest = sha256(&sealed);
                if digest != entry.digest {
                    return Err(tampered(&format!("the record `{key}` was replaced")));
                }
                let (version, _, value) = open_record(&self.keys, &self.store_id, &id, &sealed)?;
                Ok(Some(Stored { version, value }))
            }
        }
    }

    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreFault> {
        let mut index = self.index.clone();
        let mut names = Vec::new();
        let mut batch = Batch::default();
        let mut seen = BTreeSet::new();
        for write in writes {
            check_limit("a record's name", write.key.len(), MAX_KEY)?;
            check_limit("a record", write.value.len(), MAX_VALUE)?;
            let id = self.keys.record_id(&write.key);
            let found = self.index.get(&id).map_or(0, |entry| entry.version);
            // Writing one record twice in one commit would make the order matter.
            if found != write.expected || !seen.insert(id) {
                return Err(StoreFault::Conflict {
                    key: write.key.clone(),
                    expected: write.expected,
                    found,
                });
            }
            let version = found.saturating_add(1);
            let sealed = seal_record(&self.keys, &self.store_id, &id, version, write)?;
            index.insert(
                id,
                Entry {
                    version,
                    digest: sha256(&sealed),
                },
            );
            names.push((write.key.clone(), id));
            batch.records.push((id, sealed));
        }
        let head = Head {
            counter: self.head.counter.saturating_add(1),
            previous: self.head.hash(),
            root: root(&index),
        };
        batch.meta.push((HEAD, self.seal_head(&head)?));
        if let Err(fault) = self.backend.apply(batch) {
            self.poisoned = true;
            return Err(fault);
        }
        self.index = index;
        self.head = head;
        self.names.extend(names);
        Ok(())
    }
}

impl<B: Backend> Store for SealedStore<B> {
    fn get(&self, key: &str) -> Result<Option<Stored>, StoreFault> {
        self.lock()?.get(key)
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>, StoreFault> {
        let inner = self.lock()?;
        Ok(inner
            .names
            .range(prefix.to_owned()..)
            .map(|(name, _)| name)
            .take_while(|name| name.starts_with(prefix))
            .cloned()
            .collect())
    }

    fn commit(&self, writes: &[Write]) -> Result<(), StoreFault> {
        self.lock()?.commit(writes)
    }

    fn status(&self) -> Result<Status, StoreFault> {
        let inner = self.lock()?;
        Ok(Status {
            format: FORMAT_VERSION,
            commits: inner.head.counter,
            records: inner.index.len(),
            anchor: Anchor::None,
        })
    }
}

/// SHA-256 over identifier, version and sealed bytes' digest of every record, in identifier order.
///
/// It is computed anew on each commit: 72 hashed bytes per record, a millisecond for some ten
/// thousand sessions. A tree would make sense from a hundred times that.
fn root(index: &BTreeMap<RecordId, Entry>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"bannock cas-store v1 root\0");
    for (id, entry) in index {
        hash.update(id);
        hash.update(&entry.version.to_le_bytes());
        hash.update(&entry.digest);
    }
    hash.finish()
}

/// version ‖ sealed(name length ‖ name ‖ value).
fn seal_record(
    keys: &StoreKeys,
    store_id: &[u8; STORE_ID],
    id: &RecordId,
    version: u64,
    write: &Write,
) -> Result<Vec<u8>, StoreFault> {
    let name_length = u32::try_from(write.key.len()).map_err(|_| StoreFault::Oversize {
        what: "a record's name",
        length: write.key.len(),
        limit: MAX_KEY,
    })?;
    let mut plain = Zeroizing::new(Vec::with_capacity(4 + write.key.len() + write.value.len()));
    plain.extend_from_slice(&name_length.to_le_bytes());
    plain.extend_from_slice(write.key.as_bytes());
    plain.extend_from_slice(&write.value);
    let mut out = version.to_le_bytes().to_vec();
    out.extend(
        keys.records
            .seal(&record_context(store_id, id, version), &plain)?,
    );
    Ok(out)
}

fn open_record(
    keys: &StoreKeys,
    store_id: &[u8; STORE_ID],
    id: &RecordId,
    sealed: &[u8],
) -> Result<(u64, String, Zeroizing<Vec<u8>>), StoreFault> {
    let foreign = || tampered("a record was edited or moved to another name");
    let (version, body) = sealed.split_first_chunk::<8>().ok_or_else(foreign)?;
    let version = u64::from_le_bytes(*version);
    let plain = keys
        .records
        .open(&record_context(store_id, id, version), body)
        .ok_or_else(foreign)?;
    let (length, rest) = plain.split_first_chunk::<4>().ok_or_else(foreign)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| foreign())?;
    let (name, value) = rest.split_at_checked(length).ok_or_else(foreign)?;
    let name = std::str::from_utf8(name).map_err(|_| foreign())?;
    Ok((version, name.to_owned(), Zeroizing::new(value.to_vec())))
}

fn header_context(format: u16, store_id: &[u8; STORE_ID]) -> Vec<u8> {
    let mut context = b"bannock cas-store header\0".to_vec();
    context.extend_from_slice(&format.to_le_bytes());
    context.extend_from_slice(store_id);
    context
}

fn head_context(store_id: &[u8; STORE_ID]) -> Vec<u8> {
    let mut context = b"bannock cas-store head\0".to_vec();
    context.extend_from_slice(store_id);
    context
}

fn record_context(store_id: &[u8; STORE_ID], id: &RecordId, version: u64) -> Vec<u8> {
    let mut context = b"bannock cas-store record\0".to_vec();
    context.extend_from_slice(store_id);
    context.extend_from_slice(id);
    context.extend_from_slice(&version.to_le_bytes());
    context
}

fn check_limit(what: &'static str, length: usize, limit: usize) -> Result<(), StoreFault> {
    if length > limit {
        return Err(StoreFault::Oversize {
            what,
            length,
            limit,
        });
    }
    Ok(())
}

fn tampered(what: &str) -> StoreFault {
    StoreFault::Tampered {
        what: what.to_owned(),
    }
}
