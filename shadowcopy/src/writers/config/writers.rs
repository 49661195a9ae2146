//! The writers a configuration names, made ready.

use std::{fmt, time::Duration};

use super::Config;
use crate::{
    writer::{Begun, Fault, FaultKind, Writer},
    writers::{
        mariadb::MariaDb,
        postgresql::PostgreSql,
        program::{Hooks, Program, chosen, recover},
    },
};

/// A writer with the name that the configuration knows it by, or why it cannot be made ready.
pub type Named = (String, Result<Box<dyn Writer>, Fault>);

/// The configuration knows no such writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoWriter {
    name: String,
    known: Vec<String>,
}

impl fmt::Display for NoWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no writer {:?}; shadowcopy.toml ", self.name)?;
        match self.known.as_slice() {
            [] => f.write_str("has none"),
            known => write!(f, "has {}", known.join(", ")),
        }
    }
}

impl std::error::Error for NoWriter {}

impl Config {
    /// Names of the database servers: `postgresql/NAME`, then `mariadb/NAME`.
    pub fn servers(&self) -> impl Iterator<Item = String> {
        let postgresql = self.file.postgresql.keys().map(|name| format!("postgresql/{name}"));
        let mariadb = self.file.mariadb.keys().map(|name| format!("mariadb/{name}"));
        postgresql.chain(mariadb)
    }

    /// A database server, not connected yet.
    ///
    /// # Errors
    /// That it is not there; the error names those that are.
    pub fn server(&self, name: &str) -> Result<Box<dyn Writer>, NoWriter> {
        let postgresql = self.file.postgresql.iter().find_map(|(key, section)| {
            let settings = section.settings(&key.to_string());
            (name == format!("postgresql/{key}"))
                .then(|| Box::new(PostgreSql::new(settings)) as Box<dyn Writer>)
        });
        let mariadb = self.file.mariadb.iter().find_map(|(key, section)| {
            let settings = section.settings(&key.to_string());
            (name == format!("mariadb/{key}"))
                .then(|| Box::new(MariaDb::new(settings)) as Box<dyn Writer>)
        });
        let none = || NoWriter { name: name.to_owned(), known: self.servers().collect() };
        postgresql.or(mariadb).ok_or_else(none)
    }

    /// The writers that take part in every backup: the programs of the directory of programs, by
    /// name, and then the hooks, which freeze last.
    ///
    /// # Errors
    /// That a directory is not there, or a file in it is not to be trusted.
    pub fn always(&self) -> Result<Vec<Box<dyn Writer>>, Fault> {
        self.of_directories().into_iter().map(|(_, writer)| writer).collect()
    }

    /// All writers: database servers, programs, hooks. None is connected or called yet.
    #[must_use]
    pub fn named(&self) -> Vec<Named> {
        let servers = self.servers().map(|name| {
            let server = self.server(&name);
            let server = server.map_err(|no| Fault::new(FaultKind::NonRetryable, no.to_string()));
            (name, server)
        });
        let mut named: Vec<_> = servers.collect();
        named.extend(self.of_directories());
        named
    }

    fn of_directories(&self) -> Vec<Named> {
        let mut writers: Vec<Named> = Vec::new();
        if let Some(programs) = &self.file.programs {
            match chosen::executables(&programs.directory) {
                Ok(paths) => writers.extend(paths.into_iter().map(|path| {
                    let name = chosen::name(&path);
                    let program: Box<dyn Writer> = Box::new(Program::new(path, programs.timeout));
                    (name, Ok(program))
                })),
                Err(fault) => writers.push(("programs".to_owned(), Err(fault))),
            }
        }
        if let Some(hooks) = &self.file.hooks {
            let directory = hooks.directory.clone();
            let hooks = Box::new(Hooks::new(directory, hooks.timeout)) as Box<dyn Writer>;
            writers.push(("hooks".to_owned(), Ok(hooks)));
        }
        writers
    }

    /// Has the hooks and the programs thaw, in the reverse order, after a coordinator that died.
    /// Databases need nothing: their locks died with its sessions. Empty: all went well.
    #[must_use]
    pub fn thaw_after_crash(&self, begun: &Begun, within: Duration) -> Vec<Fault> {
        let hooks =
            self.file.hooks.iter().flat_map(|hooks| {
                recover::thaw_hooks(&hooks.directory, begun, hooks.timeout, within)
            });
        let programs = self.file.programs.iter().flat_map(|programs| {
            recover::thaw_programs(&programs.directory, begun, programs.timeout, within)
        });
        hooks.chain(programs).collect()
    }
}
