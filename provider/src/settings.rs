//! The system environment variables of the provider (MK-94HC074 Table 3.3).

use std::str::FromStr;

use model::{Instance, MuNumber};

use crate::{
    error::{Fault, Outcome},
    event::Event,
};

/// The instance whose volumes are the P-VOLs.
pub const LOCAL: &str = "VSHTCHORCMINST_LOCAL";
/// The instance whose volumes are the S-VOLs.
pub const REMOTE: &str = "VSHTCHORCMINST_REMOTE";
/// The MU# of the P-VOLs in the configuration file.
pub const MUN: &str = "VSHTCHOMRCF_MUN";

/// What the variables say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Where shadow copies are made; `None` on a host that only imports them.
    pub local: Option<Exporting>,
    /// Where S-VOLs are hidden and shown. Without it they are neither, as with a subsystem that
    /// has the NO READ attribute only; and shadow copies made elsewhere are unknown.
    pub remote: Option<Instance>,
}

/// What the making of shadow copies needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exporting {
    /// The instance.
    pub instance: Instance,
    /// The mirror of its P-VOLs.
    pub mirror: MuNumber,
}

impl Settings {
    /// Reads the variables; `lookup` gives a variable, or `None` where it is not defined. Empty is
    /// not defined.
    ///
    /// # Errors
    /// EV_EGETEV when neither instance is named, one has no MU#, or a value cannot be one; and
    /// when `lookup` fails, with what it says.
    pub fn read(lookup: impl Fn(&str) -> Result<Option<String>, String>) -> Outcome<Self> {
        let local: Option<Instance> = number(&lookup, LOCAL, "an instance number from 0 to 2047")?;
        let remote = number(&lookup, REMOTE, "an instance number from 0 to 2047")?;
        let mirror: Option<MuNumber> = number(&lookup, MUN, "a MU# from 0 to 1023")?;
        let local = match (local, mirror) {
            (None, _) if remote.is_none() => return Err(missing(LOCAL)),
            (None, _) => None,
            (Some(_), None) => return Err(missing(MUN)),
            (Some(instance), Some(mirror)) => Some(Exporting { instance, mirror }),
        };
        if let (Some(local), Some(remote)) = (local, remote)
            && local.instance == remote
        {
            return Err(wrong(REMOTE, &remote.suffix())
                .cause(format!("it names the same instance as {LOCAL}"))
                .action("name the instance that holds the S-VOLs"));
        }
        Ok(Self { local, remote })
    }

    /// What making a shadow copy needs.
    ///
    /// # Errors
    /// EV_EGETEV on a host that only imports.
    pub fn exporting(&self) -> Outcome<Exporting> {
        self.local.ok_or_else(|| missing(LOCAL))
    }
}

fn number<T: FromStr>(
    lookup: impl Fn(&str) -> Result<Option<String>, String>,
    name: &str,
    expected: &str,
) -> Outcome<Option<T>> {
    let value =
        lookup(name).map_err(|error| Fault::new(Event::Egetev).object(name).cause(error))?;
    match value.as_deref().map(str::trim) {
        None | Some("") => Ok(None),
        Some(value) => value.parse().map(Some).map_err(|_| {
            wrong(name, value)
                .cause(format!("expected {expected}"))
                .action("correct the system environment variable and start the system again")
        }),
    }
}

fn missing(name: &str) -> Fault {
    Fault::new(Event::Egetev)
        .object(name)
        .state("not defined")
        .action("define the system environment variable and start the system again")
}

fn wrong(name: &str, value: &str) -> Fault {
    Fault::new(Event::Egetev).object(name).state(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, (Event, String)> {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            Ok(found.map(|(_, value)| (*value).to_owned()))
        };
        Settings::read(lookup).map_err(|fault| (fault.event, fault.object.unwrap()))
    }

    #[test]
    fn the_seeds_variables_name_both_instances_and_the_mirror() {
        let settings = read(&[(LOCAL, "50"), (REMOTE, " 51 "), (MUN, "2")]).unwrap();
        let local = settings.exporting().unwrap();
        assert_eq!((local.instance.number(), local.mirror.get()), (Some(50), 2));
        assert_eq!(settings.remote.and_then(Instance::number), Some(51));
        assert_eq!(read(&[(LOCAL, "50"), (MUN, "0")]).unwrap().remote, None);
    }

    #[test]
    fn a_host_that_only_imports_needs_the_remote_instance_alone() {
        let settings = read(&[(REMOTE, "51")]).unwrap();
        assert_eq!(settings.exporting().unwrap_err().event, Event::Egetev);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (variables, name) in [
            (&[][..], LOCAL),
            (&[(LOCAL, "50")], MUN),
            (&[(LOCAL, ""), (MUN, "2")], LOCAL),
            (&[(LOCAL, "fifty"), (MUN, "2")], LOCAL),
            (&[(LOCAL, "2048"), (MUN, "2")], LOCAL),
            (&[(LOCAL, "50"), (MUN, "1024")], MUN),
            (&[(LOCAL, "50"), (MUN, "2"), (REMOTE, "-1")], REMOTE),
            (&[(LOCAL, "50"), (MUN, "2"), (REMOTE, "50")], REMOTE),
        ] {
            assert_eq!(read(variables), Err((Event::Egetev, name.to_owned())), "{variables:?}");
        }
        let broken = Settings::read(|_| Err("error 8".to_owned())).unwrap_err();
        assert_eq!((broken.event, broken.cause.as_deref()), (Event::Egetev, Some("error 8")));
    }
}
