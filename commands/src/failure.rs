//! Why a command ended without doing its work.

use std::io;

use model::{CciError, Code};

/// The exit code of a command that ran (0 to 127), or why it did not.
pub type Outcome = Result<u8, Failure>;

/// Why a command did not do its work.
#[derive(Debug)]
pub enum Failure {
    /// A mistake of the caller, of the daemon or of the array, in CCI's words.
    Cci(Box<CciError>),
    /// Standard output does not take the lines.
    Output(io::Error),
}

impl From<CciError> for Failure {
    fn from(error: CciError) -> Self {
        Self::Cci(Box::new(error))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Failure {
    /// What to tell the user; `None` where nobody reads any more (a closed pipe), which is no
    /// failure of the command.
    #[must_use]
    pub fn into_error(self) -> Option<CciError> {
        match self {
            Self::Cci(error) => Some(*error),
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => None,
            Self::Output(error) => Some(
                CciError::new(Code::ExComerr)
                    .object("standard output")
                    .cause(format!("the lines cannot be written: {error}")),
            ),
        }
    }
}

/// A mistake in the command line: what was typed, what is wrong with it, where the usage stands.
#[must_use]
pub fn usage(command: &str, code: Code, typed: &str, wrong: impl Into<String>) -> CciError {
    let advice = format!("{} -h lists the options", crate::call(command));
    CciError::new(code).object(typed).cause(wrong).advice(advice)
}

/// Something that CCI has and this version has not.
#[must_use]
pub fn not_there_yet(typed: &str, what: &str) -> CciError {
    CciError::new(Code::ExEnosup)
        .object(typed)
        .cause(format!("{what} is not supported by this version yet"))
}
