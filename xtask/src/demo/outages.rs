//! LAS and CAS stop, and start again.

use super::{
    Demo,
    audit::{Mark, Record},
    tampering::HONEST,
};
use crate::{
    fault::Fault,
    process,
    stage::{code, contains, output},
};

/// Exit code of what cannot be reached (docs/exit-codes.md).
const UNAVAILABLE: i32 = 121;

impl Demo {
    /// First nothing runs, then the LAS alone, then both.
    pub(super) fn outages(&mut self) -> Result<(), Fault> {
        let stage = &self.stage;
        let (las, cas) = (stage.las().display().to_string(), stage.cas.clone());
        let up = ["dev", "up", "--listen", &cas];
        process::output(&mut stage.bannock(&["dev", "down"]))?;
        let down = self.unavailable(&las)?;
        process::output(&mut self.stage.bannock(&up))?;
        self.judge_outage("the LAS is down", down)?;

        process::output(&mut self.stage.bannock(&["dev", "down"]))?;
        process::output(&mut self.stage.bannock(&["dev", "up", "--without-cas"]))?;
        let mark = Mark::set(&self.stage)?;
        let mut down = self.unavailable(&cas)?;
        let record = Record::Ended {
            service: HONEST,
            code: 121,
        };
        if !record.is_there(&mark, &self.stage)? {
            down += ", not on the LAS's record";
        }
        process::output(&mut self.stage.bannock(&up))?;
        self.judge_outage("the CAS is down", down)
    }

    /// What a run comes to that cannot reach `address`.
    fn unavailable(&self, address: &str) -> Result<String, Fault> {
        let ended = output(&mut self.stage.service(HONEST))?;
        let mut seen = match ended.status.code() {
            Some(UNAVAILABLE) => format!("unavailable ({UNAVAILABLE})"),
            _ => code(&ended),
        };
        seen += match contains(&ended.stderr, address) {
            true => ", names its address",
            false => ", does not name its address",
        };
        Ok(seen)
    }

    fn judge_outage(&mut self, tried: &str, down: String) -> Result<(), Fault> {
        let again = match self.runs(HONEST)? {
            true => "accepted once up",
            false => "not accepted once up",
        };
        self.table.row(
            tried,
            "unavailable (121), names its address, accepted once up",
            format!("{down}, {again}"),
        );
        Ok(())
    }
}
