//! What a system call costs natively, rewritten and trapped.

use std::{collections::BTreeMap, path::Path, process::Command};

use super::{super::Effort, server::Site};
use crate::{
    bench::report::{Gate, Rounds, Row},
    fault::Fault,
    process,
};

/// How the program's calls reach the kernel: from its own text, which the runtime rewrites, or from
/// code that it makes at run time, which traps.
const WAYS: [(&str, &str); 2] = [("direct", "rewritten"), ("generated", "trapped")];

/// Compares the calls of `bench/main-job/syscall_cost.c`.
pub(super) fn rows(site: &Site, effort: Effort) -> Result<Vec<Row>, Fault> {
    let program = site.stage.path("syscall_cost");
    process::run(
        Command::new("gcc")
            .args(["-O2", "-Wall", "-Wextra", "-o"])
            .arg(&program)
            .arg(site.stage.example.join("syscall_cost.c")),
    )?;
    let mut rows = Vec::new();
    for (way, name) in WAYS {
        let mut calls: BTreeMap<String, Rounds> = BTreeMap::new();
        for round in 0..effort.rounds {
            // Baseline and control by turns, ours between them.
            let (first, last): (Side, Side) = if round % 2 == 0 {
                (|r| &mut r.baseline, |r| &mut r.control)
            } else {
                (|r| &mut r.control, |r| &mut r.baseline)
            };
            measure(site, &program, way, false, &mut calls, first)?;
            measure(site, &program, way, true, &mut calls, |r| &mut r.ours)?;
            measure(site, &program, way, false, &mut calls, last)?;
        }
        rows.extend(calls.into_iter().filter_map(|(call, rounds)| {
            Row::compare(format!("{call}, {name}"), "ns", &rounds, Gate::None)
        }));
    }
    Ok(rows)
}

type Side = fn(&mut Rounds) -> &mut Vec<f64>;

/// Runs the program once and files its figures.
fn measure(
    site: &Site,
    program: &Path,
    way: &str,
    ours: bool,
    calls: &mut BTreeMap<String, Rounds>,
    side: Side,
) -> Result<(), Fault> {
    let mut command = if ours {
        let mut command = site.stage.bannock(&["run", "--standalone", "--"]);
        command.arg(program);
        command
    } else {
        Command::new(program)
    };
    command.arg(way).current_dir(site.data());
    for line in process::output(&mut command)?.lines() {
        let Some((call, cost)) = line.split_once(' ') else {
            continue;
        };
        let cost = cost.trim().parse().map_err(|_| Fault::Figure {
            command: "syscall_cost".into(),
            text: line.to_owned(),
        })?;
        side(calls.entry(call.to_owned()).or_default()).push(cost);
    }
    Ok(())
}
