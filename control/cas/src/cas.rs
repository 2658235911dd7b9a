//! The CAS as a whole: decides, commits, logs, and only then answers.

use crate::{
    audit_log::{AuditFault, AuditLog, Kept, decode_position, encode_position},
    identity::{Identity, NoIdentity},
    log,
    platform::Platform,
};
use bannock_cas_api::{ApiError, AuditPage, ErrorCode, Hash, MAX_AUDIT_RECORDS, Status};
use bannock_cas_core::{
    BadRecord, Context, Decision, Event, Undecided, Versioned, View, ViewFault,
    audit::{Action, Outcome, Position},
    creator_of, session_key,
};
use bannock_cas_store::{Store, StoreFault, Write};
use bannock_crypto::random::EntropyFault;
use std::{
    collections::{HashMap, VecDeque},
    path::Path,
    sync::{Mutex, MutexGuard},
    time::SystemTime,
};
use zeroize::Zeroizing;

/// Name of the record that holds the audit log's position at the last commit.
const AUDIT_POSITION: &str = "audit/position";

/// Name of the record that holds where the kept part of the audit log begins.
const AUDIT_BEGIN: &str = "audit/begin";

/// How often a decision is made anew because somebody else committed first.
const MAX_ATTEMPTS: u32 = 8;

/// The CAS.
pub struct Cas {
    store: Box<dyn Store>,
    /// Held from commit to log line, so that the log has the order of the commits.
    log: Mutex<AuditLog>,
    identity: Identity,
    platform: Platform,
    allow_unattested: bool,
}

