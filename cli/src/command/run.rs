//! `bannock run`: start a service as its session says, or a program without attestation.

use crate::container;
use crate::failure::{Because as _, Failure};
use crate::las::{self, Plan};
use crate::output::note;
use crate::state::{KnownCas, SYSTEM_LAS_SOCKET, parse_digest};
use bannock_wire::launch::LaunchIdentity;
use std::ffi::{OsStr, OsString};
use std::path::{self, Path, PathBuf};
use std::process::ExitCode;

/// File name of the runtime's image.
const RUNTIME: &str = "bannock-runtime";

/// Exit codes: the program's own; 120 denied by attestation or policy, 121 CAS or LAS out of
/// reach, 122 the runtime failed, 2 wrong usage; 128 + N when signal N ended it.
#[derive(clap::Args)]
pub(crate) struct Run {
    /// What to run: SESSION/SERVICE; also from BANNOCK_CONFIG_ID or SCONE_CONFIG_ID
    #[arg(long, value_name = "SESSION/SERVICE")]
    config_id: Option<String>,
    /// The CAS; also from BANNOCK_CAS_ADDR or SCONE_CAS_ADDR; the one attested last when absent
    #[arg(long, value_name = "HOST:PORT")]
    cas: Option<String>,
    /// SHA-256 of the CAS's public key; what `bannock cas attest` has found when absent
    #[arg(long, value_name = "HEX", env = "BANNOCK_CAS_KEY")]
    cas_key: Option<String>,
    /// Socket of the LAS; also from BANNOCK_LAS_ADDR or SCONE_LAS_ADDR
    #[arg(long, value_name = "SOCKET")]
    las: Option<PathBuf>,
    /// Manifest of a measured tree that the session names
    #[arg(long, value_name = "FILE")]
    tree: Vec<PathBuf>,
    /// The runtime to start; the `bannock-runtime` beside this program when absent
    #[arg(long, value_name = "FILE", env = "BANNOCK_RUNTIME")]
    runtime: Option<PathBuf>,
    /// End at any host call that is not on the platform's list
    #[arg(long)]
    audit_host_calls: bool,
    /// INSECURE: run a program of the host without attestation, for development
    #[arg(long, conflicts_with_all = ["config_id", "cas", "cas_key", "las", "tree"])]
    standalone: bool,
    /// Further mount of a stand-alone program, handed to the runtime
    #[arg(long, value_name = "MOUNT", requires = "standalone")]
    mount: Vec<OsString>,
    /// Working directory of a stand-alone program; this command's own when absent
    #[arg(long, value_name = "PATH", requires = "standalone")]
    directory: Option<PathBuf>,
    /// Print counts of unsupported system calls at the end
    #[arg(long)]
    stats: bool,
    /// Program and arguments of --standalone; an attested service takes none, and its runtime
    /// refuses them
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

impl Run {
    /// Options without a value that the runtime knows by the same name.
    fn flags(&self) -> impl Iterator<Item = &'static str> {
        let audit = self.audit_host_calls.then_some("--audit-host-calls");
        let stats = self.stats.then_some("--stats");
        audit.into_iter().chain(stats)
    }
}

/// Does it.
pub(crate) fn run(run: &Run) -> Result<ExitCode, Failure> {
    if run.standalone {
        return standalone(run);
    }
    let config_id = setting(run.config_id.clone(), "CONFIG_ID")?.ok_or_else(|| {
        Failure::usage("nothing says what to run")
            .help("name a service with --config-id SESSION/SERVICE, or use --standalone -- PROGRAM")
    })?;
    let (address, cas_key) = cas(run)?;
    let socket = setting(run.las.as_ref().map(text).transpose()?, "LAS_ADDR")?
        .map_or_else(|| PathBuf::from(SYSTEM_LAS_SOCKET), PathBuf::from);
    let runtime = runtime(run.runtime.as_deref())?;
    let mut arguments = vec!["--cas".to_owned(), address];
    for tree in &run.tree {
        let tree = path::absolute(tree)
            .because(|| format!("cannot make `{}` absolute", tree.display()))?;
        arguments.extend(["--tree".to_owned(), text(&tree)?]);
    }
    arguments.extend(run.flags().map(str::to_owned));
    // Not this command's to refuse: a host can leave it out, and the runtime refuses on the record.
    if !run.program.is_empty() {
        arguments.push("--".to_owned());
        for argument in &run.program {
            arguments.push(text(argument)?);
        }
    }
    las::run(&Plan {
        socket: &socket,
        image: &runtime,
        launch: LaunchIdentity::Service { config_id, cas_key },
        arguments,
        environment: environment(),
    })
}

