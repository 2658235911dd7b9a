//! `cargo xtask bench`: how fast, compared with native programs.

mod main_job;
mod report;
mod statistics;

pub(crate) use main_job::stop;

use clap::{Args, ValueEnum};

use crate::{build, fault::Fault, packages, workspace::Root};

/// Compare with native programs, as ratios from interleaved rounds.
#[derive(Args, Clone, Copy)]
pub(crate) struct Options {
    /// What to measure.
    name: Name,
    /// Few and short rounds with binaries as tests build them; reports, and never fails on a figure.
    #[arg(long)]
    quick: bool,
    /// Rounds of each comparison; at least 20 when absent, 3 with --quick.
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Length of one measurement of throughput; 2 seconds when absent, 1 with --quick.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u32>,
    /// Use the binaries that are in target/bannock.
    #[arg(long)]
    skip_build: bool,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    /// System calls, MariaDB under sysbench, and its start with attestation.
    MainJob,
}

impl Name {
    const fn text(self) -> &'static str {
        match self {
            Self::MainJob => "main-job",
        }
    }
}

impl Options {
    /// What CI runs: that the benchmark works, not what it says.
    pub(crate) const QUICK: Self = Self {
        name: Name::MainJob,
        quick: true,
        rounds: None,
        seconds: None,
        skip_build: false,
    };
}

/// How long to measure.
#[derive(Clone, Copy)]
struct Effort {
    /// Rounds of each comparison.
    rounds: usize,
    /// Length of one measurement of throughput, in seconds.
    seconds: u32,
}

/// Measures, prints the comparison and writes it to `target/bench/NAME.json`.
///
/// # Errors
/// When something cannot be measured, or, without --quick, a gate is missed.
pub(crate) fn run(root: &Root, options: &Options) -> Result<(), Fault> {
    let effort = Effort {
        rounds: options.rounds.unwrap_or(if options.quick { 3 } else { 30 }),
        seconds: options.seconds.unwrap_or(if options.quick { 1 } else { 2 }),
    };
    packages::install_for(packages::For::Bench)?;
    match (options.skip_build, options.quick) {
        (true, _) => {}
        (false, true) => build::for_tests(root)?,
        (false, false) => build::for_benchmarks(root)?,
    }
    let report = match options.name {
        Name::MainJob => main_job::run(root, effort)?,
    };
    report.print();
    let path = report.write(root, options.name.text())?;
    println!("written to {}", path.display());
    match report.missed() {
        0 => Ok(()),
        missed if options.quick => {
            println!("{missed} gates missed; that counts in a full run only");
            Ok(())
        }
        missed => Err(Fault::Bench(missed)),
    }
}

/// The orders in which the three sides of a round are measured, so that none is always first.
const ORDERS: [[usize; 3]; 6] = [
    [0, 1, 2],
    [2, 1, 0],
    [1, 0, 2],
    [2, 0, 1],
    [0, 2, 1],
    [1, 2, 0],
];

/// Measures all rounds: `measure(false)` gives the baseline, `measure(true)` ours.
fn interleave(
    rounds: usize,
    mut measure: impl FnMut(bool) -> Result<f64, Fault>,
) -> Result<report::Rounds, Fault> {
    let mut all = report::Rounds::default();
    for order in ORDERS.iter().cycle().take(rounds) {
        for side in order {
            match side {
                0 => all.baseline.push(measure(false)?),
                1 => all.ours.push(measure(true)?),
                _ => all.control.push(measure(false)?),
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_side_is_measured_in_every_round() {
        let mut seen = 0;
        let rounds = interleave(7, |ours| {
            seen += 1;
            Ok(if ours { 2.0 } else { 1.0 })
        })
        .unwrap();
        assert_eq!(seen, 21);
        assert_eq!(rounds.ours, [2.0; 7]);
        assert_eq!(rounds.baseline, [1.0; 7]);
        assert_eq!(rounds.control, [1.0; 7]);
    }
}
