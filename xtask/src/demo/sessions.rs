//! Refusals by sessions, and of those who are not their owners.

use std::process::Command;

use super::{
    Demo,
    audit::Record,
    refusals::{Refusal, succeeds},
    stage::text,
    tampering::HONEST,
};
use crate::{fault::Fault, process};

impl Demo {
    /// `session` is the text of the stored session.
    pub(super) fn sessions(&mut self, session: &str) -> Result<(), Fault> {
        self.unknown_service()?;
        self.no_simulated_root(session)?;
        self.another_owner()?;
        self.stale_predecessor(session)
    }

    fn unknown_service(&mut self) -> Result<(), Fault> {
        let refusal = Refusal {
            tried: "a service that is not in the session",
            why: "service `mariadb/nobody` was not found",
            record: Record::Denied {
                session: "mariadb",
                reason: "no such service",
            },
        };
        let mut tampered = self.stage.service("mariadb/nobody");
        self.refuse(&refusal, &mut tampered, |demo| demo.runs(HONEST))
    }

    /// The owner takes the simulated root out of the session, and puts it back.
    fn no_simulated_root(&mut self, session: &str) -> Result<(), Fault> {
        let strict: String = session
            .lines()
            .filter(|line| !line.trim_start().starts_with("simulated:"))
            .flat_map(|line| [line, "\n"])
            .collect();
        let mut update = self.update("strict.yaml", &strict, None)?;
        self.succeed(
            "update the session: no simulated root any more",
            &mut update,
        )?;
        let refusal = Refusal {
            tried: "a session that does not name the simulated root",
            why: "does not accept evidence rooted in the simulated root",
            record: Record::Denied {
                session: "mariadb",
                reason: "no attestation variant",
            },
        };
        let mut tampered = self.stage.service(HONEST);
        self.refuse(&refusal, &mut tampered, |demo| {
            let mut undo = demo.update("mariadb.yaml", session, None)?;
            Ok(succeeds(&mut undo)? && demo.runs(HONEST)?)
        })
    }

    fn another_owner(&mut self) -> Result<(), Fault> {
        let pin = ["cas", "attest", &self.stage.cas, "--trust-on-first-use"];
        process::output(&mut self.stage.stranger(&pin))?;
        let read = ["session", "read", "mariadb"];
        let refusal = Refusal {
            tried: "another owner reads the session",
            why: "does not exist, or you may not read it",
            record: Record::Denied {
                session: "mariadb",
                reason: "denied by `access_policy.read`",
            },
        };
        let mut tampered = self.stage.stranger(&read);
        self.refuse(&refusal, &mut tampered, |demo| {
            succeeds(&mut demo.stage.bannock(&read))
        })
    }

    fn stale_predecessor(&mut self, session: &str) -> Result<(), Fault> {
        let stale = "0".repeat(64);
        let refusal = Refusal {
            tried: "an update with a stale predecessor",
            why: "but the stored session is",
            record: Record::Denied {
                session: "mariadb",
                reason: "names predecessor 0000",
            },
        };
        let mut tampered = self.update("stale.yaml", session, Some(&stale))?;
        self.refuse(&refusal, &mut tampered, |demo| {
            succeeds(&mut demo.update("mariadb.yaml", session, None)?)
        })
    }

    /// The command that updates the session to `text`, after `predecessor` or the stored one.
    fn update(&self, name: &str, text: &str, predecessor: Option<&str>) -> Result<Command, Fault> {
        let predecessor = match predecessor {
            Some(named) => named.to_owned(),
            None => self.stored_hash()?,
        };
        let version = "version: \"0.3\"\n";
        let named = format!("{version}predecessor: {predecessor}\n");
        let path = self.stage.write(name, text.replacen(version, &named, 1))?;
        let mut update = self.stage.bannock(&["session", "update"]);
        update.arg(path);
        Ok(update)
    }

    fn stored_hash(&self) -> Result<String, Fault> {
        let stored = self.stage.json(&["session", "read", "mariadb"])?;
        Ok(text(&stored["hash"]))
    }
}