/// Why the CAS does not start.
#[derive(Debug, thiserror::Error)]
pub enum CannotStart {
    /// The store failed.
    #[error("cannot use the store")]
    Store(#[from] StoreFault),
    /// There is no identity.
    #[error(transparent)]
    Identity(#[from] NoIdentity),
    /// The audit log cannot be used.
    #[error("cannot use the audit log")]
    Audit(#[from] AuditFault),
    /// A record of the CAS's own is damaged.
    #[error("the record `{0}` of the store is damaged")]
    Damaged(&'static str),
}

/// Why a request was not decided. Nothing was released.
#[derive(Debug, thiserror::Error)]
pub enum Outage {
    /// Reading or deciding failed.
    #[error(transparent)]
    Undecided(#[from] Undecided),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreFault),
    /// The decision cannot be logged.
    #[error("the decision cannot be logged, so it is not given")]
    Audit(#[from] AuditFault),
    /// Others keep changing the same records.
    #[error("the same records were changed by others {MAX_ATTEMPTS} times: try again")]
    Contention,
    /// A record cannot be decoded.
    #[error(transparent)]
    Record(#[from] BadRecord),
    /// A thread failed while it held the log.
    #[error("the CAS failed before and refuses further work: restart it")]
    Poisoned,
}

/// A decision that is committed and logged.
pub struct Decided<T> {
    /// What may now be told.
    pub answer: T,
    /// Number of its audit record.
    pub audit_record: u64,
}

impl Cas {
    /// Starts on `store`, with the audit log at `audit`.
    ///
    /// # Errors
    /// [`CannotStart`].
    pub fn start(
        store: Box<dyn Store>,
        platform: Platform,
        audit: &Path,
        allow_unattested: bool,
    ) -> Result<Self, CannotStart> {
        let identity = Identity::load_or_generate(&*store)?;
        let position = |name: &'static str| match store.get(name)? {
            Some(record) => decode_position(&record.value).ok_or(CannotStart::Damaged(name)),
            None => Ok(Position::START),
        };
        let known = Kept {
            begin: position(AUDIT_BEGIN)?,
            end: position(AUDIT_POSITION)?,
        };
        let mut log = AuditLog::open(audit, &known, &identity)?;
        let how = match &platform {
            Platform::Las(_) => "started by a LAS",
            Platform::Insecure => "started with --insecure-no-platform",
        };
        let event = Event::new(
            Action::Start,
            Outcome::Note,
            format!("{how}; key {}", identity.key_hash()),
        );
        append::<CannotStart>(&*store, &identity, &mut log, now(), event)?;
        store.commit(&remember(&*store, &log)?)?;
        Ok(Self {
            store,
            log: Mutex::new(log),
            identity,
            platform,
            allow_unattested,
        })
    }

    /// The CAS's identity.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What the CAS runs on.
    #[must_use]
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// Makes a decision, commits its writes, logs it, and hands out its answer.
    ///
    /// # Errors
    /// [`Outage`]; nothing may be told then.
    pub fn decide<T>(
        &self,
        decide: impl Fn(&Context<'_>, &dyn View) -> Result<Decision<T>, Undecided>,
    ) -> Result<Decided<T>, Outage> {
        for _ in 0..MAX_ATTEMPTS {
            let context = Context {
                now: now(),
                own_key: self.identity.key_hash().0,
                random: &system_random,
                allow_unattested: self.allow_unattested,
            };
            let decision = decide(&context, &StoreView(&*self.store))?;
            let mut log = self.lock()?;
            // Checked before the commit: a decision that cannot be logged must not take effect.
            log.ready()?;
            match self.commit(&log, decision.writes) {
                Err(StoreFault::Conflict { .. }) => continue,
                other => other?,
            }
            let audit_record = self.append(&mut log, context.now, decision.event)?;
            return Ok(Decided {
                answer: decision.answer,
                audit_record,
            });
        }
        Err(Outage::Contention)
    }

    /// Logs an event that decides nothing.
    ///
    /// # Errors
    /// [`Outage`].
    pub fn note(&self, event: Event) -> Result<u64, Outage> {
        self.append(&mut *self.lock()?, now(), event)
    }

    fn append(&self, log: &mut AuditLog, time: u64, event: Event) -> Result<u64, Outage> {
        append(&*self.store, &self.identity, log, time, event)
    }

    /// What the CAS says about itself.
    ///
    /// # Errors
    /// [`Outage`].
    pub fn status(&self) -> Result<Status, Outage> {
        let store = self.store.status()?;
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol_version: bannock_wire::PROTOCOL_VERSION,
            key: self.identity.key_hash(),
            platform: self.platform.status(),
            anchor: store.anchor.to_string(),
            store_format: store.format,
            store_commits: store.commits,
            allows_unattested: self.allow_unattested,
        })
    }

    /// The newest audit records of the sessions that `requester` created.
    ///
    /// # Errors
    /// [`Outage`].
    pub fn audit_of(&self, requester: Hash) -> Result<AuditPage, Outage> {
        let log = self.lock()?;
        let mut owned: HashMap<String, bool> = HashMap::new();
        let mut newest = VecDeque::new();
        let mut more = false;
        let mut failed = None;
        log.records(|record, line| {
            let Some(session) = record.event.session else {
                return;
            };
            let is_owned = *owned.entry(session).or_insert_with_key(|session| {
                self.is_creator(session, requester)
                    .unwrap_or_else(|outage| {
                        failed = Some(outage);
                        false
                    })
            });
            if is_owned {
                newest.push_back(line);
                if newest.len() > MAX_AUDIT_RECORDS {
                    newest.pop_front();
                    more = true;
                }
            }
        })?;
        match failed {
            Some(outage) => Err(outage),
            None => Ok(AuditPage {
                records: newest.into(),
                more,
            }),
        }
    }

    /// Waits until no decision is being written down, and lets none begin.
    #[must_use]
    pub fn quiesce(&self) -> impl Sized + '_ {
        self.log.lock()
    }

    fn is_creator(&self, session: &str, requester: Hash) -> Result<bool, Outage> {
        let key = session_key(session);
        let Some(record) = self.store.get(&key)? else {
            return Ok(false);
        };
        Ok(creator_of(&key, &record.value)? == requester.0)
    }

    fn lock(&self) -> Result<MutexGuard<'_, AuditLog>, Outage> {
        self.log.lock().map_err(|_| Outage::Poisoned)
    }

    fn commit(
        &self,
        log: &AuditLog,
        writes: Vec<bannock_cas_core::Write>,
    ) -> Result<(), StoreFault> {
        if writes.is_empty() {
            return Ok(());
        }
        let mut batch: Vec<Write> = writes
            .into_iter()
            .map(|write| Write {
                key: write.key,
                expected: write.expected,
                value: write.value,
            })
            .collect();
        batch.extend(remember(&*self.store, log)?);
        self.store.commit(&batch)
    }
}

/// Appends an event, in a new file where the last one is full.
fn append<E: From<AuditFault> + From<StoreFault>>(
    store: &dyn Store,
    identity: &Identity,
    log: &mut AuditLog,
    time: u64,
    event: Event,
) -> Result<u64, E> {
    if log.is_full() {
        log.begin_file(time, identity)?;
        // Nothing is removed before the store knows that it may be missing.
        store.commit(&remember(store, log)?)?;
        log.remove_surplus()?;
    }
    Ok(log.append(time, event, identity)?)
}

/// The writes that keep where the log begins and ends, so that lines missing in between are noticed.
fn remember(store: &dyn Store, log: &AuditLog) -> Result<Vec<Write>, StoreFault> {
    let kept = log.kept();
    let mut writes = Vec::new();
    for (name, position) in [(AUDIT_BEGIN, kept.begin), (AUDIT_POSITION, kept.end)] {
        let value = Zeroizing::new(encode_position(&position));
        let stored = store.get(name)?;
        if stored.as_ref().is_some_and(|record| record.value == value) {
            continue;
        }
        writes.push(Write {
            key: name.to_owned(),
            expected: stored.map_or(0, |record| record.version),
            value,
        });
    }
    Ok(writes)
}

impl Outage {
    /// The answer for the REST API. The cause goes to the operator, not to the client.
    #[must_use]
    pub fn to_api_error(&self) -> ApiError {
        log::note(log::chain(self));
        let (code, message) = match self {
            Self::Undecided(_) | Self::Record(_) => {
                (ErrorCode::Internal, "the CAS failed to decide")
            }
            Self::Contention => (
                ErrorCode::Unavailable,
                "others keep changing the same records",
            ),
            Self::Store(_) | Self::Audit(_) | Self::Poisoned => (
                ErrorCode::Unavailable,
                "the CAS cannot commit or log decisions, and so makes none",
            ),
        };
        ApiError {
            code,
            message: message.to_owned(),
            help: Some("the CAS's operator finds the cause in its log".to_owned()),
            details: Vec::new(),
            stored_hash: None,
            audit_record: None,
        }
    }
}

struct StoreView<'a>(&'a dyn Store);

impl View for StoreView<'_> {
    fn record(&self, key: &str) -> Result<Option<Versioned>, ViewFault> {
        match self.0.get(key) {
            Ok(found) => Ok(found.map(|stored| Versioned {
                version: stored.version,
                value: stored.value,
            })),
            Err(fault) => Err(ViewFault(Box::new(fault))),
        }
    }
}

/// Random bytes of the operating system.
pub(crate) fn system_random(out: &mut [u8]) -> Result<(), EntropyFault> {
    getrandom::fill(out).map_err(|_| EntropyFault)
}

/// The host's clock in seconds since the Unix epoch; 0 when it is set before that.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bannock_cas_core::session;
    use bannock_cas_store::{Embedded, SealedStore};

