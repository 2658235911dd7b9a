//! The embedded backend: one `redb` file in a directory of mode 0700.

use crate::{Backend, Batch, RecordId, StoreFault};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, backends::FileBackend};
use std::{
    fs,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const RECORDS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("records");

/// File name of the database in the store's directory.
const FILE: &str = "cas.redb";

/// A `redb` database.
pub struct Embedded {
    database: Database,
}

impl Embedded {
    /// Opens the database in `directory`; creates both when they do not exist.
    ///
    /// The database is locked: a second CAS on the same directory is refused.
    ///
    /// # Errors
    /// When the directory or file cannot be created, opened or locked, or is damaged.
    pub fn open(directory: &Path) -> Result<Self, StoreFault> {
        let file_fault = |action, path: &Path| {
            let path = path.display().to_string();
            move |source| StoreFault::File {
                action,
                path,
                source,
            }
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(file_fault("create the directory", directory))?;
        let path = directory.join(FILE);
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(file_fault("open", &path))?;
        let database = contain("open", || {
            let database = redb::Builder::new().create_with_backend(FileBackend::new(file)?)?;
            // Reading a table that was never written is an error in redb: make both exist.
            let transaction = database.begin_write()?;
            transaction.open_table(META)?;
            transaction.open_table(RECORDS)?;
            transaction.commit()?;
            Ok(database)
        })?;
        Ok(Self { database })
    }
}

impl Backend for Embedded {
    fn meta(&self, name: &'static str) -> Result<Option<Vec<u8>>, StoreFault> {
        contain("read", || {
            let table = self.database.begin_read()?.open_table(META)?;
            Ok(table.get(name)?.map(|value| value.value().to_vec()))
        })
    }

    fn read(&self, id: &RecordId) -> Result<Option<Vec<u8>>, StoreFault> {
        contain("read", || {
            let table = self.database.begin_read()?.open_table(RECORDS)?;
            Ok(table
                .get(id.as_slice())?
                .map(|value| value.value().to_vec()))
        })
    }

    fn scan(&self) -> Result<Vec<(RecordId, Vec<u8>)>, StoreFault> {
        let raw = contain("read", || {
            let table = self.database.begin_read()?.open_table(RECORDS)?;
            let mut records = Vec::new();
            for entry in table.iter()? {
                let (id, value) = entry?;
                records.push((id.value().to_vec(), value.value().to_vec()));
            }
            Ok(records)
        })?;
        raw.into_iter()
            .map(|(id, value)| match RecordId::try_from(id) {
                Ok(id) => Ok((id, value)),
                Err(id) => Err(StoreFault::Tampered {
                    what: format!("a record identifier has {} bytes, not 32", id.len()),
                }),
            })
            .collect()
    }

    fn apply(&self, batch: Batch) -> Result<(), StoreFault> {
        contain("write", || {
            let transaction = self.database.begin_write()?;
            {
                let mut meta = transaction.open_table(META)?;
                for (name, value) in &batch.meta {
                    meta.insert(*name, value.as_slice())?;
                }
                let mut records = transaction.open_table(RECORDS)?;
                for (id, value) in &batch.records {
                    records.insert(id.as_slice(), value.as_slice())?;
                }
            }
            // redb's default durability: the commit is on disk when this returns.
            transaction.commit()?;
            Ok(())
        })
    }
}

/// Runs one database operation. The file belongs to the host, and `redb` asserts on some damage:
/// such a panic is an answer ("damaged"), not the end of the CAS.
fn contain<T>(
    action: &'static str,
    operation: impl FnOnce() -> Result<T, redb::Error>,
) -> Result<T, StoreFault> {
    match catch_unwind(AssertUnwindSafe(operation)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(StoreFault::Backend {
            action,
            source: Box::new(source),
        }),
        Err(_) => Err(StoreFault::Damaged { action }),
    }
}
