//! `bannock cas`: start a CAS, attest one, ask it what it is.

mod attest;
mod serve;
mod status;

use crate::failure::Failure;
use crate::output::Output;
use crate::state::KnownCas;
use bannock_cas_api::Hash;
use bannock_cas_client::ClientFault;
use std::process::ExitCode;

/// What to do with a CAS.
#[derive(clap::Subcommand)]
pub(crate) enum Cas {
    /// Let the LAS start a CAS, and stay until it ends
    Serve(serve::Serve),
    /// Let a CAS prove what it is, and remember its key
    Attest(attest::Attest),
    /// Ask a CAS what it is
    Status(status::Status),
}

/// Does it.
pub(crate) fn run(cas: Cas, output: &Output) -> Result<ExitCode, Failure> {
    match cas {
        Cas::Serve(serve) => serve::run(&serve),
        Cas::Attest(attest) => attest::run(&attest, output),
        Cas::Status(status) => status::run(&status, output),
    }
}

/// Which CAS to talk to.
#[derive(clap::Args)]
pub(crate) struct Which {
    /// Address of the CAS; the one attested last when absent
    #[arg(long, value_name = "HOST:PORT", env = "BANNOCK_CAS_ADDR")]
    cas: Option<String>,
}

impl Which {
    /// Address and pinned key.
    pub(crate) fn pinned(&self) -> Result<(String, Hash), Failure> {
        let known = KnownCas::load()?;
        let address = self
            .cas
            .as_deref()
            .or_else(|| known.default_address())
            .ok_or_else(|| {
                Failure::usage("no CAS is given and none was attested yet")
                    .help("name one with --cas HOST:PORT, or attest one: bannock cas attest")
            })?
            .to_owned();
        match known.key(&address)? {
            Some(key) => Ok((address, Hash(key))),
            None => Err(
                Failure::denied(format!("the CAS at {address} was not attested yet"))
                    .help(format!("bannock cas attest {address} --measurement …")),
            ),
        }
    }
}

/// A failed request with its documented exit code and the CAS's own advice.
pub(crate) fn failure(fault: ClientFault) -> Failure {
    let help = match &fault {
        ClientFault::Api(error) => match (&error.help, error.audit_record) {
            (Some(help), Some(record)) => Some(format!("{help} (audit record {record})")),
            (Some(help), None) => Some(help.clone()),
            (None, Some(record)) => Some(format!("see audit record {record}")),
            (None, None) => None,
        },
        ClientFault::Unreachable { .. } => {
            Some("start it with `bannock cas serve`, or name another with --cas".to_owned())
        }
        _ => None,
    };
    let failure = if fault.is_unavailable() {
        Failure::unavailable(fault)
    } else if fault.is_denial() {
        Failure::denied(fault)
    } else {
        Failure::from(fault)
    };
    match help {
        Some(help) => failure.help(help),
        None => failure,
    }
}
