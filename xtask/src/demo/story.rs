//! The story: MariaDB from its bootstrap to its second life.

use std::process::Command;

use super::Demo;
use crate::fault::Fault;
use crate::stage::{MARKER, code, contains, output};

impl Demo {
    /// A row for a command's exit code; its message is shown when it is another.
    pub(super) fn succeed(&mut self, tried: &str, command: &mut Command) -> Result<(), Fault> {
        let output = output(command)?;
        if !self.table.row(tried, "exit code 0", code(&output)) {
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// Platform, LAS and CAS; the CAS has to prove what it is before anything is told to it.
    pub(super) fn begin(&mut self) -> Result<(), Fault> {
        self.raise_core_limit()?;
        let mut attest = self.stage.attest(&self.stage.platform_root()?)?;
        self.succeed("the CAS proves what it is", &mut attest)
    }

    /// Measures what may run and creates the session, which is returned.
    pub(super) fn provide(&mut self) -> Result<String, Fault> {
        let stage = &self.stage;
        stage.fetch_plugin()?;
        let folder = |name: &str| stage.path(name).display().to_string();
        let (data, plugins) = (folder("data"), folder("plugins"));
        let tree = stage.measure(
            "mariadb.tree",
            &[
                "/usr/sbin/mariadbd",
                "/usr/bin/mariadb",
                "/bin/sh",
                "/bin/cat",
            ],
            &["/usr/share/mysql", &plugins],
        )?;
        let session = stage.fill(
            "session.yaml",
            &[
                ("RUNTIME", &stage.measurement("bannock-runtime")?),
                ("ROOT", &self.stage.platform_root()?),
                ("TREE", &tree),
                ("DATA", &data),
                ("PLUGINS", &plugins),
                ("PORT", &stage.port.to_string()),
                ("MARKER", MARKER),
            ],
        )?;
        let path = stage.write("mariadb.yaml", &session)?;
        let mut create = stage.bannock(&["session", "create"]);
        self.succeed("create the session", create.arg(path))?;
        Ok(session)
    }

    /// Bootstrap, load, read, look, crash, and start again.
    pub(super) fn live(&mut self) -> Result<(), Fault> {
        self.succeed(
            "MariaDB's own bootstrap makes the data directory",
            &mut self.stage.service("mariadb/bootstrap"),
        )?;
        let server = self.start("start the server")?;
        self.succeed(
            "load 10,000 rows through TLS, verified by the session's CA",
            &mut self.stage.service("mariadb/load"),
        )?;
        let seen = self.count()?;
        self.table.row("read them back through TLS", "10000", seen);
        self.connect_from_outside()?;
        let second = self.start_second()?;
        self.look_around(&server)?;
        self.judge_second(second)?;
        self.crash(server)?;
        let server = self.start("start again after the crash")?;
        let seen = self.count()?;
        self.table.row("the rows are there", "10000", seen);
        self.stop_server(server)
    }

    /// The server once more, after everything that was tried.
    pub(super) fn epilogue(&mut self) -> Result<(), Fault> {
        let server = self.start("stop, start")?;
        let seen = self.count()?;
        self.table.row("the rows are there still", "10000", seen);
        self.stop_server(server)
    }

    /// An ordinary client, outside of Bannock: with the session's CA, and with none.
    fn connect_from_outside(&mut self) -> Result<(), Fault> {
        let ca = output(&mut self.stage.service("mariadb/ca"))?.stdout;
        let ca = self.stage.write("ca.crt", ca)?;
        let password = self.secrets()?.app_password;
        let port = format!("--port={}", self.stage.port);
        let client = |arguments: &[&str]| {
            let mut client = Command::new("/usr/bin/mariadb");
            client
                .args(["--no-defaults", "--host=127.0.0.1", "--user=app"])
                .arg(&port)
                .args(arguments)
                .arg("--ssl-verify-server-cert")
                .arg("--execute=select 1")
                .env("MYSQL_PWD", &password);
            client
        };
        let trusting = format!("--ssl-ca={}", ca.display());
        let mut trusting = client(&[&trusting]);
        self.succeed(
            "a client that trusts the session's CA connects",
            &mut trusting,
        )?;
        let refused = output(&mut client(&["--ssl"]))?;
        let seen = if contains(&refused.stderr, "certificate") && !refused.status.success() {
            "does not connect".into()
        } else {
            code(&refused)
        };
        self.table
            .row("a client that does not trust it", "does not connect", seen);
        Ok(())
    }
}