    const ALICE: Hash = Hash([1; 32]);

    fn start(dir: &Path) -> Result<Cas, CannotStart> {
        let platform = Platform::Insecure;
        let key = platform.sealing_key(dir).unwrap();
        let store = SealedStore::open(Embedded::open(dir)?, &key)?;
        Cas::start(Box::new(store), platform, &dir.join("audit"), false)
    }

    fn create(cas: &Cas, name: &str) -> Result<Decided<Result<(), ApiError>>, Outage> {
        let text = format!("name: {name}\nversion: \"0.3\"\n");
        let decided = cas
            .decide(|context, view| session::create(context, view, ALICE, name, text.as_bytes()))?;
        Ok(Decided {
            answer: decided.answer.map(|_| ()),
            audit_record: decided.audit_record,
        })
    }

    #[test]
    fn what_cannot_be_logged_is_neither_told_nor_decided_any_more() {
        let dir = tempfile::tempdir().unwrap();
        let cas = start(dir.path()).unwrap();
        create(&cas, "before").unwrap().answer.unwrap();
        cas.log.lock().unwrap().fill_disk();
        assert!(matches!(create(&cas, "first"), Err(Outage::Audit(_))));
        let commits = cas.store.status().unwrap().commits;
        assert!(matches!(create(&cas, "second"), Err(Outage::Audit(_))));
        assert!(cas.store.get(&session_key("second")).unwrap().is_none());
        assert_eq!(cas.store.status().unwrap().commits, commits);
    }

