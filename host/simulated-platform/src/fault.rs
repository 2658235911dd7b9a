//! What can go wrong with a simulated platform.

use std::{io, path::PathBuf};

use bannock_evidence::sgx::PckChainFault;

/// What a crypto or encoding library said.
pub type Cause = Box<dyn core::error::Error + Send + Sync + 'static>;

/// Why a simulated platform could not be created, opened or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlatformFault {
    /// A file or folder could not be read or written.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The folder holds a platform already.
    #[error(
        "`{}` holds a simulated platform already; replacing it makes all evidence and all data \
         sealed under it worthless, so this must be asked for",
        path.display()
    )]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds no platform, or one whose creation did not finish.
    #[error("`{}` holds no simulated platform; create one first", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// Others may read the folder or a file in it.
    #[error(
        "`{}` has mode {mode:04o}, so that other users can reach the platform's keys; take their \
         access away (chmod go=) or create a new platform",
        path.display()
    )]
    Permissions {
        /// The folder or file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file is not what this version writes.
    #[error("`{}` is damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The state file is not the expected JSON.
    #[error("`{}` is damaged: it is not the expected JSON document", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// The PCK certificate chain in the state file cannot be read.
    #[error("`{}` is damaged: its PCK certificate chain cannot be read", path.display())]
    Chain {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        #[source]
        source: PckChainFault,
    },
    /// The platform was written by a newer version.
    #[error(
        "`{}` has format {found}, but this version reads up to {supported}; use a newer one",
        path.display()
    )]
    NewerFormat {
        /// The state file.
        path: PathBuf,
        /// Format found.
        found: u32,
        /// Newest format this version reads.
        supported: u32,
    },
    /// Options that no platform can have.
    #[error("the options of the simulated platform are not possible: {problem}")]
    Options {
        /// What is wrong with them.
        problem: &'static str,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Entropy(#[source] Cause),
    /// A certificate, list or signature could not be made.
    #[error("cannot make the {object}")]
    Issue {
        /// What should have been made.
        object: &'static str,
        /// What the library said.
        #[source]
        source: Cause,
    },
}

impl PlatformFault {
    pub(crate) fn issue<E>(object: &'static str) -> impl Fn(E) -> Self
    where
        E: core::error::Error + Send + Sync + 'static,
    {
        move |source| Self::Issue {
            object,
            source: Box::new(source),
        }
    }
}
