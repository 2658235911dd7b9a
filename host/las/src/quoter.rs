//! Where quotes come from.

use bannock_simulated_platform::{Platform, PlatformFault, ReportRequest};
use bannock_wire::channel::SealingKey;
use std::error::Error;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// What a quote is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuoteRequest {
    /// MRENCLAVE: SHA-256 of the image.
    pub measurement: [u8; 32],
    /// CONFIGID: the launch identity.
    pub config_id: [u8; 64],
    /// CONFIGSVN: the isolation.
    pub config_svn: u16,
    /// REPORTDATA.
    pub report_data: [u8; 64],
}

/// Why there is no quote or key.
#[derive(Debug, thiserror::Error)]
#[error("the platform did not {what}")]
pub struct QuoteFault {
    what: &'static str,
    source: Box<dyn Error + Send + Sync>,
}

/// A quote with the collateral that verifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// The quote's bytes.
    pub quote: Vec<u8>,
    /// The collateral as JSON.
    pub collateral: Vec<u8>,
}

/// A platform that quotes for the LAS.
pub trait Quoter: Send + Sync {
    /// A quote over `request`, as SGX DCAP quote version 3.
    ///
    /// # Errors
    /// [`QuoteFault`] when the platform fails.
    fn quote(&self, request: &QuoteRequest) -> Result<Quoted, QuoteFault>;

    /// The sealing key of a CAS with `measurement`.
    ///
    /// # Errors
    /// [`QuoteFault`] when the platform fails.
    fn sealing_key(&self, measurement: &[u8; 32]) -> Result<SealingKey, QuoteFault>;

    /// SHA-256 of the platform's root certificate.
    fn root(&self) -> [u8; 32];

    /// Whether the platform is a simulation.
    fn is_simulated(&self) -> bool;
}

/// The simulated platform as a [`Quoter`].
pub struct Simulated {
    platform: Mutex<Platform>,
    root: [u8; 32],
}

/// Purpose of sealing keys that go to a CAS.
const CAS_LABEL: &[u8] = b"bannock cas sealing key v1";

impl Simulated {
    /// Opens the platform in `dir`.
    ///
    /// # Errors
    /// [`PlatformFault`] when there is none, or none that can be used.
    pub fn open(dir: &Path) -> Result<Self, PlatformFault> {
        let platform = Platform::open(dir)?;
        Ok(Self {
            root: platform.root_sha256(),
            platform: Mutex::new(platform),
        })
    }

    /// The platform with what its owner has set since.
    fn current(&self) -> Result<MutexGuard<'_, Platform>, PlatformFault> {
        let mut platform = self.platform.lock().unwrap_or_else(PoisonError::into_inner);
        platform.refresh()?;
        Ok(platform)
    }
}

fn fault<E: Into<Box<dyn Error + Send + Sync>>>(what: &'static str) -> impl Fn(E) -> QuoteFault {
    move |source| QuoteFault {
        what,
        source: source.into(),
    }
}

impl Quoter for Simulated {
    fn quote(&self, request: &QuoteRequest) -> Result<Quoted, QuoteFault> {
        let platform = self.current().map_err(fault("refresh its collateral"))?;
        let collateral = platform
            .collateral()
            .to_json()
            .map_err(fault("supply its collateral"))?;
        let quote = platform.quote(&ReportRequest {
            measurement: request.measurement,
            signer: [0; 32],
            isv_prod_id: 0,
            isv_svn: 0,
            config_id: request.config_id,
            config_svn: request.config_svn,
            report_data: request.report_data,
            debug: false,
        });
        Ok(Quoted { quote, collateral })
    }

    fn sealing_key(&self, measurement: &[u8; 32]) -> Result<SealingKey, QuoteFault> {
        let derived: Zeroizing<[u8; 32]> = self
            .current()
            .and_then(|platform| platform.sealing_key(measurement, CAS_LABEL))
            .map_err(fault("derive the sealing key"))?;
        Ok(SealingKey(*derived))
    }

    fn root(&self) -> [u8; 32] {
        self.root
    }

    fn is_simulated(&self) -> bool {
        true
    }
}
