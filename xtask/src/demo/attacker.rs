//! A hostile program under the genuine runtime, in a session of its owner's own.

use super::{
    Demo,
    audit::{Log, Mark, Record},
    tampering::HONEST,
};
use crate::{
    fault::Fault,
    process,
    stage::{output, text},
    workspace::entries,
};

/// The hostile service.
const THIEF: &str = "attacker/thief";

/// Python and what its standard library needs for a TLS connection.
const PYTHON: &str = "/usr/bin/python3.11";
const LIBRARY: &str = "/usr/lib/python3.11";

impl Demo {
    /// It asks everyone whom it can reach for the configuration of `mariadb/reveal`.
    pub(super) fn attacker(&mut self) -> Result<(), Fault> {
        let session = self.session_of_attacker()?;
        let path = self.stage.write("attacker.yaml", session)?;
        let mut create = self.stage.stranger(&["session", "create"]);
        self.succeed("another owner creates a session", create.arg(path))?;

        let mark = Mark::set(&self.stage)?;
        let mut run = self
            .stage
            .stranger(&["run", "--audit-host-calls", "--config-id", THIEF]);
        let got = output(run.arg("--tree").arg(self.stage.path("attacker.tree")))?;
        let told = String::from_utf8_lossy(&got.stdout);
        // Denied (1) by the CAS, with and without an invented quote: it was asked, and answered.
        let has_own = told.contains("configured by a session of its own: True")
            && told.matches("bytes: reply 1").count() == 2;
        let mut seen = match has_own {
            true => "own secret",
            false => "does not run",
        }
        .to_owned();
        seen += &format!(", of others {}", told.lines().last().unwrap_or_default());
        seen += match self.is_refused_on_record(&mark)? {
            true => ", on record",
            false => ", not on record",
        };
        seen += match self.runs(HONEST)? {
            true => ", owner accepted",
            false => ", owner not accepted",
        };
        let expected = "own secret, of others nothing, on record, owner accepted";
        let tried = "a hostile program asks LAS and CAS for this configuration";
        if !self.table.row(tried, expected, seen) {
            eprint!("{told}{}", String::from_utf8_lossy(&got.stderr));
        }
        Ok(())
    }

    /// Both logs know of the attempts, and nothing was granted meanwhile.
    fn is_refused_on_record(&self, mark: &Mark) -> Result<bool, Fault> {
        let is_denied = Record::Denied {
            session: "mariadb",
            reason: "",
        }
        .is_there(mark, &self.stage)?;
        let cas = mark.since(Log::Cas, &self.stage)?;
        let is_granted = cas.iter().any(|record| {
            let event = &record["event"];
            event["outcome"] == "permit" && event["session"] == "mariadb"
        });
        let las = mark.since(Log::Las, &self.stage)?;
        let is_turned_away = las.iter().any(|record| record["event"] == "start-refused");
        let own_quotes = las.iter().filter(|record| record["event"] == "quote");
        let is_own = |record: &serde_json::Value| {
            text(&record["launch"]).starts_with(&format!("service {THIEF} "))
        };
        Ok(is_denied && is_turned_away && !is_granted && own_quotes.clone().all(is_own))
    }

    fn session_of_attacker(&self) -> Result<String, Fault> {
        let stage = &self.stage;
        let pin = ["cas", "attest", &stage.cas, "--trust-on-first-use"];
        process::output(&mut stage.stranger(&pin))?;
        let thief = stage.example.join("thief.py").display().to_string();
        let mut programs = vec![PYTHON.to_owned()];
        // Its library's own shared objects are loaded later, so they are named as programs are.
        let shared = entries(&std::path::Path::new(LIBRARY).join("lib-dynload"))?;
        programs.extend(shared.iter().map(|path| path.display().to_string()));
        let programs: Vec<&str> = programs.iter().map(String::as_str).collect();
        let library = format!("{LIBRARY}/**/*.py");
        let tree = stage.measure("attacker.tree", &programs, &[&library, &thief])?;
        let (host, port) = stage.cas.split_once(':').unwrap_or_default();
        stage.fill(
            "attacker.yaml",
            &[
                ("RUNTIME", &stage.measurement("bannock-runtime")?),
                ("ROOT", &self.stage.platform_root()?),
                ("TREE", &tree),
                ("THIEF", &thief),
                ("CAS_HOST", host),
                ("CAS_PORT", port),
                ("RUN", &stage.path("run").display().to_string()),
            ],
        )
    }
}
