//! Transactions per second of sysbench's OLTP loads.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    super::{Effort, ORDERS},
    server::{Kind, Server, Site},
};
use crate::{
    bench::report::{Gate, Rounds, Row},
    fault::Fault,
    process,
    stage::file,
};

const LOADS: [&str; 2] = ["oltp_read_write", "oltp_read_only"];
const THREADS: [u32; 3] = [1, 8, 32];
/// Both sides hold the same rows, all of them in the buffer pool.
const TABLES: &str = "--tables=4";
const ROWS: &str = "--table-size=20000";

/// How long one side works before the next does. A shared machine is faster and slower for seconds
/// at a time, which is so much alike for all sides of a round; switching takes about a
/// millisecond.
const SLICE: Duration = Duration::from_millis(100);

/// How long a stopped client's last answers take at most to come back: then its server is idle.
const SETTLE: Duration = Duration::from_millis(5);

/// How long each client works before the first round: caches, statistics and connection threads
/// are warm then.
const WARM_UP: Duration = Duration::from_secs(2);

/// Measures all loads with both servers running, one of them working at a time.
pub(super) fn rows(site: &mut Site, effort: Effort) -> Result<Vec<Row>, Fault> {
    let native = site.start(Kind::Native)?;
    let ours = site.start(Kind::Bannock)?;
    for server in [&native, &ours] {
        server.query("create database sbtest")?;
        process::output(sysbench(server, "oltp_read_write").arg("prepare"))?;
    }
    let mut rows = Vec::new();
    for load in LOADS {
        for threads in THREADS {
            let start = |server| Client::start(server, load, threads);
            let mut clients = [start(&native)?, start(&ours)?];
            let rounds = interleave(effort, |bannock| {
                let [native, ours] = &mut clients;
                if bannock { ours } else { native }.work(SLICE)
            })?;
            let name = format!("{load}, {threads} threads");
            println!("  {name}");
            rows.extend(Row::compare(name, "tps", &rounds, Gate::RatioAtLeast(0.95)));
        }
    }
    ours.stop()?;
    native.stop()?;
    Ok(rows)
}

/// Transactions, and the time that they took.
#[derive(Clone, Copy, Default)]
struct Work {
    transactions: u64,
    time: Duration,
}

impl Work {
    fn add(&mut self, more: Self) {
        self.transactions += more.transactions;
        self.time += more.time;
    }

    fn rate(self) -> f64 {
        self.transactions as f64 / self.time.as_secs_f64()
    }
}

/// Has all sides work in turn, slice by slice, until each has worked for all rounds.
fn interleave(
    effort: Effort,
    mut slice: impl FnMut(bool) -> Result<Work, Fault>,
) -> Result<Rounds, Fault> {
    let slices =
        (Duration::from_secs(effort.seconds.into()).as_millis() / SLICE.as_millis()).max(1);
    let mut orders = ORDERS.iter().cycle();
    let mut all = Rounds::default();
    for _ in 0..effort.rounds {
        let mut round = [Work::default(); 3];
        for order in orders.by_ref().take(usize::try_from(slices).unwrap_or(1)) {
            for side in order {
                if let Some(work) = round.get_mut(*side) {
                    work.add(slice(*side == 1)?);
                }
            }
        }
        let [baseline, ours, control] = round.map(Work::rate);
        all.baseline.push(baseline);
        all.ours.push(ours);
        all.control.push(control);
    }
    Ok(all)
}

fn sysbench(server: &Server, load: &str) -> Command {
    let mut command = Command::new("sysbench");
    command
        .args([
            load,
            "--mysql-host=127.0.0.1",
            "--mysql-user=root",
            TABLES,
            ROWS,
        ])
        .arg(format!("--mysql-port={}", server.port));
    command
}

/// A sysbench that stands still but while it is to work; killed when it is dropped.
struct Client {
    sysbench: Child,
    counter: Counter,
}

