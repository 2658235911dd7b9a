//! A simulated platform: its keys, its quoting enclave and its sealing key.

use core::fmt;
use std::path::Path;

use bannock_evidence::{
    Collateral,
    sgx::{Attributes, Header, PckChain, Quote, ReportBody},
};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    fault::PlatformFault,
    keys::Keys,
    options::Options,
    pki::{CPU_SVN, PCE_SVN},
    state::{STATE_FILE, State},
    statements,
    store::Store,
};

/// XFRM of simulated enclaves: x87, SSE, AVX and AVX-512 state, as common enclaves have.
const XFRM: u64 = 0xe7;
const SEALING_LABEL: &[u8] = b"bannock simulated platform sealing key v1";
/// Free text of the quoting enclave, bound by its report.
const QE_AUTHENTICATION_DATA: [u8; 32] = *b"simulated quoting enclave no SGX";
/// Attributes of the quoting enclave: initialized, 64-bit, with access to the provisioning key.
const QE_FLAGS: u64 = Attributes::INIT | Attributes::MODE64BIT | (1 << 4);

/// What an enclave's report should say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRequest {
    /// MRENCLAVE.
    pub measurement: [u8; 32],
    /// MRSIGNER; all zero for software that nobody signed.
    pub signer: [u8; 32],
    /// ISVPRODID.
    pub isv_prod_id: u16,
    /// ISVSVN.
    pub isv_svn: u16,
    /// CONFIGID.
    pub config_id: [u8; 64],
    /// CONFIGSVN.
    pub config_svn: u16,
    /// REPORTDATA.
    pub report_data: [u8; 64],
    /// Whether the DEBUG attribute is set.
    pub debug: bool,
}

/// A platform with a root of its own that issues genuinely formatted SGX evidence.
///
/// Whoever can read its folder can issue any evidence under its root and derive every sealing key:
/// it protects nothing from the host. It exists so that everything above can run, and be refused,
/// without the hardware.
pub struct Platform {
    store: Store,
    keys: Keys,
    state: State,
    chain: PckChain,
    root_sha256: [u8; 32],
    qe_report: ReportBody,
    qe_report_signature: [u8; 64],
}

impl Platform {
    /// Makes a platform with fresh keys in `dir`, which is created if missing.
    ///
    /// # Errors
    /// [`PlatformFault::Exists`] where there is one already; everything else that can go wrong
    /// with files, entropy and signing. After a failure the folder holds no platform.
    pub fn create(dir: &Path, options: &Options) -> Result<Self, PlatformFault> {
        let store = Store::create(dir)?;
        let locked = store.lock()?;
        if store.exists(STATE_FILE)? {
            return Err(PlatformFault::Exists {
                path: dir.to_path_buf(),
            });
        }
        let platform = Self::make(store, options);
        drop(locked);
        platform
    }

    /// Like [`Self::create`], but replaces a platform that is already there.
    ///
    /// # Errors
    /// As [`Self::create`]. A failure may leave no platform at all.
    pub fn create_anew(dir: &Path, options: &Options) -> Result<Self, PlatformFault> {
        options.check()?;
        let store = Store::create(dir)?;
        let locked = store.lock()?;
        // Without this file there is no platform, so no mixture of old and new is ever opened.
        store.remove(STATE_FILE)?;
        let platform = Self::make(store, options);
        drop(locked);
        platform
    }

    /// Opens the platform in `dir`.
    ///
    /// # Errors
    /// [`PlatformFault`], for a folder that holds none, that others can read, that is damaged or
    /// that a newer version wrote.
    pub fn open(dir: &Path) -> Result<Self, PlatformFault> {
        let store = Store::open(dir)?;
        if !store.exists(STATE_FILE)? {
            return Err(PlatformFault::Missing {
                path: dir.to_path_buf(),
            });
        }
        // A replacement that is under way holds the lock from the first changed file to the last.
        let locked = store.lock()?;
        let state = State::load(&store)?;
        let keys = Keys::load(&store)?;
        drop(locked);
        Self::assemble(store, keys, state)
    }

    /// Changes the knobs and issues the collateral anew. Root, keys and seed stay.
    ///
    /// Other open instances see the change after [`Self::refresh`].
    ///
    /// # Errors
    /// [`PlatformFault::Options`] for impossible options; failures to sign or to write.
    pub fn set(&mut self, options: &Options) -> Result<(), PlatformFault> {
        let locked = self.store.lock()?;
        let mut state = State::load(&self.store)?;
        self.require_same_root(&state)?;
        state.reissue(&self.keys, options)?;
        state.save(&self.store)?;
        drop(locked);
        self.state = state;
        Ok(())
    }

    /// Takes over knobs and collateral that another process has set since.
    ///
    /// # Errors
    /// As [`Self::open`]; also when the platform was replaced by another one.
    pub fn refresh(&mut self) -> Result<(), PlatformFault> {
        let state = State::load(&self.store)?;
        self.require_same_root(&state)?;
        self.state = state;
        Ok(())
    }

