//! What the host says on the runtime's command line: addresses and paths, never trusted.
//!
//! ```text
//! bannock-runtime --cas ADDRESS:PORT [--tree MANIFEST]... [--stats] [--audit-host-calls]
//! bannock-runtime --standalone [--mount SPEC]... [--directory PATH] [--stats] [--audit-host-calls]
//!     -- PROGRAM ARGS...
//! ```
//!
//! An instance with a launch identity takes nothing else from the host: a further argument is
//! refused, not ignored, because whoever added it expected an effect.

use crate::BootFault;
use alloc::{format, string::String, vec::Vec};
use core::net::SocketAddr;

/// What the host says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Where the host says that the CAS is.
    pub cas: Option<SocketAddr>,
    /// Where the host keeps manifests of measured trees.
    pub trees: Vec<String>,
    /// Print statistics at the end.
    pub stats: bool,
    /// Install the filter that ends the container on any host call outside of the platform's list.
    pub audit_host_calls: bool,
    /// What to run without attestation.
    pub standalone: Option<Standalone>,
}

/// A run without attestation, for developers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standalone {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Mounts, beside the default.
    pub mounts: Vec<HostMount>,
    /// Working directory; `/` when absent.
    pub directory: Option<String>,
}

/// `host:PATH[:SOURCE][:ro]` or `memory:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostMount {
    /// A directory of the host.
    Host {
        /// Where it appears.
        path: String,
        /// The directory.
        source: String,
        /// Refuse every change.
        read_only: bool,
    },
    /// Memory.
    Memory {
        /// Where it appears.
        path: String,
    },
}

impl HostMount {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let kind = parts.next()?;
        let path = parts.next().filter(|p| p.starts_with('/'))?;
        match kind {
            "memory" if parts.next().is_none() => Some(Self::Memory { path: path.into() }),
            "host" => {
                let rest: Vec<&str> = parts.collect();
                let (source, read_only) = match *rest.as_slice() {
                    [] => (path, false),
                    ["ro"] => (path, true),
                    [source] => (source, false),
                    [source, "ro"] => (source, true),
                    _ => return None,
                };
                source.starts_with('/').then(|| Self::Host {
                    path: path.into(),
                    source: source.into(),
                    read_only,
                })
            }
            _ => None,
        }
    }
}

impl Options {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    /// `Denied` for anything that is not understood.
    pub fn parse<'a>(mut arguments: impl Iterator<Item = &'a str>) -> Result<Self, BootFault> {
        let mut options = Self::default();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments.next().ok_or_else(|| {
                    BootFault::Denied(format!(
                        "`{argument}` on the runtime's command line lacks its value"
                    ))
                })
            };
            match argument {
                "--cas" => {
                    let text = value()?;
                    let address = text.parse().map_err(|_| {
                        BootFault::Denied(format!(
                            "`{text}` is not an address and port of a CAS, as in 127.0.0.1:8081"
                        ))
                    })?;
                    options.cas = Some(address);
                }
                "--tree" => options.trees.push(value()?.into()),
                "--stats" => options.stats = true,
                "--audit-host-calls" => options.audit_host_calls = true,
                "--standalone" => options.standalone = Some(Standalone::default()),
                "--mount" => {
                    let text = value()?;
                    let mount = HostMount::parse(text).ok_or_else(|| {
                        BootFault::Denied(format!(
                            "`{text}` is not a mount; write host:PATH[:SOURCE][:ro] or memory:PATH"
                        ))
                    })?;
                    match &mut options.standalone {
                        Some(standalone) => standalone.mounts.push(mount),
                        None => return Err(refused(argument)),
                    }
                }
                "--directory" => {
                    let path = value()?;
                    match &mut options.standalone {
                        Some(standalone) => standalone.directory = Some(path.into()),
                        None => return Err(refused(argument)),
                    }
                }
                "--" => match &mut options.standalone {
                    Some(standalone) => {
                        standalone.argv = arguments.by_ref().map(String::from).collect()
                    }
                    // What follows is what somebody hoped for.
                    None => return Err(refused(arguments.next().unwrap_or(argument))),
                },
                other => return Err(refused(other)),
            }
        }
        Ok(options)
    }
}

fn refused(argument: &str) -> BootFault {
    BootFault::Denied(format!(
        "the host added the argument `{argument}`; what an attested service runs is the session's to say"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, BootFault> {
        Options::parse(arguments.iter().copied())
    }

    #[test]
    fn addresses_and_paths_are_understood() {
        let options = parse(&[
            "--cas",
            "127.0.0.1:8081",
            "--tree",
            "/a.tree",
            "--tree",
            "/b.tree",
            "--stats",
        ])
        .unwrap();
        assert_eq!(options.cas, Some("127.0.0.1:8081".parse().unwrap()));
        assert_eq!(options.trees, ["/a.tree", "/b.tree"]);
        assert!(options.stats && !options.audit_host_calls && options.standalone.is_none());
    }

    #[test]
    fn whatever_else_the_host_adds_is_refused() {
        for added in [
            &["--cas", "127.0.0.1:1", "--init-file=/tmp/x"][..],
            &["x"],
            &["--", "sh"],
            &["--mount", "memory:/x"],
            &["--directory", "/x"],
            &["--cas"],
            &["--cas", "localhost"],
        ] {
            assert!(
                matches!(parse(added), Err(BootFault::Denied(_))),
                "{added:?}"
            );
        }
    }

    #[test]
    fn the_argument_that_was_added_is_named() {
        for (added, named) in [
            (&["--", "--init-file=/tmp/x"][..], "--init-file=/tmp/x"),
            (&["--"], "--"),
            (&["x"], "x"),
        ] {
            let fault = parse(added).unwrap_err();
            let expected = format!("added the argument `{named}`");
            assert!(fault.reason().contains(&expected), "{fault}");
        }
    }

    #[test]
    fn a_standalone_run_names_program_and_mounts() {
        let options = parse(&[
            "--standalone",
            "--mount",
            "host:/data:/srv/x:ro",
            "--mount",
            "memory:/tmp",
            "--",
            "/bin/sh",
            "--cas",
        ])
        .unwrap();
        let standalone = options.standalone.unwrap();
        assert_eq!(standalone.argv, ["/bin/sh", "--cas"]);
        assert_eq!(
            standalone.mounts,
            [
                HostMount::Host {
                    path: "/data".into(),
                    source: "/srv/x".into(),
                    read_only: true
                },
                HostMount::Memory {
                    path: "/tmp".into()
                },
            ]
        );
        assert!(parse(&["--standalone", "--mount", "host:relative"]).is_err());
    }
}
