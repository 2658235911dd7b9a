//! Leaving the demo running, and stopping it later.

use std::path::Path;

use super::{Demo, server::LOG};
use crate::fault::Fault;

impl Demo {
    /// Starts the server once more and says what can be done with it.
    pub(super) fn keep(&mut self) -> Result<(), Fault> {
        let server = self.start_server()?;
        let stage = &self.stage;
        let quoted = |path: &Path| format!("'{}'", path.display());
        println!("\nleft running; in a shell:\n");
        for (name, value) in stage.variables() {
            println!("export {name}={}", quoted(&value));
        }
        println!("export PATH={}:\"$PATH\"", quoted(&stage.binaries));
        println!("cd {}", quoted(&stage.folder));
        let run = "bannock run --tree mariadb.tree --config-id";
        println!("\n# connect: the owner's own client, and one outside of Bannock");
        println!("{run} mariadb/count");
        // An update of the session issues certificates anew.
        println!("{run} mariadb/ca > ca.crt");
        println!(
            "MYSQL_PWD=$({run} mariadb/reveal | sed -n 3p) mariadb --no-defaults --host=127.0.0.1 \
             --port={} --user=app --ssl-ca=ca.crt --ssl-verify-server-cert demo",
            stage.port
        );
        println!("\n# look around");
        println!("bannock dev status; bannock cas status; bannock session audit");
        println!("grep -r BANNOCK-DEMO-MARKER data state {LOG} || echo 'not there'");
        println!("tail -n 3 state/bannock/dev/las-audit.jsonl");
        println!("\n# stop; `cargo xtask clean` does that too, and removes everything");
        println!("kill {} && bannock dev down", server.run.id());
        Ok(())
    }
}
