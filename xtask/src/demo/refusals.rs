//! How every refusal is judged: its exit code, its message, its record, and that the same is
//! accepted when only the tampering is undone.

use std::process::Command;

use super::{
    Demo,
    audit::{Mark, Record},
    server::SERVER,
};
use crate::fault::Fault;
use crate::stage::{code, contains, output};

/// Exit code of what attestation or policy denies (docs/exit-codes.md).
const DENIED: i32 = 120;

/// What every refusal must be.
const EXPECTED: &str = "denied (120), says why, on record, accepted once undone";

/// A try that must be refused.
pub(super) struct Refusal<'a> {
    /// What is tried.
    pub(super) tried: &'a str,
    /// Words of the message that name the cause.
    pub(super) why: &'a str,
    /// What the audit log has to say.
    pub(super) record: Record<'a>,
}

impl Demo {
    /// A row for a refusal: `tampered` is refused, and `honest` is what remains of it without the
    /// tampering.
    pub(super) fn refuse(
        &mut self,
        refusal: &Refusal<'_>,
        tampered: &mut Command,
        honest: impl FnOnce(&Self) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        let mark = Mark::set(&self.stage)?;
        let refused = output(tampered)?;
        let mut seen = match refused.status.code() {
            Some(DENIED) => format!("denied ({DENIED})"),
            _ => code(&refused),
        };
        seen += match contains(&refused.stderr, refusal.why) {
            true => ", says why",
            false => ", does not say why",
        };
        seen += match refusal.record.is_there(&mark, &self.stage)? {
            true => ", on record",
            false => ", not on record",
        };
        seen += match honest(self)? {
            true => ", accepted once undone",
            false => ", not accepted once undone",
        };
        if !self.table.row(refusal.tried, EXPECTED, seen) {
            eprint!("{}", String::from_utf8_lossy(&refused.stderr));
        }
        Ok(())
    }

    /// Whether a service runs to a good end.
    pub(super) fn runs(&self, service: &str) -> Result<bool, Fault> {
        succeeds(&mut self.stage.service(service))
    }

    /// Whether the server starts, and stops when asked to.
    pub(super) fn serves(&self) -> Result<bool, Fault> {
        let server = self.start_server()?;
        let is_ready = server.is_ready;
        Ok(server.stop()? == "exit code 0" && is_ready)
    }

    /// The command that starts the server.
    pub(super) fn server(&self) -> Command {
        self.stage.service(SERVER)
    }
}

/// Whether a command succeeds; its message is shown when it does not.
pub(super) fn succeeds(command: &mut Command) -> Result<bool, Fault> {
    let output = output(command)?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.status.success())
}
