//! What a started instance may ask, and what it is told: decisions without input or output.

use crate::limit::Bucket;
use crate::quoter::{QuoteRequest, Quoter};
use bannock_wire::binding::{Channel, Claims, report_data};
use bannock_wire::channel::{
    Evidence, EvidenceFormat, MAX_CAS_REQUESTS_PER_MINUTE, MAX_REQUESTS, Reply, Request,
};
use bannock_wire::launch::{Isolation, LaunchIdentity};
use std::time::Instant;

/// Longest version text of an instance in bytes; it enters the claims, which verifiers print.
const MAX_VERSION: usize = 64;

/// Longest reason of an instance that is taken into the audit log, in characters.
const MAX_REASON: usize = 1024;

/// The instance at the other end of a channel, as the LAS started it.
pub struct Asker {
    launch: LaunchIdentity,
    isolation: Isolation,
    measurement: [u8; 32],
    answered: u32,
    bucket: Bucket,
}

/// An answer, with what the audit log is to say about it before it is given.
pub struct Response {
    /// What the instance is told.
    pub reply: Reply,
    /// Name of the event.
    pub event: &'static str,
    /// Why it was refused, or what the instance gave as its reason.
    pub reason: Option<String>,
    /// Whether the channel stays open.
    pub keep_open: bool,
}

impl Asker {
    /// An instance that was started as `launch`.
    #[must_use]
    pub fn new(
        launch: LaunchIdentity,
        isolation: Isolation,
        measurement: [u8; 32],
        now: Instant,
    ) -> Self {
        Self {
            launch,
            isolation,
            measurement,
            answered: 0,
            bucket: Bucket::full(
                MAX_CAS_REQUESTS_PER_MINUTE,
                MAX_CAS_REQUESTS_PER_MINUTE,
                now,
            ),
        }
    }

    /// Answers one message of the instance.
    pub fn answer(&mut self, message: &[u8], quoter: &dyn Quoter, now: Instant) -> Response {
        if let Err(refusal) = self.admit(now) {
            return refusal;
        }
        match bannock_wire::decode::<Request>("channel request", message) {
            Ok(Request::Evidence { channel, version }) => self.evidence(&channel, version, quoter),
            Ok(Request::SealingKey) => self.sealing_key(quoter),
            Ok(Request::Denied { reason }) => Response {
                reply: Reply::Noted,
                event: "instance-denied",
                reason: Some(reason.chars().take(MAX_REASON).collect()),
                keep_open: true,
            },
            // Whoever sends one thing that is no request may send anything next.
            Err(malformed) => Response {
                keep_open: false,
                ..refusal("request-refused", malformed.to_string())
            },
        }
    }

    /// The answer while the caller's instances together ask too much.
    pub(crate) fn overload(wait: std::time::Duration) -> Response {
        let reason = format!(
            "this user's instances ask too often; try again in {} s",
            wait.as_secs() + 1
        );
        refusal("request-refused", reason)
    }

    /// Counts the request: in all for a service, by rate for a CAS, whose channel lives as long as it.
    fn admit(&mut self, now: Instant) -> Result<(), Response> {
        if self.launch == LaunchIdentity::Cas {
            if self.bucket.take(now) {
                return Ok(());
            }
            let reason =
                format!("a CAS may ask {MAX_CAS_REQUESTS_PER_MINUTE} times a minute; ask later");
            return Err(refusal("request-refused", reason));
        }
        if self.answered < MAX_REQUESTS {
            self.answered += 1;
            return Ok(());
        }
        Err(Response {
            keep_open: false,
            ..refusal(
                "request-refused",
                format!("an instance may ask {MAX_REQUESTS} times; start another one"),
            )
        })
    }

    fn evidence(&self, channel: &Channel, version: String, quoter: &dyn Quoter) -> Response {
        if version.len() > MAX_VERSION || !version.bytes().all(|b| b.is_ascii_graphic()) {
            let reason =
                format!("a version is at most {MAX_VERSION} printable characters without spaces");
            return refusal("quote-refused", reason);
        }
        let claims = Claims {
            launch: self.launch.clone(),
            isolation: self.isolation,
            version,
        };
        let quoted = quoter.quote(&QuoteRequest {
            measurement: self.measurement,
            config_id: self.launch.config_id(),
            config_svn: self.isolation.0,
            report_data: report_data(channel, &claims),
        });
        match quoted {
            Ok(quoted) => Response {
                reply: Reply::Evidence {
                    evidence: Evidence {
                        format: EvidenceFormat::SgxDcapV3,
                        quote: quoted.quote,
                        collateral: quoted.collateral,
                        claims: bannock_wire::encode(&claims),
                    },
                },
                event: "quote",
                reason: None,
                keep_open: true,
            },
            Err(fault) => refusal("quote-refused", chain(&fault)),
        }
    }

    fn sealing_key(&self, quoter: &dyn Quoter) -> Response {
        if self.launch != LaunchIdentity::Cas {
            let reason = "only what was started as a CAS has a sealing key".to_owned();
            return refusal("sealing-key-refused", reason);
        }
        // Who could look into the process would have the key, and with it every CAS of this
        // measurement on this machine.
        if !self.isolation.contains(Isolation::FULL) {
            let missing: Vec<_> = Isolation::FULL.missing_in(self.isolation).collect();
            let reason = format!(
                "a sealing key needs full isolation, and this kernel refused {}; run the LAS as \
                 root on a kernel with user and PID namespaces",
                missing.join(", ")
            );
            return refusal("sealing-key-refused", reason);
        }
        match quoter.sealing_key(&self.measurement) {
            Ok(key) => Response {
                reply: Reply::SealingKey { key },
                event: "sealing-key",
                reason: None,
                keep_open: true,
            },
            Err(fault) => refusal("sealing-key-refused", chain(&fault)),
        }
    }
}

fn refusal(event: &'static str, reason: String) -> Response {
    Response {
        reply: Reply::Refused {
            reason: reason.clone(),
        },
        event,
        reason: Some(reason),
        keep_open: true,
    }
}

/// An error with all of its causes, for those who see no chain.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