/// The runtime decides by the session which of these its program sees.
fn environment() -> Vec<String> {
    std::env::vars_os()
        .filter_map(|(name, value)| {
            let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
            Some(format!("{name}={value}"))
        })
        .collect()
}

fn standalone(run: &Run) -> Result<ExitCode, Failure> {
    if run.program.is_empty() {
        return Err(Failure::usage("no program is named")
            .help("bannock run --standalone -- PROGRAM ARGUMENTS…"));
    }
    let runtime = runtime(run.runtime.as_deref())?;
    note("INSECURE: runs without attestation; nothing is protected from this machine");
    let mut arguments: Vec<OsString> = vec!["--standalone".into()];
    arguments.extend(run.flags().map(OsString::from));
    for mount in &run.mount {
        arguments.extend(["--mount".into(), mount.clone()]);
    }
    let directory = match &run.directory {
        Some(directory) => directory.clone(),
        None => std::env::current_dir().because(|| "cannot tell the working directory".into())?,
    };
    arguments.extend(["--directory".into(), directory.into(), "--".into()]);
    arguments.extend(run.program.iter().cloned());
    container::run(&runtime, &arguments)
}

/// Address and key of the CAS.
fn cas(run: &Run) -> Result<(String, [u8; 32]), Failure> {
    let known = KnownCas::load()?;
    let address = setting(run.cas.clone(), "CAS_ADDR")?
        .or_else(|| known.default_address().map(str::to_owned))
        .ok_or_else(|| {
            Failure::usage("no CAS is given and none was attested yet")
                .help("name one with --cas HOST:PORT, or attest one: bannock cas attest")
        })?;
    let key = match &run.cas_key {
        Some(key) => Some(parse_digest(key)?),
        None => known.key(&address)?,
    };
    match key {
        Some(key) => Ok((address, key)),
        None => Err(
            Failure::denied(format!("the key of the CAS at {address} is not known")).help(format!(
                "bannock cas attest {address} …, or name it with --cas-key"
            )),
        ),
    }
}

/// A setting from the command line, or `BANNOCK_name`, or `SCONE_name`.
fn setting(given: Option<String>, name: &str) -> Result<Option<String>, Failure> {
    if given.is_some() {
        return Ok(given);
    }
    for variable in [format!("BANNOCK_{name}"), format!("SCONE_{name}")] {
        match std::env::var(&variable) {
            Ok(value) if !value.is_empty() => return Ok(Some(value)),
            Ok(_) | Err(std::env::VarError::NotPresent) => {}
            Err(_) => return Err(Failure::usage(format!("`{variable}` is not UTF-8"))),
        }
    }
    Ok(None)
}

fn text(argument: impl AsRef<OsStr>) -> Result<String, Failure> {
    let argument = argument.as_ref();
    argument.to_str().map(str::to_owned).ok_or_else(|| {
        let shown = argument.display();
        Failure::usage(format!("`{shown}` is not UTF-8"))
    })
}

fn runtime(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let own = std::env::current_exe().because(|| "cannot find this program's file".to_owned())?;
    let beside = own.with_file_name(RUNTIME);
    if beside.is_file() {
        return Ok(beside);
    }
    Err(
        Failure::failed(format!("there is no `{}`", beside.display()))
            .help("install `bannock-runtime` beside `bannock`, or name it with --runtime"),
    )
}
