//! The public part of a platform: what it has issued, kept in one file.

use bannock_evidence::{Collateral, CollateralParts, sgx::PckChain};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use x509_cert::{
    Certificate,
    der::{DecodePem, Encode},
};

use crate::{fault::PlatformFault, keys::Keys, options::Options, pki, statements, store::Store};

pub(crate) const STATE_FILE: &str = "platform.json";
const FORMAT: u32 = 1;
const MAX_STATE_LEN: usize = 1024 * 1024;

/// Only the field that says whether the rest can be read.
#[derive(Deserialize)]
struct Versioned {
    format: u32,
}

/// Everything about a platform that is no secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    format: u32,
    pub(crate) options: Options,
    #[serde(with = "hex::serde")]
    pub(crate) ppid: [u8; 16],
    crl_number: u64,
    root_pem: String,
    pck_ca_pem: String,
    pub(crate) pck_pem: String,
    tcb_signing_pem: String,
    #[serde(with = "hex::serde")]
    pub(crate) root_ca_crl: Vec<u8>,
    #[serde(with = "hex::serde")]
    pub(crate) pck_crl: Vec<u8>,
    pub(crate) tcb_info: String,
    #[serde(with = "hex::serde")]
    pub(crate) tcb_info_signature: Vec<u8>,
    pub(crate) qe_identity: String,
    #[serde(with = "hex::serde")]
    pub(crate) qe_identity_signature: Vec<u8>,
}

impl State {
    /// Issues everything for new keys.
    pub(crate) fn issue(keys: &Keys, options: &Options) -> Result<Self, PlatformFault> {
        options.check()?;
        let mut ppid = [0; 16];
        getrandom::fill(&mut ppid).map_err(|error| PlatformFault::Entropy(Box::new(error)))?;
        let certificates = pki::issue_certificates(keys, &ppid, options.issued)?;
        let mut state = Self {
            format: FORMAT,
            options: options.clone(),
            ppid,
            crl_number: 0,
            root_pem: certificates.root,
            pck_ca_pem: certificates.pck_ca,
            pck_pem: certificates.pck,
            tcb_signing_pem: certificates.tcb_signing,
            root_ca_crl: Vec::new(),
            pck_crl: Vec::new(),
            tcb_info: String::new(),
            tcb_info_signature: Vec::new(),
            qe_identity: String::new(),
            qe_identity_signature: Vec::new(),
        };
        state.reissue(keys, options)?;
        Ok(state)
    }

    /// Issues the collateral anew, under the same certificates.
    pub(crate) fn reissue(&mut self, keys: &Keys, options: &Options) -> Result<(), PlatformFault> {
        options.check()?;
        // Both CRLs share one number, which grows with every issue (RFC 5280, section 5.2.3).
        let number = self.crl_number.saturating_add(1);
        let certificate = |pem: &str| {
            Certificate::from_pem(pem).map_err(PlatformFault::issue("certificate revocation list"))
        };
        let pck = certificate(&self.pck_pem)?;
        let revoked = options.pck_revoked.then_some(&pck);
        let root_ca_crl = pki::issue_crl(
            &certificate(&self.root_pem)?,
            &keys.root,
            number,
            options,
            None,
        )?;
        let pck_crl = pki::issue_crl(
            &certificate(&self.pck_ca_pem)?,
            &keys.pck_ca,
            number,
            options,
            revoked,
        )?;
        let tcb_info = statements::tcb_info(options)?;
        let qe_identity = statements::qe_identity(options)?;

        self.tcb_info_signature = keys.tcb_signing.sign(tcb_info.as_bytes()).to_vec();
        self.qe_identity_signature = keys.tcb_signing.sign(qe_identity.as_bytes()).to_vec();
        self.tcb_info = tcb_info;
        self.qe_identity = qe_identity;
        self.root_ca_crl = root_ca_crl;
        self.pck_crl = pck_crl;
        self.crl_number = number;
        self.options = options.clone();
        Ok(())
    }

    pub(crate) fn load(store: &Store) -> Result<Self, PlatformFault> {
        let bytes = store.read(STATE_FILE, MAX_STATE_LEN)?;
        let fault = |source| PlatformFault::State {
            path: store.path(STATE_FILE),
            source,
        };
        let Versioned { format } = serde_json::from_slice(&bytes).map_err(fault)?;
        if format > FORMAT {
            return Err(PlatformFault::NewerFormat {
                path: store.path(STATE_FILE),
                found: format,
                supported: FORMAT,
            });
        }
        serde_json::from_slice(&bytes).map_err(fault)
    }

    pub(crate) fn save(&self, store: &Store) -> Result<(), PlatformFault> {
        let bytes = serde_json::to_vec_pretty(self).map_err(PlatformFault::issue("state file"))?;
        store.write(STATE_FILE, &bytes)
    }

    pub(crate) fn pck_chain(&self, store: &Store) -> Result<PckChain, PlatformFault> {
        let pem = format!("{}{}{}", self.pck_pem, self.pck_ca_pem, self.root_pem);
        PckChain::parse(pem.as_bytes()).map_err(|source| PlatformFault::Chain {
            path: store.path(STATE_FILE),
            source,
        })
    }

    pub(crate) fn root_sha256(&self, store: &Store) -> Result<[u8; 32], PlatformFault> {
        let damaged = || PlatformFault::Damaged {
            path: store.path(STATE_FILE),
            problem: "the root certificate cannot be read",
        };
        let root = Certificate::from_pem(&self.root_pem).map_err(|_| damaged())?;
        let der = root.to_der().map_err(|_| damaged())?;
        Ok(Sha256::digest(der).into())
    }

    pub(crate) fn pck_issuer_chain(&self) -> String {
        format!("{}{}", self.pck_ca_pem, self.root_pem)
    }

    pub(crate) fn tcb_issuer_chain(&self) -> String {
        format!("{}{}", self.tcb_signing_pem, self.root_pem)
    }

    pub(crate) fn collateral(&self) -> Collateral {
        CollateralParts {
            pck_crl_issuer_chain: self.pck_issuer_chain(),
            root_ca_crl: self.root_ca_crl.clone(),
            pck_crl: self.pck_crl.clone(),
            tcb_info_issuer_chain: self.tcb_issuer_chain(),
            tcb_info: self.tcb_info.clone(),
            tcb_info_signature: self.tcb_info_signature.clone(),
            qe_identity_issuer_chain: self.tcb_issuer_chain(),
            qe_identity: self.qe_identity.clone(),
            qe_identity_signature: self.qe_identity_signature.clone(),
        }
        .into()
    }
}