    #[test]
    fn decisions_of_many_at_once_are_all_logged_in_one_chain() {
        let dir = tempfile::tempdir().unwrap();
        let cas = start(dir.path()).unwrap();
        let created = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| create(&cas, "contended").unwrap().answer.is_ok()))
                .collect();
            let results = threads.into_iter().map(|thread| thread.join().unwrap());
            results.filter(|created| *created).count()
        });
        assert_eq!(created, 1);
        assert_eq!(cas.audit_of(ALICE).unwrap().records.len(), 4);
        drop(cas);
        assert!(start(dir.path()).is_ok());
    }

    #[test]
    fn a_log_that_grows_keeps_its_newest_records_and_loses_none_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let cas = start(dir.path()).unwrap();
        cas.log.lock().unwrap().keep(3);
        for name in ["a", "b", "c", "d", "e", "f"] {
            create(&cas, name).unwrap().answer.unwrap();
        }
        let records = cas.audit_of(ALICE).unwrap().records;
        assert!((2..6).contains(&records.len()), "{records:?}");
        assert!(records.last().is_some_and(|last| last.contains("\"f\"")));
        let mut dropped = 0;
        let log = cas.log.lock().unwrap();
        log.records(|record, _| dropped += usize::from(record.event.action == Action::DropRecords))
            .unwrap();
        assert!(dropped > 0);
        drop(log);
        drop(cas);
        let file = |number: u64| dir.path().join(format!("audit.{number}"));
        let numbers: Vec<u64> = (1..20).filter(|number| file(*number).exists()).collect();
        assert_eq!(numbers.len(), 3, "{numbers:?}");
        // Each of the kept files is missed, and so is a change in any.
        for number in numbers {
            let good = std::fs::read_to_string(file(number)).unwrap();
            std::fs::write(
                file(number),
                good.replacen("\"reason\":\"", "\"reason\":\"x", 1),
            )
            .unwrap();
            assert!(start(dir.path()).is_err(), "changed {number}");
            std::fs::remove_file(file(number)).unwrap();
            assert!(start(dir.path()).is_err(), "removed {number}");
            std::fs::write(file(number), good).unwrap();
        }
        assert!(start(dir.path()).is_ok());
    }

    #[test]
    fn refusals_alone_cannot_push_what_the_store_remembers_out_of_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let cas = start(dir.path()).unwrap();
        cas.log.lock().unwrap().keep(1);
        for _ in 0..5 {
            let event = Event::new(Action::Configure, Outcome::Deny, "no");
            cas.note(event).unwrap();
        }
        drop(cas);
        assert!(start(dir.path()).is_ok());
    }
}