impl Client {
    fn start(server: &Server, load: &str, threads: u32) -> Result<Self, Fault> {
        /// Longer than any benchmark takes, in seconds.
        const FOR_EVER: u32 = 1_000_000;
        let mut command = sysbench(server, load);
        command
            .arg(format!("--threads={threads}"))
            .arg(format!("--time={FOR_EVER}"))
            .arg("run")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let sysbench = command.spawn().map_err(|source| Fault::Start {
            command: process::line(&command),
            source,
        })?;
        let mut client = Self {
            sysbench,
            counter: Counter::connect(server)?,
        };
        let begin = Instant::now();
        let before = client.counter.read()?;
        // It connects and looks at the tables before it works.
        while client.counter.read()? == before || begin.elapsed() < WARM_UP {
            client.require_running()?;
            thread::sleep(SETTLE);
        }
        client.signal(Signal::STOP)?;
        thread::sleep(SETTLE);
        Ok(client)
    }

    /// Works for about `time`.
    fn work(&mut self, time: Duration) -> Result<Work, Fault> {
        let before = self.counter.read()?;
        let begin = Instant::now();
        self.signal(Signal::CONT)?;
        thread::sleep(time);
        self.signal(Signal::STOP)?;
        let time = begin.elapsed();
        thread::sleep(SETTLE);
        self.require_running()?;
        let after = self.counter.read()?;
        Ok(Work {
            transactions: after.saturating_sub(before),
            time,
        })
    }

    fn signal(&self, signal: Signal) -> Result<(), Fault> {
        kill_process(Pid::from_child(&self.sysbench), signal)
            .map_err(|error| file("send a signal to", Path::new("sysbench"))(error.into()))
    }

    fn require_running(&mut self) -> Result<(), Fault> {
        let ended = self.sysbench.try_wait();
        match ended.map_err(file("wait for", Path::new("sysbench")))? {
            None => Ok(()),
            Some(status) => Err(Fault::Failed {
                command: "sysbench".into(),
                status,
            }),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It is gone already when this fails.
        let _ = self.sysbench.kill();
        let _ = self.sysbench.wait();
    }
}

/// A connection that reads how many transactions a server has committed.
struct Counter {
    mariadb: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Counter {
    fn connect(server: &Server) -> Result<Self, Fault> {
        let mut command = server.client();
        command
            .args(["--batch", "--skip-column-names", "--unbuffered"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let line = process::line(&command);
        let failed = |source| Fault::Start {
            command: line,
            source,
        };
        let mut mariadb = match command.spawn() {
            Ok(child) => child,
            Err(source) => return Err(failed(source)),
        };
        let (Some(questions), Some(answers)) = (mariadb.stdin.take(), mariadb.stdout.take()) else {
            return Err(failed(std::io::ErrorKind::BrokenPipe.into()));
        };
        Ok(Self {
            mariadb,
            questions,
            answers: BufReader::new(answers),
        })
    }

    fn read(&mut self) -> Result<u64, Fault> {
        let mut answer = String::new();
        self.questions
            .write_all(b"show global status like 'Com_commit';\n")
            .and_then(|()| self.questions.flush())
            .and_then(|()| self.answers.read_line(&mut answer))
            .map_err(file("ask", Path::new("mariadb")))?;
        committed(&answer).ok_or_else(|| Fault::Figure {
            command: "mariadb".into(),
            text: answer,
        })
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        let _ = self.mariadb.kill();
        let _ = self.mariadb.wait();
    }
}

/// The number in a line such as `Com_commit<TAB>1200`.
fn committed(line: &str) -> Option<u64> {
    line.trim_end().strip_prefix("Com_commit\t")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_in_what_the_client_prints() {
        assert_eq!(committed("Com_commit\t1165\n"), Some(1165));
        assert_eq!(committed(""), None);
        assert_eq!(committed("Com_commits\t1\n"), None);
    }

    #[test]
    fn every_side_works_as_long_in_every_round() {
        let effort = Effort {
            rounds: 3,
            seconds: 2,
        };
        let mut slices = [0, 0];
        let rounds = interleave(effort, |ours| {
            slices[usize::from(ours)] += 1;
            Ok(Work {
                transactions: if ours { 30 } else { 10 },
                time: SLICE,
            })
        })
        .unwrap();
        assert_eq!(slices, [2 * 3 * 20, 3 * 20]);
        assert_eq!(rounds.baseline, [100.0; 3]);
        assert_eq!(rounds.ours, [300.0; 3]);
        assert_eq!(rounds.control, [100.0; 3]);
    }
}
