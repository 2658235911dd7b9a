//! From the start to the first query answered, and how much of it is attestation.

use std::time::Instant;

use super::{
    super::{Effort, interleave},
    server::{Kind, Site},
};
use crate::{
    bench::report::{Gate, Rounds, Row},
    fault::Fault,
};

/// Starts both servers again and again, files cached.
pub(super) fn rows(site: &mut Site, effort: Effort) -> Result<Vec<Row>, Fault> {
    let mut provisioning = Vec::new();
    let mut once = |bannock: bool| {
        let kind = if bannock { Kind::Bannock } else { Kind::Native };
        let begin = Instant::now();
        let server = site.start(kind)?;
        server.query("select 1")?;
        let taken = begin.elapsed().as_secs_f64() * 1e3;
        server.stop()?;
        if bannock {
            provisioning.push(site.provisioning()?);
        }
        Ok(taken)
    };
    // The first start reads everything from the disk.
    once(false)?;
    once(true)?;
    let rounds = interleave(effort.rounds, once)?;
    let provisioning = Rounds {
        ours: provisioning.split_off(1),
        ..Rounds::default()
    };
    Ok([
        Row::compare(
            "start to first answer".into(),
            "ms",
            &rounds,
            Gate::MoreAtMost(100.0),
        ),
        Row::compare(
            "attestation and configuration".into(),
            "ms",
            &provisioning,
            Gate::AtMost(30.0),
        ),
    ]
    .into_iter()
    .flatten()
    .collect())
}
