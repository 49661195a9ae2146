//! The Linux host, as the provider asks about it.
//!
//! | file | what it holds |
//! |---|---|
//! | [`users`] | who uses an LDEV here |
//! | [`openers`] | which programs have a block device open |
//! | [`access`] | an LDEV as a block device of this host |
//! | [`programs`] | the programs of others: mount, losetup, horcm |
//! | [`events`] | the event log: standard error and syslog |

pub mod access;
pub mod events;
pub mod openers;
pub mod programs;
pub mod users;

use commands::{environment::Environment, launch};
use model::{MuNumber, VolumeId};
use protocol::Home;
use provider::{
    host::{Host, Installation},
    settings,
};

use crate::volume::discover::Here;

/// This host: root, with the variables of the process.
#[derive(Debug)]
pub struct LinuxHost {
    home: Home,
    environment: Environment,
}

impl LinuxHost {
    /// With the generation that was chosen in place of `VSHTCHOMRCF_MUN`.
    #[must_use]
    pub fn new(home: Home, environment: Environment, generation: Option<MuNumber>) -> Self {
        let environment = match generation {
            Some(mu) => environment.with(settings::MUN, mu.to_string()),
            None => environment,
        };
        Self { home, environment }
    }
}

impl Host for LinuxHost {
    fn privileged(&self) -> bool {
        rustix::process::geteuid().is_root()
    }

    fn variable(&self, name: &str) -> Result<Option<String>, String> {
        Ok(self.environment.get(name).map(str::to_owned))
    }

    fn set_variable(&mut self, name: &str, value: &str) -> Result<(), String> {
        // No command is started that would read the process' own.
        self.environment = std::mem::take(&mut self.environment).with(name, value);
        Ok(())
    }

    fn installation(&self) -> Installation {
        let root = self.home.root();
        if !root.is_dir() {
            return Installation::Missing(root.display().to_string());
        }
        for program in ["horcmd", "horcm"] {
            if launch::find(&self.home, program).is_err() {
                return Installation::Without(program.to_owned());
            }
        }
        Installation::Whole
    }

    fn user_of(&self, volume: VolumeId) -> Option<String> {
        match Here::now() {
            Ok(here) => users::of(&here, volume).into_iter().next(),
            // Not to know is no reason to overwrite it.
            Err(error) => Some(format!("it cannot be seen who uses it: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_generation_counts_and_nothing_is_set_for_others() {
        let home = Home::at("/nowhere/at/all".into());
        let mut host = LinuxHost::new(home, Environment::default(), MuNumber::new(2));
        assert_eq!(host.variable(settings::MUN), Ok(Some("2".to_owned())));
        assert_eq!(host.variable(settings::LOCAL), Ok(None));
        host.set_variable("HORCMINST", "50").unwrap();
        assert_eq!(host.variable("HORCMINST"), Ok(Some("50".to_owned())));
        assert_ne!(std::env::var("HORCMINST").as_deref(), Ok("50"));
        assert_eq!(host.installation(), Installation::Missing("/nowhere/at/all".to_owned()));
    }
}
