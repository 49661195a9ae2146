//! In which mode and to which instance a command speaks: `-I..` options, then `HORCMINST` and
//! `HORCC_MRCF` (`cci` 1.10, 2.0).

use model::{CciResult, Code, Instance, Mode};

use crate::{environment::Environment, failure::usage, parse::Typed};

/// Mode and instance of one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// HORC or HOMRCF.
    pub mode: Mode,
    /// Which daemon.
    pub instance: Instance,
}

impl Scope {
    /// What the environment alone says.
    ///
    /// # Errors
    /// EX_INVARG for a `HORCMINST` that is no instance number.
    pub fn of(environment: &Environment, command: &str) -> CciResult<Self> {
        let instance = match environment.get("HORCMINST") {
            None => Instance::UNNUMBERED,
            Some(number) => instance(command, &format!("HORCMINST={number}"), number)?,
        };
        let mode = match environment.get("HORCC_MRCF") {
            None => Mode::Horc,
            Some(_) => Mode::Homrcf,
        };
        Ok(Self { mode, instance })
    }

    /// What was typed, over what the environment says. Of several `-I..` the last counts.
    ///
    /// # Errors
    /// EX_INVARG for a number above 2047.
    pub fn typed(typed: &Typed, environment: &Environment, command: &str) -> CciResult<Self> {
        let option = typed.last_of(&["I", "IH", "IM"]);
        let number = option.and_then(|name| typed.word(name)).unwrap_or_default();
        // A number on the command line makes HORCMINST meaningless, also a wrong one.
        let environment = match number {
            "" => environment.clone(),
            _ => environment.clone().without("HORCMINST"),
        };
        let mut scope = Self::of(&environment, command)?;
        match option {
            Some("IH") => scope.mode = Mode::Horc,
            Some("IM") => scope.mode = Mode::Homrcf,
            _ => {}
        }
        if let (Some(option), false) = (option, number.is_empty()) {
            scope.instance = instance(command, &format!("-{option}{number}"), number)?;
        }
        Ok(scope)
    }
}

/// An instance number from outside.
///
/// # Errors
/// EX_INVARG, showing what was typed.
pub fn instance(command: &str, typed: &str, number: &str) -> CciResult<Instance> {
    number.parse().map_err(|error: model::ids::BadWord| {
        usage(command, Code::ExInvarg, typed, error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{find, parse::parse};

    fn scope(environment: &[(&str, &str)], line: &str) -> CciResult<Scope> {
        let environment = environment
            .iter()
            .fold(Environment::default(), |env, (name, value)| env.with(name, *value));
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        let typed = parse(find("pairdisplay").unwrap(), &words).unwrap();
        Scope::typed(&typed, &environment, "pairdisplay")
    }

    fn numbered(number: u16) -> Instance {
        Instance::numbered(number).unwrap()
    }

    #[test]
    fn the_environment_chooses_where_no_option_does() {
        let bare = scope(&[], "-g snap").unwrap();
        assert_eq!((bare.mode, bare.instance), (Mode::Horc, Instance::UNNUMBERED));
        let seed = scope(&[("HORCMINST", "51"), ("HORCC_MRCF", "1")], "-g snap").unwrap();
        assert_eq!((seed.mode, seed.instance), (Mode::Homrcf, numbered(51)));
    }

    #[test]
    fn options_win_over_the_environment() {
        let environment = [("HORCMINST", "51"), ("HORCC_MRCF", "1")];
        for (line, mode, number) in [
            ("-I50", Mode::Homrcf, 50),
            ("-I", Mode::Homrcf, 51),
            ("-IH", Mode::Horc, 51),
            ("-ICA0", Mode::Horc, 0),
            ("-IH50 -IM52", Mode::Homrcf, 52),
        ] {
            let scope = scope(&environment, line).unwrap();
            assert_eq!((scope.mode, scope.instance), (mode, numbered(number)), "{line}");
        }
    }

    #[test]
    fn instances_out_of_range_are_refused() {
        assert_eq!(scope(&[], "-I2048").unwrap_err().code, Code::ExInvarg);
        assert_eq!(scope(&[], "-IM99999999999").unwrap_err().code, Code::ExInvarg);
        let wrong = [("HORCMINST", "fifty")];
        assert_eq!(scope(&wrong, "").unwrap_err().code, Code::ExInvarg);
        assert!(scope(&wrong, "-I50").is_ok(), "an option must override it");
    }
}
