//! Why a command did not do its work: a message of the table, and what a person needs to act.

use std::{fmt, io};

use model::{CciError, error::printable};

use crate::message::{self, Message};

/// What a command's function returns.
pub type Outcome<T = ()> = Result<T, Stop>;

/// What may fail without anything to print.
pub type Checked<T = ()> = Result<T, Box<Failure>>;

/// Why a command stopped.
#[derive(Debug)]
pub enum Stop {
    /// It did not do its work.
    Failure(Box<Failure>),
    /// Standard output does not take the lines.
    Output(io::Error),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(Box::new(failure))
    }
}

impl From<Box<Failure>> for Stop {
    fn from(failure: Box<Failure>) -> Self {
        Self::Failure(failure)
    }
}

impl From<CciError> for Stop {
    fn from(error: CciError) -> Self {
        Failure::from(error).into()
    }
}

/// A message, and the object, its state, the cause and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The message.
    pub message: Message,
    /// The words in its places.
    pub words: Vec<String>,
    /// What it was about.
    pub object: Option<String>,
    /// The state that object was found in.
    pub state: Option<String>,
    /// Why that is an error.
    pub cause: Option<String>,
    /// What to do about it.
    pub action: Option<String>,
}

impl Failure {
    /// A bare message.
    #[must_use]
    pub const fn new(message: Message) -> Self {
        Self { message, words: Vec::new(), object: None, state: None, cause: None, action: None }
    }

    /// The word for the next place of its text.
    #[must_use]
    pub fn word(mut self, word: impl fmt::Display) -> Self {
        self.words.push(word.to_string());
        self
    }

    /// What it was about.
    #[must_use]
    pub fn object(mut self, object: impl Into<String>) -> Self {
        self.object = Some(object.into());
        self
    }

    /// The state the object was in.
    #[must_use]
    pub fn state(mut self, state: impl Into<String>) -> Self {
        self.state = Some(state.into());
        self
    }

    /// Why it is an error.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// What to do.
    #[must_use]
    pub fn action(mut self, action: impl Into<String>) -> Self {
        self.action = Some(action.into());
        self
    }

    /// A mistake in the command line: what was typed, and what is wrong with it.
    #[must_use]
    pub fn usage(command: &str, typed: impl Into<String>, wrong: impl Into<String>) -> Self {
        Self::new(message::COMMAND_LINE)
            .object(typed)
            .cause(wrong)
            .action(format!("{command} -h lists the options"))
    }

    /// A mistake in the command line that the table of options finds.
    #[must_use]
    pub fn misread(error: CciError) -> Self {
        Self {
            message: message::COMMAND_LINE,
            words: Vec::new(),
            object: error.object,
            state: None,
            cause: error.cause,
            action: error.advice,
        }
    }

    /// The lines after the first.
    pub fn details(&self) -> impl Iterator<Item = String> + '_ {
        let fields = [
            ("OBJECT", &self.object),
            ("STATE", &self.state),
            ("CAUSE", &self.cause),
            ("ACTION", &self.action),
        ];
        fields.into_iter().filter_map(|(label, text)| {
            text.as_ref().map(|text| format!("{label} : {}", printable(text)))
        })
    }
}

impl From<CciError> for Failure {
    /// What HORCM or the array says.
    fn from(error: CciError) -> Self {
        let cause = match error.cause {
            Some(cause) => format!("{}: {cause}", error.code.text()),
            None => error.code.text().to_owned(),
        };
        Self {
            message: message::RAID_MANAGER,
            words: vec![error.code.name().to_owned()],
            object: error.object,
            state: error.state,
            cause: Some(cause),
            action: error.advice,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&dyn fmt::Display> = self.words.iter().map(|word| word as _).collect();
        f.write_str(&self.message.with(&words))?;
        self.details().try_for_each(|line| write!(f, "\n{line}"))
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use model::Code;

    use super::*;

    #[test]
    fn a_failure_tells_object_state_cause_and_action() {
        let failure = Failure::new(message::NO_BACKUP)
            .word("0000000007")
            .object("catalog")
            .state("2 backups")
            .cause("a\nb")
            .action("drmfscat lists them");
        assert_eq!(
            failure.to_string(),
            "KAVX0201-E The backup catalog has no such backup. Backup ID = 0000000007\n\
             OBJECT : catalog\nSTATE : 2 backups\nCAUSE : a\\nb\nACTION : drmfscat lists them"
        );
    }

    #[test]
    fn what_raid_manager_says_keeps_its_code() {
        let failure = Failure::from(CciError::new(Code::ExEnogrp).object("snap"));
        assert_eq!(
            failure.to_string(),
            "KAVX0052-E RAID Manager returned an error. code = EX_ENOGRP\nOBJECT : snap\n\
             CAUSE : No such group"
        );
    }
}
