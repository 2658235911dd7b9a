//! `bannock session`: check, create, read and update sessions.

use super::cas::{Which, failure};
use crate::failure::{Because as _, Failure};
use crate::output::{Output, Report, Table, note};
use crate::state::{config_dir, create_private_dir, replace_private_file};
use bannock_cas_api::{Checked, Created, SessionView, Updated};
use bannock_cas_client::{Client, ClientFault, OwnerIdentity};
use bannock_policy::Session as Policy;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zeroize::Zeroizing;

/// What to do with a session.
#[derive(clap::Subcommand)]
pub(crate) enum Session {
    /// Check a session, on this machine alone, and print its hash
    Check {
        /// The session; `-` for standard input
        file: PathBuf,
    },
    /// Create a session: its name must be new
    Create {
        /// The session; `-` for standard input
        file: PathBuf,
        #[command(flatten)]
        which: Which,
    },
    /// Print a session as it was uploaded
    Read {
        /// Name of the session
        name: String,
        #[command(flatten)]
        which: Which,
    },
    /// Replace a session by one that names its hash as `predecessor`
    Update {
        /// The session; `-` for standard input
        file: PathBuf,
        #[command(flatten)]
        which: Which,
    },
    /// Print the audit records of your own sessions, as the CAS logged them
    Audit {
        #[command(flatten)]
        which: Which,
    },
    /// Print your identity: the hash by which policies name you
    Identity,
}

impl Report for Checked {
    fn table(&self) -> Table {
        Table::new()
            .row(["session", &self.name])
            .row(["hash", &self.hash.to_string()])
    }
}

impl Report for Created {
    fn table(&self) -> Table {
        Table::new()
            .row(["session", &self.name])
            .row(["hash", &self.hash.to_string()])
    }
}

impl Report for Updated {
    fn table(&self) -> Table {
        Table::new()
            .row(["session", &self.name])
            .row(["old hash", &self.old_hash.to_string()])
            .row(["hash", &self.hash.to_string()])
    }
}

impl Report for SessionView {
    fn table(&self) -> Table {
        Table::new()
            .row(["session", &self.name])
            .row(["hash", &self.hash.to_string()])
            .row(["creator", &self.creator.to_string()])
    }
}

#[derive(serde::Serialize)]
struct Owner {
    identity: bannock_cas_api::Identity,
    file: PathBuf,
}

impl Report for Owner {
    fn table(&self) -> Table {
        Table::new()
            .row(["identity", &self.identity.to_string()])
            .row(["file", &self.file.display().to_string()])
    }
}

/// Does it.
pub(crate) fn run(session: Session, output: &Output) -> Result<ExitCode, Failure> {
    match session {
        Session::Check { file } => {
            let (policy, _) = load(&file)?;
            output.show(&Checked {
                name: policy.name().to_string(),
                hash: bannock_cas_api::Hash(policy.hash().0),
            })?;
        }
        Session::Create { file, which } => {
            let (policy, text) = load(&file)?;
            output.show(&as_owner(&which, |cas| {
                cas.create(policy.name().as_str(), &text)
            })?)?;
        }
        Session::Read { name, which } => {
            let view = as_owner(&which, |cas| cas.read(&name))?;
            if output.is_json() {
                output.show(&view)?;
            } else {
                // The text alone, so that it can be edited and sent back.
                output.bytes(view.session.as_bytes())?;
                note(&format!("session {} has hash {}", view.name, view.hash));
            }
        }
        Session::Update { file, which } => {
            let (policy, text) = load(&file)?;
            output.show(&as_owner(&which, |cas| {
                cas.update(policy.name().as_str(), &text)
            })?)?;
        }
        Session::Audit { which } => {
            let page = as_owner(&which, |cas| cas.audit())?;
            if page.more {
                note("only the newest records are shown");
            }
            for record in page.records {
                output.bytes(format!("{record}\n").as_bytes())?;
            }
        }
        Session::Identity => {
            let file = owner_file()?;
            let identity = owner()?.hash();
            output.show(&Owner { identity, file })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks the CAS something under the identity of the sessions' owner.
fn as_owner<T>(
    which: &Which,
    ask: impl FnOnce(&Client<'_>) -> Result<T, ClientFault>,
) -> Result<T, Failure> {
    let (address, key) = which.pinned()?;
    let owner = owner()?;
    ask(&Client::new(&address, key, Some(&owner))).map_err(failure)
}

/// Reads and checks a session; its text may hold secrets.
fn load(file: &Path) -> Result<(Policy, Zeroizing<Vec<u8>>), Failure> {
    let limit = u64::try_from(bannock_cas_api::MAX_SESSION_TEXT).unwrap_or(u64::MAX);
    let mut text = Zeroizing::new(Vec::new());
    let source: Box<dyn io::Read> = if file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(fs::File::open(file).because(|| format!("cannot open `{}`", file.display()))?)
    };
    source
        .take(limit.saturating_add(1))
        .read_to_end(&mut text)
        .because(|| format!("cannot read `{}`", file.display()))?;
    let policy =
        Policy::parse(&text).because(|| format!("`{}` is not a valid session", file.display()))?;
    Ok((policy, text))
}

fn owner_file() -> Result<PathBuf, Failure> {
    Ok(config_dir()?.join("identity.pem"))
}

/// The owner's identity; made the first time.
fn owner() -> Result<OwnerIdentity, Failure> {
    let path = owner_file()?;
    let read = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let (text, identity) = OwnerIdentity::generate()?;
            create_private_dir(&config_dir()?)?;
            replace_private_file(&path, text.as_bytes())?;
            note(&format!(
                "your identity is {}, kept in `{}`",
                identity.hash(),
                path.display()
            ));
            return Ok(identity);
        }
        other => other,
    };
    let text = Zeroizing::new(read.because(|| format!("cannot read `{}`", path.display()))?);
    Ok(OwnerIdentity::from_pem(&text)
        .because(|| format!("`{}` is not an identity", path.display()))?)
}
