//! What a place for sealed bytes must offer.

use crate::StoreFault;

/// Keyed hash of a record's name.
pub type RecordId = [u8; 32];

/// One atomic change.
#[derive(Default)]
pub struct Batch {
    /// Named store-wide blobs to set.
    pub meta: Vec<(&'static str, Vec<u8>)>,
    /// Sealed records to set.
    pub records: Vec<(RecordId, Vec<u8>)>,
}

/// A place for sealed bytes. Nothing that it returns is trusted.
pub trait Backend: Send {
    /// The store-wide blob `name`.
    ///
    /// # Errors
    /// When the backend cannot be read.
    fn meta(&self, name: &'static str) -> Result<Option<Vec<u8>>, StoreFault>;

    /// The sealed record `id`.
    ///
    /// # Errors
    /// When the backend cannot be read.
    fn read(&self, id: &RecordId) -> Result<Option<Vec<u8>>, StoreFault>;

    /// Every sealed record.
    ///
    /// # Errors
    /// When the backend cannot be read.
    fn scan(&self) -> Result<Vec<(RecordId, Vec<u8>)>, StoreFault>;

    /// Applies `batch` atomically and durably.
    ///
    /// # Errors
    /// When it may not have been applied.
    fn apply(&self, batch: Batch) -> Result<(), StoreFault>;
}
