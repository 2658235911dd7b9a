//! Intel SGX: DCAP quotes, version 3, ECDSA P-256.

mod classify;
mod pck_chain;
mod quote;
mod report;
mod verify;

pub use pck_chain::{PckChain, PckChainFault, RootCertificate};
pub use quote::{
    CERTIFICATION_DATA_PCK_CHAIN, Header, INTEL_QE_VENDOR_ID, MAX_QUOTE_LEN, Quote, QuoteFault,
    REPORT_OFFSET,
};
pub use report::{Attributes, REPORT_BODY_LEN, ReportBody};

pub(crate) use verify::verify;

/// DER of Intel's SGX provisioning certification root CA, valid until the end of 2049.
///
/// Published at `https://certificates.trustedservices.intel.com/IntelSGXRootCA.der`.
pub const INTEL_ROOT_CA_DER: &[u8] = include_bytes!("intel-sgx-root-ca.der");
