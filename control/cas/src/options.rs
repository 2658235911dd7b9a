//! The command line of `bannock-cas`. It is the host's to choose, so nothing secret depends on it.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

/// How to use the program.
pub const USAGE: &str = "\
usage: bannock-cas --store DIR [--listen ADDR:PORT] [--audit FILE]
                   [--insecure-no-platform] [--insecure-allow-unattested]

Started by a LAS (see `bannock cas serve`), which vouches for it and gives it its sealing key.

  --store DIR                   where sealed records are kept
  --listen ADDR:PORT            where to listen (default 127.0.0.1:8081)
  --audit FILE                  where the audit log is kept (default DIR/audit.jsonl)
  --insecure-no-platform        run without a LAS: keys in a file, nothing can be proved; for tests
  --insecure-allow-unattested   serve sessions whose attestation mode is `none`
  --version                     print the version";

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Directory of the store.
    pub store: PathBuf,
    /// The audit log's file.
    pub audit: PathBuf,
    /// Run without a LAS.
    pub insecure_no_platform: bool,
    /// Serve sessions with `mode: none`.
    pub insecure_allow_unattested: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Serve.
    Serve(Options),
    /// Print the version.
    Version,
    /// Print [`USAGE`].
    Help,
}

/// The command line was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOption {
    /// There is no such option.
    #[error("unknown option `{0}`")]
    Unknown(String),
    /// An option lacks its value.
    #[error("option `{0}` needs a value")]
    NoValue(&'static str),
    /// An option must be given.
    #[error("option `{0}` is missing")]
    Missing(&'static str),
    /// Not an address.
    #[error("`{0}` is not an address with a port, such as 127.0.0.1:8081")]
    Address(String),
}

/// Parses the arguments after the program's name.
///
/// # Errors
/// [`BadOption`] names the first argument that was not understood.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, BadOption> {
    let mut arguments = arguments.into_iter();
    let mut listen = SocketAddr::from(([127, 0, 0, 1], 8081));
    let (mut store, mut audit) = (None, None);
    let (mut insecure_no_platform, mut insecure_allow_unattested) = (false, false);
    while let Some(argument) = arguments.next() {
        let mut value = |option| arguments.next().ok_or(BadOption::NoValue(option));
        match argument.to_str() {
            Some("--listen") => {
                let text = value("--listen")?.to_string_lossy().into_owned();
                listen = text.parse().map_err(|_| BadOption::Address(text))?;
            }
            Some("--store") => store = Some(PathBuf::from(value("--store")?)),
            Some("--audit") => audit = Some(PathBuf::from(value("--audit")?)),
            Some("--insecure-no-platform") => insecure_no_platform = true,
            Some("--insecure-allow-unattested") => insecure_allow_unattested = true,
            Some("--version") => return Ok(Command::Version),
            Some("--help" | "-h") => return Ok(Command::Help),
            _ => return Err(BadOption::Unknown(argument.to_string_lossy().into_owned())),
        }
    }
    let store: PathBuf = store.ok_or(BadOption::Missing("--store"))?;
    Ok(Command::Serve(Options {
        listen,
        audit: audit.unwrap_or_else(|| store.join("audit.jsonl")),
        store,
        insecure_no_platform,
        insecure_allow_unattested,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Command, BadOption> {
        parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn defaults_are_secure_and_local() {
        let Ok(Command::Serve(options)) = parsed(&["--store", "/s"]) else {
            panic!("refused");
        };
        assert!(options.listen.ip().is_loopback());
        assert_eq!(options.audit, PathBuf::from("/s/audit.jsonl"));
        assert!(!options.insecure_no_platform && !options.insecure_allow_unattested);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert_eq!(parsed(&[]), Err(BadOption::Missing("--store")));
        assert_eq!(parsed(&["--store"]), Err(BadOption::NoValue("--store")));
        assert_eq!(
            parsed(&["--stroe"]),
            Err(BadOption::Unknown("--stroe".into()))
        );
        assert_eq!(
            parsed(&["--store", "/s", "--listen", "localhost"]),
            Err(BadOption::Address("localhost".into()))
        );
    }
}
