//! What the audit logs say about a try (docs/audit-logs.md).

use std::path::PathBuf;

use serde_json::Value;

use crate::stage::{Stage, text};
use crate::{fault::Fault, workspace::read};

/// One of the logs.
#[derive(Clone, Copy)]
pub(super) enum Log {
    /// The CAS's decisions.
    Cas,
    /// Starts, quotes and ends of instances on this machine.
    Las,
}

impl Log {
    fn path(self, stage: &Stage) -> PathBuf {
        stage.path(match self {
            Self::Cas => "state/bannock/dev/cas/audit.jsonl",
            Self::Las => "state/bannock/dev/las-audit.jsonl",
        })
    }

    /// All records, oldest first.
    pub(super) fn records(self, stage: &Stage) -> Result<Vec<Value>, Fault> {
        let path = self.path(stage);
        String::from_utf8_lossy(&read(&path)?)
            .lines()
            .map(|line| {
                serde_json::from_str(line).map_err(|source| Fault::Answer {
                    command: path.display().to_string(),
                    source,
                })
            })
            .collect()
    }
}

/// How long the logs were at some time.
pub(super) struct Mark {
    cas: usize,
    las: usize,
}

impl Mark {
    /// Now.
    pub(super) fn set(stage: &Stage) -> Result<Self, Fault> {
        Ok(Self {
            cas: Log::Cas.records(stage)?.len(),
            las: Log::Las.records(stage)?.len(),
        })
    }

    /// Records of a log since then.
    pub(super) fn since(&self, log: Log, stage: &Stage) -> Result<Vec<Value>, Fault> {
        let before = match log {
            Log::Cas => self.cas,
            Log::Las => self.las,
        };
        Ok(log.records(stage)?.split_off(before))
    }
}

/// A record that a refusal must leave.
#[derive(Clone, Copy)]
pub(super) enum Record<'a> {
    /// The CAS denied something about a session, and says why.
    Denied { session: &'a str, reason: &'a str },
    /// The LAS was told by the instance why it gives up, and saw it end as denied.
    GaveUp { service: &'a str, reason: &'a str },
    /// The LAS saw an instance end with this exit code.
    Ended { service: &'a str, code: u8 },
}

impl Record<'_> {
    /// Whether the record is there since `mark`.
    pub(super) fn is_there(&self, mark: &Mark, stage: &Stage) -> Result<bool, Fault> {
        let has = |log, is: &dyn Fn(&Value) -> bool| Ok(mark.since(log, stage)?.iter().any(is));
        match *self {
            Self::Denied { session, reason } => has(Log::Cas, &|record| {
                let event = &record["event"];
                event["outcome"] == "deny"
                    && event["session"] == session
                    && text(&event["reason"]).contains(reason)
            }),
            Self::GaveUp { service, reason } => Ok(has(Log::Las, &|record| {
                record["event"] == "instance-denied"
                    && is_of(service, record)
                    && text(&record["reason"]).contains(reason)
            })? && Record::Ended { service, code: 120 }
                .is_there(mark, stage)?),
            Self::Ended { service, code } => has(Log::Las, &|record| {
                record["event"] == "exit"
                    && is_of(service, record)
                    && record["exit_code"] == code
                    && !text(&record["measurement"]).is_empty()
            }),
        }
    }
}

fn is_of(service: &str, record: &Value) -> bool {
    text(&record["launch"]).starts_with(&format!("service {service} of CAS "))
}
