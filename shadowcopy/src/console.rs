//! What a running command has at hand: the environment, its streams, where it tells what.

use std::{
    fmt,
    io::{Read, Write},
    path::PathBuf,
};

use commands::environment::Environment;
use protocol::Home;
use serde::Serialize;

use crate::{
    catalogue::Store,
    failure::{Outcome, Stop},
    message::Message,
};

/// Everything outside a command. The tests build one of memory.
pub struct Console<'c> {
    /// The command's name.
    pub command: &'static str,
    /// The environment variables.
    pub environment: Environment,
    /// Where RAID Manager keeps its files.
    pub home: Home,
    /// Standard input.
    pub input: &'c mut dyn Read,
    /// Standard output.
    pub output: &'c mut dyn Write,
    /// Standard error.
    pub errors: &'c mut dyn Write,
    /// Whether standard output holds nothing but a result for programs (JSON, an archive):
    /// messages go to standard error then.
    pub bare: bool,
    /// `-json`.
    pub json: bool,
    /// Whether a person looks at standard error.
    pub terminal: bool,
}

impl Console<'_> {
    /// Tells a message: on standard output, as the manual says; on standard error where standard
    /// output belongs to a program.
    ///
    /// # Errors
    /// Standard output does not take it.
    pub fn say(&mut self, message: Message, words: &[&dyn fmt::Display]) -> Outcome {
        self.tell(&message.with(words))
    }

    /// Tells lines, where messages go.
    ///
    /// # Errors
    /// Standard output does not take them.
    pub fn tell(&mut self, lines: &dyn fmt::Display) -> Outcome {
        if self.bare {
            // Nobody can be told that standard error is closed.
            let _ = writeln!(self.errors, "{lines}");
            return Ok(());
        }
        // Each message is seen when it is told: what follows may take hours.
        writeln!(self.output, "{lines}").and_then(|()| self.output.flush()).map_err(Stop::Output)
    }

    /// Prints a result.
    ///
    /// # Errors
    /// Standard output does not take it.
    pub fn print(&mut self, text: &str) -> Outcome {
        self.output.write_all(text.as_bytes()).map_err(Stop::Output)
    }

    /// Prints a result for programs: one JSON document.
    ///
    /// # Errors
    /// Standard output does not take it.
    pub fn print_json(&mut self, result: &impl Serialize) -> Outcome {
        let written = serde_json::to_writer_pretty(&mut *self.output, result);
        written.map_err(|error| Stop::Output(error.into()))?;
        self.print("\n")
    }

    /// The catalogue: `$DRM_DB_PATH`, else `$HORCMROOT/drm/db`.
    #[must_use]
    pub fn catalogue(&self) -> Store {
        Store::at(match self.environment.get("DRM_DB_PATH") {
            Some(path) => PathBuf::from(path),
            None => self.home.root().join("drm/db"),
        })
    }
}
