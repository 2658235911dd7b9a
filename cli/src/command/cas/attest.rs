//! `bannock cas attest`.

use super::failure;
use crate::failure::Failure;
use crate::output::{Output, Report, Table, note};
use crate::state::{KnownCas, parse_digest};
use bannock_cas_api::Hash;
use bannock_cas_client::{Expectation, trust_on_first_use};
use bannock_evidence::TcbStatus;
use serde::Serialize;
use std::process::ExitCode;
use std::time::SystemTime;

/// Lets a CAS prove what it is, and remembers its key for all later calls.
#[derive(clap::Args)]
#[group(id = "proof", required = true, multiple = true)]
pub(crate) struct Attest {
    /// Address of the CAS
    #[arg(value_name = "HOST:PORT")]
    address: String,
    /// SHA-256 of the published `bannock-cas` that it must be
    #[arg(long, value_name = "HEX", group = "proof")]
    measurement: Option<String>,
    /// SHA-256 of the root certificate of the simulated platform that may vouch for it
    #[arg(long, value_name = "HEX", requires = "measurement")]
    simulated_root: Option<String>,
    /// Tolerate this TCB status of its platform, as in Intel's TCB info
    #[arg(long, value_name = "STATUS", requires = "measurement")]
    tolerate: Vec<String>,
    /// Believe whoever answers, now and only now
    #[arg(long, group = "proof", conflicts_with = "measurement")]
    trust_on_first_use: bool,
}

#[derive(Serialize)]
struct Attested {
    address: String,
    key: Hash,
    measurement: Option<Hash>,
    trust_domain: Option<String>,
    tcb_status: Option<&'static str>,
}

impl Report for Attested {
    fn table(&self) -> Table {
        let unproved = || "not proved".to_owned();
        Table::new()
            .row(["cas", &self.address])
            .row(["key", &self.key.to_string()])
            .row([
                "measurement",
                &self.measurement.map_or_else(unproved, |it| it.to_string()),
            ])
            .row([
                "vouched for by",
                &self.trust_domain.clone().unwrap_or_else(unproved),
            ])
            .row(["TCB status", self.tcb_status.unwrap_or("not proved")])
    }
}

pub(super) fn run(attest: &Attest, output: &Output) -> Result<ExitCode, Failure> {
    let attested = match &attest.measurement {
        Some(measurement) => prove(attest, measurement)?,
        None => {
            note("INSECURE: whoever answers is believed (--trust-on-first-use)");
            Attested {
                address: attest.address.clone(),
                key: trust_on_first_use(&attest.address).map_err(failure)?,
                measurement: None,
                trust_domain: None,
                tcb_status: None,
            }
        }
    };
    KnownCas::load()?.pin(&attested.address, &attested.key.0)?;
    output.show(&attested)?;
    Ok(ExitCode::SUCCESS)
}

fn prove(attest: &Attest, measurement: &str) -> Result<Attested, Failure> {
    let root = attest
        .simulated_root
        .as_deref()
        .map(parse_digest)
        .transpose()?;
    if root.is_some() {
        note(
            "INSECURE: a simulated platform is trusted (--simulated-root): its host can do what the CAS can",
        );
    }
    let expectation = Expectation {
        measurement: Hash(parse_digest(measurement)?),
        simulated_root: root.map(Hash),
        tolerated: attest
            .tolerate
            .iter()
            .map(|name| tcb_status(name))
            .collect::<Result<_, _>>()?,
    };
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)?
        .as_secs();
    let proved = bannock_cas_client::attest(&attest.address, &expectation, now).map_err(failure)?;
    Ok(Attested {
        address: attest.address.clone(),
        key: proved.key,
        measurement: Some(proved.measurement),
        trust_domain: Some(proved.trust_domain.to_string()),
        tcb_status: Some(proved.tcb_status.as_str()),
    })
}

fn tcb_status(name: &str) -> Result<TcbStatus, Failure> {
    const ALL: [TcbStatus; 6] = [
        TcbStatus::UpToDate,
        TcbStatus::SwHardeningNeeded,
        TcbStatus::ConfigurationNeeded,
        TcbStatus::ConfigurationAndSwHardeningNeeded,
        TcbStatus::OutOfDate,
        TcbStatus::OutOfDateConfigurationNeeded,
    ];
    ALL.into_iter()
        .find(|status| status.as_str().eq_ignore_ascii_case(name))
        .ok_or_else(|| {
            Failure::usage(format!("there is no TCB status `{name}`"))
                .help(format!("one of {}", ALL.map(TcbStatus::as_str).join(", ")))
        })
}
