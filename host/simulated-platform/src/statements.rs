//! TCB info (version 3) and QE identity (version 2), the JSON texts that a PCS signs.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    fault::PlatformFault,
    options::{Options, TcbState},
    pki::{self, CPU_SVN, FMSPC, PCE_SVN},
};

/// ISVPRODID of the simulated quoting enclave, the number of Intel's.
pub(crate) const QE_PROD_ID: u16 = 1;
/// ISVSVN of the simulated quoting enclave.
pub(crate) const QE_SVN: u16 = 8;
/// Date of the TCB levels: that of the first commit of this crate, as nothing was recovered since.
const TCB_DATE: &str = "2026-11-24T00:00:00Z";

/// MRSIGNER of the simulated quoting enclave.
pub(crate) fn qe_signer() -> [u8; 32] {
    Sha256::digest(b"Bannock simulated quoting enclave, signer").into()
}

/// MRENCLAVE of the simulated quoting enclave.
pub(crate) fn qe_measurement() -> [u8; 32] {
    Sha256::digest(b"Bannock simulated quoting enclave").into()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TcbInfo {
    id: &'static str,
    version: u8,
    issue_date: String,
    next_update: String,
    fmspc: String,
    pce_id: &'static str,
    tcb_type: u8,
    tcb_evaluation_data_number: u32,
    tcb_levels: Vec<Level<Svns>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Level<T> {
    tcb: T,
    tcb_date: &'static str,
    tcb_status: &'static str,
    #[serde(rename = "advisoryIDs", skip_serializing_if = "Vec::is_empty")]
    advisory_ids: Vec<String>,
}

#[derive(Serialize)]
struct Svns {
    sgxtcbcomponents: Vec<Svn>,
    pcesvn: u16,
}

#[derive(Serialize)]
struct Svn {
    svn: u8,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QeIdentity {
    id: &'static str,
    version: u8,
    issue_date: String,
    next_update: String,
    tcb_evaluation_data_number: u32,
    miscselect: &'static str,
    miscselect_mask: &'static str,
    attributes: &'static str,
    attributes_mask: &'static str,
    mrsigner: String,
    isvprodid: u16,
    tcb_levels: Vec<Level<QeSvn>>,
}

#[derive(Serialize)]
struct QeSvn {
    isvsvn: u16,
}

/// The text of the TCB info. The platform's own level has the status of `options`; a platform
/// that misses updates sees a level above its own that has them.
pub(crate) fn tcb_info(options: &Options) -> Result<String, PlatformFault> {
    let own = Level {
        tcb: svns(CPU_SVN, PCE_SVN),
        tcb_date: TCB_DATE,
        tcb_status: options.tcb.as_str(),
        advisory_ids: options.advisories.clone(),
    };
    let mut tcb_levels = Vec::with_capacity(2);
    if options.tcb != TcbState::UpToDate {
        // Above the platform in a single component, so that it is no level of the platform.
        let mut updated = CPU_SVN;
        if let Some(svn) = updated.first_mut() {
            *svn += 1;
        }
        tcb_levels.push(Level {
            tcb: svns(updated, PCE_SVN),
            tcb_date: TCB_DATE,
            tcb_status: TcbState::UpToDate.as_str(),
            advisory_ids: Vec::new(),
        });
    }
    tcb_levels.push(own);
    to_json(&TcbInfo {
        id: "SGX",
        version: 3,
        issue_date: pki::iso_date(options.issued)?,
        next_update: pki::iso_date(options.next_update)?,
        fmspc: hex::encode_upper(FMSPC),
        pce_id: "0000",
        tcb_type: 0,
        tcb_evaluation_data_number: options.tcb_evaluation_data_number,
        tcb_levels,
    })
}

/// The text of the QE identity.
pub(crate) fn qe_identity(options: &Options) -> Result<String, PlatformFault> {
    to_json(&QeIdentity {
        id: "QE",
        version: 2,
        issue_date: pki::iso_date(options.issued)?,
        next_update: pki::iso_date(options.next_update)?,
        tcb_evaluation_data_number: options.tcb_evaluation_data_number,
        miscselect: "00000000",
        miscselect_mask: "FFFFFFFF",
        // INIT and PROVISIONKEY; the mask leaves MODE64BIT open and requires DEBUG to be off.
        attributes: "11000000000000000000000000000000",
        attributes_mask: "FBFFFFFFFFFFFFFF0000000000000000",
        mrsigner: hex::encode_upper(qe_signer()),
        isvprodid: QE_PROD_ID,
        tcb_levels: vec![Level {
            tcb: QeSvn { isvsvn: QE_SVN },
            tcb_date: TCB_DATE,
            tcb_status: TcbState::UpToDate.as_str(),
            advisory_ids: Vec::new(),
        }],
    })
}

fn svns(cpu_svn: [u8; 16], pcesvn: u16) -> Svns {
    Svns {
        sgxtcbcomponents: cpu_svn.into_iter().map(|svn| Svn { svn }).collect(),
        pcesvn,
    }
}

fn to_json<T: Serialize>(value: &T) -> Result<String, PlatformFault> {
    serde_json::to_string(value).map_err(PlatformFault::issue("signed JSON statement"))
}
