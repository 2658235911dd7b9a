//! A CAS's surroundings: records in memory, a simulated platform, and whoever asks.

use bannock_cas_api::{ApiError, Created, Hash, SessionView, Updated};
use bannock_cas_core::{
    Context, Decision, Event, Undecided, Versioned, View, ViewFault,
    attest::{Configure, Refused, configure},
    session,
};
use bannock_crypto::random::EntropyFault;
use bannock_simulated_platform::{Options, Platform, ReportRequest};
use bannock_wire::{
    binding::{Channel, Claims, Role, report_data},
    channel::{Evidence, EvidenceFormat},
    config::ServiceConfig,
    launch::{Isolation, LaunchIdentity},
};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};
use zeroize::Zeroizing;

pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const CAS_KEY: [u8; 32] = [0xca; 32];
pub(crate) const CLIENT: [u8; 32] = [0xc1; 32];
pub(crate) const EXPORTER: [u8; 32] = [0xe0; 32];
pub(crate) const OWNER: Hash = Hash([0x01; 32]);
pub(crate) const STRANGER: Hash = Hash([0x02; 32]);

/// A session with one service, measured `aa…`, on the simulated platform `root`.
pub(crate) fn session_text(name: &str, root: &str) -> String {
    let measurement = "aa".repeat(32);
    format!(
        "name: {name}\nversion: \"0.3\"\nservices:\n  - name: db\n    command: /bin/db\n    \
         environment:\n      KEY: $$SCONE::key$$\n    attestation:\n      - mrenclave: \
         [{measurement}]\n        simulated:\n          root: {root}\nsecrets:\n  - name: key\n    \
         kind: ascii\n"
    )
}

/// What a platform signs, and for whom.
#[derive(Clone)]
pub(crate) struct Launch {
    pub(crate) measurement: [u8; 32],
    /// In the claims.
    pub(crate) identity: LaunchIdentity,
    /// In the quote, when it differs from the claims.
    pub(crate) signed: Option<LaunchIdentity>,
    /// In the claims.
    pub(crate) isolation: Isolation,
    /// In the quote.
    pub(crate) signed_isolation: Isolation,
    pub(crate) role: Role,
    pub(crate) exporter: [u8; 32],
    pub(crate) client: [u8; 32],
    pub(crate) peer: [u8; 32],
}

impl Launch {
    /// A genuine launch of `config_id` on the connection of the tests.
    pub(crate) fn of(config_id: &str) -> Self {
        Self {
            measurement: [0xaa; 32],
            identity: LaunchIdentity::Service {
                config_id: config_id.to_owned(),
                cas_key: CAS_KEY,
            },
            signed: None,
            isolation: Isolation::FULL,
            signed_isolation: Isolation::FULL,
            role: Role::Client,
            exporter: EXPORTER,
            client: CLIENT,
            peer: CAS_KEY,
        }
    }

    pub(crate) fn channel(&self) -> Channel {
        Channel {
            role: self.role,
            exporter: self.exporter,
            attester_key: self.client,
            peer_key: self.peer,
        }
    }
}

