//! Transactions per second of sysbench's OLTP loads.

use std::process::Command;

use super::{
    super::{Effort, interleave},
    server::{Kind, Server, Site},
};
use crate::{
    bench::report::{Gate, Row},
    fault::Fault,
    process,
};

const LOADS: [&str; 2] = ["oltp_read_write", "oltp_read_only"];
const THREADS: [u32; 3] = [1, 8, 32];
/// Both sides hold the same rows, all of them in the buffer pool.
const TABLES: &str = "--tables=4";
const ROWS: &str = "--table-size=20000";

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
            // Caches, statistics and connection threads are warm before the first round.
            for server in [&native, &ours] {
                throughput(server, load, threads, effort.seconds)?;
            }
            let rounds = interleave(effort.rounds, |bannock| {
                let server = if bannock { &ours } else { &native };
                throughput(server, load, threads, effort.seconds)
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

/// Transactions per second over `seconds`.
fn throughput(server: &Server, load: &str, threads: u32, seconds: u32) -> Result<f64, Fault> {
    let printed = process::output(
        sysbench(server, load)
            .arg(format!("--threads={threads}"))
            .arg(format!("--time={seconds}"))
            .arg("run"),
    )?;
    transactions(&printed).ok_or_else(|| Fault::Figure {
        command: "sysbench".into(),
        text: printed,
    })
}

/// The rate in a line such as `transactions:  1200 (399.1 per sec.)`.
fn transactions(printed: &str) -> Option<f64> {
    let line = printed
        .lines()
        .find(|line| line.contains("transactions:"))?;
    let rate = line.split_once('(')?.1.split(' ').next()?;
    rate.parse().ok().filter(|rate| *rate > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_found_in_what_sysbench_prints() {
        let printed =
            "    write: 0\n    transactions:                        1165   (387.92 per sec.)\n";
        assert_eq!(transactions(printed), Some(387.92));
        assert_eq!(transactions("transactions: 0 (0.00 per sec.)"), None);
        assert_eq!(transactions("FATAL: unable to connect"), None);
    }
}
