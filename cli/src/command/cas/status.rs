//! `bannock cas status`.

use super::{Which, failure};
use crate::failure::Failure;
use crate::output::{Output, Report, Table};
use bannock_cas_api::{Platform, Status as CasStatus};
use bannock_cas_client::Client;
use serde::Serialize;
use std::process::ExitCode;

/// Asks a CAS what it is.
#[derive(clap::Args)]
pub(crate) struct Status {
    #[command(flatten)]
    which: Which,
}

#[derive(Serialize)]
struct Shown {
    address: String,
    status: CasStatus,
}

impl Report for Shown {
    fn table(&self) -> Table {
        let status = &self.status;
        let platform = match &status.platform {
            Platform::Attested {
                measurement,
                missing_isolation,
            } if missing_isolation.is_empty() => {
                format!("started by a LAS, measurement {measurement}")
            }
            Platform::Attested {
                measurement,
                missing_isolation,
            } => format!(
                "started by a LAS, measurement {measurement}; NOT isolated: {}",
                missing_isolation.join(", ")
            ),
            Platform::Insecure {} => "INSECURE: none (--insecure-no-platform)".to_owned(),
        };
        let anchor = match status.anchor.as_str() {
            "none" => "none: an older copy of the whole store would not be noticed",
            other => other,
        };
        let unattested = if status.allows_unattested {
            "INSECURE: served"
        } else {
            "refused"
        };
        Table::new()
            .row(["cas", &self.address])
            .row(["version", &status.version])
            .row(["key", &status.key.to_string()])
            .row(["platform", &platform])
            .row(["anchor", anchor])
            .row(["commits", &status.store_commits.to_string()])
            .row(["unattested sessions", unattested])
    }
}

pub(super) fn run(status: &Status, output: &Output) -> Result<ExitCode, Failure> {
    let (address, key) = status.which.pinned()?;
    let status = Client::new(&address, key, None).status().map_err(failure)?;
    output.show(&Shown { address, status })?;
    Ok(ExitCode::SUCCESS)
}
