//! The main job: what a system call costs, what MariaDB does in a second, and how long it takes
//! from its start to its first answer.

mod oltp;
mod server;
mod start;
mod system_calls;

use super::{Effort, report::Report};
use crate::{fault::Fault, workspace::Root};
use server::Site;
pub(crate) use server::stop;

/// Measures all of it.
///
/// # Errors
/// When something cannot be built, started or measured.
pub(super) fn run(root: &Root, effort: Effort) -> Result<Report, Fault> {
    let mut site = Site::prepare(root)?;
    println!("==> system calls");
    let mut rows = system_calls::rows(&site, effort)?;
    println!("==> start");
    rows.extend(start::rows(&mut site, effort)?);
    println!("==> sysbench");
    rows.extend(oltp::rows(&mut site, effort)?);
    Ok(Report::new(rows))
}