    /// The knobs as they are.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.state.options
    }

    /// The folder that holds the platform.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.store.dir()
    }

    /// SHA-256 of the root certificate's DER, by which policies name this platform.
    #[must_use]
    pub fn root_sha256(&self) -> [u8; 32] {
        self.root_sha256
    }

    /// Certificates, revocation lists and TCB statements for this platform's quotes.
    #[must_use]
    pub fn collateral(&self) -> Collateral {
        self.state.collateral()
    }

    /// A DCAP quote, version 3, over the report that was asked for.
    ///
    /// The caller decides what is true: it must have measured the software itself.
    #[must_use]
    pub fn quote(&self, request: &ReportRequest) -> Vec<u8> {
        let mut flags = Attributes::INIT | Attributes::MODE64BIT | Attributes::KSS;
        if request.debug || self.state.options.debug {
            flags |= Attributes::DEBUG;
        }
        let report = ReportBody {
            cpu_svn: CPU_SVN,
            misc_select: 0,
            isv_ext_prod_id: [0; 16],
            attributes: Attributes { flags, xfrm: XFRM },
            mr_enclave: request.measurement,
            mr_signer: request.signer,
            config_id: request.config_id,
            isv_prod_id: request.isv_prod_id,
            isv_svn: request.isv_svn,
            config_svn: request.config_svn,
            isv_family_id: [0; 16],
            report_data: request.report_data,
        };
        let mut quote = Quote {
            header: Header {
                version: 3,
                qe_svn: statements::QE_SVN,
                pce_svn: PCE_SVN,
                user_data: self.qe_id(),
            },
            report,
            signature: [0; 64],
            attestation_key: self.keys.attestation.public(),
            qe_report: self.qe_report.clone(),
            qe_report_signature: self.qe_report_signature,
            qe_authentication_data: QE_AUTHENTICATION_DATA,
            pck_chain: self.chain.clone(),
        };
        quote.signature = self.keys.attestation.sign(&quote.header_and_report());
        quote.to_bytes()
    }

    /// A key that only software of this `measurement` should get, for the purpose `label`.
    ///
    /// It stands for EGETKEY with the sealing key bound to MRENCLAVE. The same inputs give the
    /// same key for as long as the platform exists.
    ///
    /// # Errors
    /// [`PlatformFault::Issue`], if the key derivation refuses, which no input of ours makes it do.
    pub fn sealing_key(
        &self,
        measurement: &[u8; 32],
        label: &[u8],
    ) -> Result<Zeroizing<[u8; 32]>, PlatformFault> {
        let mut key = Zeroizing::new([0; 32]);
        // The measurement has a fixed length, so no label can be mistaken for part of it.
        Hkdf::<Sha256>::new(Some(SEALING_LABEL), &self.keys.seed[..])
            .expand_multi_info(&[measurement, label], &mut key[..])
            .map_err(PlatformFault::issue("sealing key"))?;
        Ok(key)
    }

    fn make(store: Store, options: &Options) -> Result<Self, PlatformFault> {
        let keys = Keys::generate()?;
        let state = State::issue(&keys, options)?;
        keys.save(&store)?;
        state.save(&store)?;
        Self::assemble(store, keys, state)
    }

    fn assemble(store: Store, keys: Keys, state: State) -> Result<Self, PlatformFault> {
        let chain = state.pck_chain(&store)?;
        let root_sha256 = chain.root().sha256();
        let mut platform = Self {
            store,
            keys,
            state,
            chain,
            root_sha256,
            qe_report: ReportBody {
                cpu_svn: CPU_SVN,
                misc_select: 0,
                isv_ext_prod_id: [0; 16],
                attributes: Attributes {
                    flags: QE_FLAGS,
                    xfrm: XFRM,
                },
                mr_enclave: statements::qe_measurement(),
                mr_signer: statements::qe_signer(),
                config_id: [0; 64],
                isv_prod_id: statements::QE_PROD_ID,
                isv_svn: statements::QE_SVN,
                config_svn: 0,
                isv_family_id: [0; 16],
                report_data: [0; 64],
            },
            qe_report_signature: [0; 64],
        };
        // The quoting enclave vouches for the attestation key, and the PCK for the quoting enclave.
        let bound: [u8; 32] = Sha256::new()
            .chain_update(platform.keys.attestation.public())
            .chain_update(QE_AUTHENTICATION_DATA)
            .finalize()
            .into();
        platform
            .qe_report
            .report_data
            .iter_mut()
            .zip(bound)
            .for_each(|(to, from)| *to = from);
        platform.qe_report_signature = platform.keys.pck.sign(&platform.qe_report.to_bytes());
        Ok(platform)
    }

    fn require_same_root(&self, state: &State) -> Result<(), PlatformFault> {
        if state.root_sha256(&self.store)? != self.root_sha256 {
            return Err(PlatformFault::Damaged {
                path: self.store.path(STATE_FILE),
                problem: "another platform has replaced the one that is in use; open it again",
            });
        }
        Ok(())
    }

    /// Names the quoting enclave's instance; differs from platform to platform.
    fn qe_id(&self) -> [u8; 20] {
        let mut id = [0; 20];
        id.iter_mut()
            .zip(self.state.ppid)
            .for_each(|(to, from)| *to = from);
        id
    }
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platform")
            .field("dir", &self.store.dir())
            .field("root_sha256", &hex::encode(self.root_sha256))
            .field("options", &self.state.options)
            .finish_non_exhaustive()
    }
}
