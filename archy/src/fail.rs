//! How a command fails, and with which exit code.

use crate::out::Out;
use protocol::client::ClientError;
use std::{
    error::Error,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command has told what is wrong; only the exit code is left.
    #[error("failed")]
    Told,
    /// Nobody reads any more, as after `| head`; no failure.
    #[error("nobody reads")]
    BrokenPipe,
    #[error("the output cannot be written")]
    Output(#[source] io::Error),
    #[error("{path} cannot be read", path = .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    #[error("{path} cannot be written", path = .0.display())]
    Unwritable(PathBuf, #[source] io::Error),
    #[error("nothing was typed")]
    Nothing,
    #[error("this destroys something and has to be confirmed")]
    Unconfirmed(String),
    #[error("that is not {0}; nothing was done")]
    NotConfirmed(String),
    #[error("the token cannot be read from {path}", path = .0.display())]
    Token(PathBuf, #[source] io::Error),
    #[error("there is no home directory; give --data-dir")]
    NoHome,
    #[error("there is no app {0} on this node; `archy apps` lists them")]
    NoApp(String),
    #[error("nothing runs on the app {0}")]
    NothingRuns(String),
    #[error("there is no app and no operation {0}; `archy apps` and `archy watch --stream ops` list them")]
    NoOperation(String),
    #[error("the app {0} has no containers; start it first")]
    NoContainers(String),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the runtime cannot be started")]
    Runtime(#[source] io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::Output(error),
        }
    }
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::BrokenPipe => 0,
            Self::Unreadable(..)
            | Self::Unwritable(..)
            | Self::Nothing
            | Self::Unconfirmed(_)
            | Self::NotConfirmed(_)
            | Self::Token(..)
            | Self::NoHome
            | Self::Client(ClientError::Address { .. }) => 2,
            Self::Client(ClientError::Unreachable { .. }) => 3,
            _ => 1,
        }
    }

    /// What to do about it, where that is known.
    fn remedy(&self) -> Option<String> {
        match self {
            Self::Client(ClientError::Unreachable { .. }) => Some("start it with `make run`".into()),
            Self::Client(ClientError::Refused(error)) => error.hint.clone(),
            Self::Client(ClientError::Protocol(_)) => {
                Some("use the archy that was built with this node".into())
            }
            Self::Unconfirmed(word) => Some(format!("add --confirm {word}")),
            Self::Token(..) => Some(
                "give the node's --data-dir or its --token-file, as the user that the node runs as".into(),
            ),
            _ => None,
        }
    }

    /// The failure in words.
    fn words(&self) -> String {
        if let (Self::Client(ClientError::Unreachable { .. }), Some(remedy)) = (self, self.remedy()) {
            return format!("{self}; {remedy}");
        }
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        if let Self::Client(ClientError::Refused(error)) = self {
            for problem in &error.problems {
                text = format!("{text}\n{problem}");
            }
        }
        match self.remedy() {
            Some(remedy) => format!("{text}\n  {remedy}"),
            None => text,
        }
    }

    /// Tells the user and gives the exit code. With `--json` a refusal is also printed as the node sent it.
    pub(crate) fn tell(&self, out: &mut Out) -> ExitCode {
        if !matches!(self, Self::Told | Self::BrokenPipe) {
            if let (true, Self::Client(ClientError::Refused(error))) = (out.json(), self) {
                // The code tells also where nobody reads.
                let _ = out.object(error);
            }
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(io::stderr(), "archy: {}", self.words());
        }
        self.code().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{ApiError, ErrorCode};

    #[test]
    fn a_node_that_does_not_answer_is_told_with_the_remedy() {
        let url = "http://127.0.0.1:1".to_owned();
        let failure =
            Failure::Client(ClientError::Unreachable { url, source: io::Error::other("refused").into() });
        let expected = "the node does not answer at http://127.0.0.1:1; start it with `make run`";
        assert_eq!(failure.words(), expected);
        assert_eq!(failure.code(), 3);
    }

    #[test]
    fn a_refusal_is_told_with_its_hint() {
        let error = ApiError::new(ErrorCode::OpInProgress, "demo is being installed").hint("wait for it");
        let failure = Failure::Client(ClientError::Refused(Box::new(error)));
        assert_eq!(failure.words(), "demo is being installed\n  wait for it");
        assert_eq!(failure.code(), 1);
    }

    #[test]
    fn a_broken_pipe_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(failure.code(), 0);
    }
}
