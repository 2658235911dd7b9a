//! How a command fails: a chain of causes printed once, a hint, and a documented exit code.

use bannock_wire::exit;
use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

/// Exit code of a command that could not do its work, apart from the kinds in
/// [`bannock_wire::exit`].
pub(crate) const ERROR: u8 = 1;

/// Why a command failed.
///
/// Every error turns into one with exit code [`ERROR`]; the constructors choose another.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: u8,
    error: Box<dyn Error + Send + Sync>,
    help: Option<String>,
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            exit: ERROR,
            error: error.into(),
            help: None,
        }
    }
}

impl Failure {
    /// The runtime or the platform failed.
    pub(crate) fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::from(error).with_exit(exit::FAILED)
    }

    /// Attestation or policy said no.
    pub(crate) fn denied(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::from(error).with_exit(exit::DENIED)
    }

    /// A service that is needed could not be reached.
    pub(crate) fn unavailable(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::from(error).with_exit(exit::UNAVAILABLE)
    }

    /// The command line makes no sense.
    pub(crate) fn usage(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::from(error).with_exit(exit::USAGE)
    }

    const fn with_exit(mut self, exit: u8) -> Self {
        self.exit = exit;
        self
    }

    /// Says what to do next.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Prints the failure and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        crate::output::note(&self.text());
        ExitCode::from(self.exit)
    }

    fn text(&self) -> String {
        let mut text = format!("error: {}", self.error);
        let mut cause = self.error.source();
        while let Some(error) = cause {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n  caused by: {error}");
            cause = error.source();
        }
        if let Some(help) = &self.help {
            let _ = write!(text, "\n  help: {help}");
        }
        text
    }
}

/// What was tried, above the error that says why it failed.
#[derive(Debug, thiserror::Error)]
#[error("{context}")]
pub(crate) struct Context {
    context: String,
    source: Box<dyn Error + Send + Sync>,
}

/// Adds what was tried to an error.
pub(crate) trait Because<T> {
    /// Wraps the error in `what` was tried.
    fn because(self, what: impl FnOnce() -> String) -> Result<T, Context>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> Because<T> for Result<T, E> {
    fn because(self, what: impl FnOnce() -> String) -> Result<T, Context> {
        self.map_err(|source| Context {
            context: what(),
            source: source.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_is_printed_once_with_its_help() {
        let error: Result<(), _> = Err(std::io::Error::other("no such file"));
        let failure = Failure::unavailable(error.because(|| "cannot read `x`".into()).unwrap_err())
            .help("create it");
        assert_eq!(
            failure.text(),
            "error: cannot read `x`\n  caused by: no such file\n  help: create it"
        );
        assert_eq!(failure.exit, 121);
    }
}