pub(crate) struct World {
    records: RefCell<BTreeMap<String, (u64, Vec<u8>)>>,
    events: RefCell<Vec<Event>>,
    pub(crate) platform: Platform,
    pub(crate) allow_unattested: bool,
    _dir: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let platform =
            Platform::create(&dir.path().join("platform"), &Options::issued_at(NOW)).unwrap();
        Self {
            records: RefCell::default(),
            events: RefCell::default(),
            platform,
            allow_unattested: false,
            _dir: dir,
        }
    }

    /// A world in which the owner has created the session `name`.
    pub(crate) fn with_session(name: &str) -> Self {
        let world = Self::new();
        world
            .create(OWNER, name, &session_text(name, &world.root()))
            .unwrap();
        world
    }

    pub(crate) fn root(&self) -> String {
        Hash(self.platform.root_sha256()).to_string()
    }

    pub(crate) fn context(&self, now: u64) -> Context<'_> {
        Context {
            now,
            own_key: CAS_KEY,
            random: &counting_random,
            allow_unattested: self.allow_unattested,
        }
    }

    pub(crate) fn evidence(&self, launch: &Launch) -> Evidence {
        let claims = Claims {
            launch: launch.identity.clone(),
            isolation: launch.isolation,
            version: "test".into(),
        };
        let signed = launch.signed.as_ref().unwrap_or(&launch.identity);
        let quote = self.platform.quote(&ReportRequest {
            measurement: launch.measurement,
            signer: [0; 32],
            isv_prod_id: 0,
            isv_svn: 0,
            config_id: signed.config_id(),
            config_svn: launch.signed_isolation.0,
            report_data: report_data(&launch.channel(), &claims),
            debug: false,
        });
        Evidence {
            format: EvidenceFormat::SgxDcapV3,
            quote,
            collateral: self.platform.collateral().to_json().unwrap(),
            claims: bannock_wire::encode(&claims),
        }
    }

    pub(crate) fn configure(
        &self,
        id: &str,
        evidence: &Evidence,
    ) -> Result<ServiceConfig, Refused> {
        self.configure_at(NOW, id, evidence)
    }

    pub(crate) fn configure_at(
        &self,
        now: u64,
        config_id: &str,
        evidence: &Evidence,
    ) -> Result<ServiceConfig, Refused> {
        let request = Configure {
            exporter: EXPORTER,
            client_key: Some(Hash(CLIENT)),
            config_id,
            evidence,
        };
        self.apply(configure(&self.context(now), self, &request))
    }

    /// The reason for which the configuration is denied.
    pub(crate) fn denied(&self, config_id: &str, evidence: &Evidence) -> String {
        self.denied_at(NOW, config_id, evidence)
    }

    pub(crate) fn denied_at(&self, now: u64, config_id: &str, evidence: &Evidence) -> String {
        match self.configure_at(now, config_id, evidence) {
            Err(Refused::Denied(reason)) => reason,
            Err(Refused::Failed(reason)) => panic!("failed instead of denied: {reason}"),
            Ok(_) => panic!("the configuration of `{config_id}` was released"),
        }
    }

    pub(crate) fn create(&self, who: Hash, name: &str, text: &str) -> Result<Created, ApiError> {
        let context = self.context(NOW);
        self.apply(session::create(&context, self, who, name, text.as_bytes()))
    }

    pub(crate) fn read(&self, who: Hash, name: &str) -> Result<SessionView, ApiError> {
        self.apply(session::read(self, who, name))
    }

    pub(crate) fn update(&self, who: Hash, name: &str, text: &str) -> Result<Updated, ApiError> {
        let context = self.context(NOW);
        self.apply(session::update(&context, self, who, name, text.as_bytes()))
    }

    pub(crate) fn last_event(&self) -> Event {
        self.events.borrow().last().unwrap().clone()
    }

    pub(crate) fn records(&self) -> BTreeMap<String, (u64, Vec<u8>)> {
        self.records.borrow().clone()
    }

    fn apply<T>(&self, decision: Result<Decision<T>, Undecided>) -> T {
        let decision = decision.unwrap();
        let mut records = self.records.borrow_mut();
        for write in decision.writes {
            let version = records.get(&write.key).map_or(0, |record| record.0);
            assert_eq!(version, write.expected, "a write on a version not read");
            records.insert(write.key, (version + 1, write.value.to_vec()));
        }
        self.events.borrow_mut().push(decision.event);
        decision.answer
    }
}

impl View for World {
    fn record(&self, key: &str) -> Result<Option<Versioned>, ViewFault> {
        Ok(self
            .records
            .borrow()
            .get(key)
            .map(|(version, value)| Versioned {
                version: *version,
                value: Zeroizing::new(value.clone()),
            }))
    }
}

/// Different bytes on every call.
fn counting_random(out: &mut [u8]) -> Result<(), EntropyFault> {
    thread_local!(static STATE: Cell<u64> = const { Cell::new(0x9e37_79b9) });
    for byte in out {
        let next = STATE
            .get()
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        STATE.set(next);
        *byte = next.to_be_bytes()[0];
    }
    Ok(())
}
