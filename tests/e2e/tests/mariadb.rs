//! MariaDB without attestation: the same answers as natively, one server for one data directory,
//! and recovery after its end.

// Clippy's allowance for tests does not reach their helpers.
#![allow(clippy::unwrap_used, clippy::panic)]

use bannock_e2e::place::{binary, source};
use bannock_e2e::process::{Guarded, Outcome, Output, run};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SERVER: &str = "/usr/sbin/mariadbd";

/// Longest bootstrap, start or query.
const PATIENCE: Duration = Duration::from_secs(120);

/// MariaDB's own bootstrap, as `mariadb-install-db` does it.
const BOOTSTRAP: &str = "cd /usr/share/mysql && (echo 'create database mysql;'; echo 'use mysql;'; cat \
                         mysql_system_tables.sql mysql_performance_tables.sql \
                         mysql_system_tables_data.sql fill_help_tables.sql \
                         maria_add_gis_sp_bootstrap.sql mysql_sys_schema.sql) | \"$@\"";

/// Where a server runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    Host,
    Bannock,
}

struct Database {
    on: On,
    folder: tempfile::TempDir,
}

impl Database {
    fn new(on: On) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        let database = Self { on, folder };
        let mut command = database.command("/bin/sh");
        command.args(["-c", BOOTSTRAP, "sh", SERVER]);
        command.args(database.options()).arg("--bootstrap");
        let outcome = run(&mut command, b"", Output::Pipe, PATIENCE);
        assert_eq!(outcome.code, Some(0), "{}", outcome.errors());
        database
    }

    fn command(&self, program: &str) -> Command {
        match self.on {
            On::Host => Command::new(program),
            On::Bannock => {
                let mut command = Command::new(binary("bannock"));
                command.args(["run", "--standalone", "--audit-host-calls", "--", program]);
                command
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn options(&self) -> Vec<String> {
        vec![
            "--no-defaults".to_owned(),
            "--user=root".to_owned(),
            format!("--datadir={}", self.path("data").display()),
            format!("--tmpdir={}", self.folder.path().display()),
            "--innodb-buffer-pool-size=32M".to_owned(),
            "--innodb-log-file-size=16M".to_owned(),
        ]
    }

    /// Starts a server, without waiting for it.
    fn start(&self, log: &str, port: u16) -> Server {
        let path = self.path(log);
        let file = fs::File::create(&path).unwrap();
        let mut command = self.command(SERVER);
        command
            .args(self.options())
            .args(["--skip-grant-tables", "--bind-address=127.0.0.1"])
            .arg(format!("--port={port}"))
            .arg(format!("--socket={}", self.path("socket").display()))
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file);
        Server {
            process: Guarded::start(&mut command),
            port,
            log: path,
        }
    }

    /// Starts a server and waits until it answers.
    fn serve(&self) -> Server {
        let mut server = self.start("log", free_port());
        let start = Instant::now();
        while server.query(b"select 1").code != Some(0) {
            assert!(
                server.process.wait(Duration::from_millis(50)).is_none()
                    && start.elapsed() < PATIENCE,
                "{}",
                read(&server.log)
            );
        }
        server
    }
}

struct Server {
    process: Guarded,
    port: u16,
    log: PathBuf,
}

impl Server {
    fn query(&self, sql: &[u8]) -> Outcome {
        let mut client = Command::new("/usr/bin/mariadb");
        client.args([
            "--no-defaults",
            "--host=127.0.0.1",
            "--force",
            "--table",
            "--skip-ssl",
        ]);
        client.arg(format!("--port={}", self.port));
        run(&mut client, sql, Output::Pipe, PATIENCE)
    }

    /// Has it shut down, and waits until it has.
    fn stop(mut self) {
        let outcome = self.query(b"shutdown");
        assert_eq!(outcome.code, Some(0), "{}", outcome.errors());
        let status = self.process.wait(PATIENCE);
        assert_eq!(
            status.and_then(|s| s.code()),
            Some(0),
            "{}",
            read(&self.log)
        );
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Four clients at once, each in transactions on rows that all of them change.
fn contend(server: &Server) {
    std::thread::scope(|scope| {
        for client in 0..4 {
            scope.spawn(move || {
                let sql: String = (0..50)
                    .map(|i| {
                        let row = 1 + (client * 7 + i) % 10;
                        format!(
                            "begin; select v from counters where id = {row} for update; update \
                             counters set v = v + 1 where id = {row}; insert into trail (client) \
                             values ({client}); commit;\n"
                        )
                    })
                    .collect();
                let outcome = server.query(sql.as_bytes());
                assert_eq!(outcome.code, Some(0), "{}", outcome.errors());
            });
        }
    });
}

const AFTER_CONTENTION: &[u8] = b"use test; select sum(v) from counters; select client, count(*) \
                                  from trail group by client; check table counters, trail, orders, \
                                  plain, crash_safe;";

#[test]
fn a_server_answers_as_it_does_natively_and_recovers() {
    let script = fs::read(source("mariadb/smoke.sql")).unwrap();
    let answers = |database: &Database| {
        let server = database.serve();
        let smoke = server.query(&script);
        contend(&server);
        let after = server.query(AFTER_CONTENTION);
        (server, [smoke.text(), smoke.errors(), after.text()])
    };
    let native = Database::new(On::Host);
    let (server, expected) = answers(&native);
    server.stop();
    assert!(expected[0].contains("smoke is over"), "{expected:?}");

    let database = Database::new(On::Bannock);
    let (first, seen) = answers(&database);
    assert_eq!(seen, expected);

    // A second server on the same data directory is kept out by the host's lock, and harms nothing.
    let mut second = database.start("second.log", free_port());
    let status = second.process.wait(PATIENCE);
    let log = read(&second.log);
    assert!(status.is_some_and(|s| !s.success()), "{log}");
    assert!(log.contains("lock"), "{log}");
    assert_eq!(first.query(AFTER_CONTENTION).text(), expected[2]);

    // The end without warning, in the middle of a transaction.
    let open = first.query(b"use test; begin; delete from orders; select sleep(0);");
    assert_eq!(open.code, Some(0));
    drop(first);
    let server = database.serve();
    assert_eq!(server.query(AFTER_CONTENTION).text(), expected[2]);
    let log = read(&server.log);
    assert!(log.contains("crash recovery"), "{log}");
    server.stop();

    // What was written is what the host's server reads.
    let same = Database {
        on: On::Host,
        folder: database.folder,
    };
    let server = same.serve();
    assert_eq!(server.query(AFTER_CONTENTION).text(), expected[2]);
    server.stop();
}
