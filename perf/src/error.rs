//! Why a test did not come to its end, and what the process answers to that.

use std::process::ExitCode;

/// Why there is no (good) result. Each text is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// What was asked for cannot be: found before anything was touched. Exit code 2, as clap's.
    #[error("{0}")]
    Usage(String),
    /// This machine lacks something: root, a core, a program. Nothing was measured. Exit code 77.
    #[error("{0}")]
    CannotRun(String),
    /// It ran, and failed. Exit code 1.
    #[error("{0}")]
    Failed(String),
    /// Ctrl-C, SIGTERM or SIGHUP. Exit code 130.
    #[error("interrupted; nothing is left behind")]
    Interrupted,
}

impl Error {
    /// The exit code that stands for it.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::CannotRun(_) => 77,
            Self::Interrupted => 130,
        })
    }

    /// [`Error::Failed`] while doing `what`.
    pub(crate) fn failed<E: std::fmt::Display>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |error| Self::Failed(format!("{what}: {error}"))
    }
}

/// What tests return.
pub(crate) type Result<T = ()> = std::result::Result<T, Error>;
