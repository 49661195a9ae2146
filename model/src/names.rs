//! Names of groups and volumes in a configuration file.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ids::BadWord;

/// The longest group or volume name, in characters (`cci` 1.2).
pub const MAX_NAME: usize = 31;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $expected:literal, not $reserved:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// The name as written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadWord;
            /// 1 to 31 printable characters without blanks; control characters would reach a
            /// terminal through `pairdisplay`, so they are refused here. So is a beginning that
            /// `horcm.conf` would read as a comment or a section.
            fn from_str(word: &str) -> Result<Self, BadWord> {
                let printable = |c: char| !c.is_whitespace() && !c.is_control();
                if word.is_empty()
                    || word.chars().count() > MAX_NAME
                    || !word.chars().all(printable)
                    || $reserved.iter().any(|start: &&str| word.starts_with(start))
                {
                    return Err(BadWord::new($expected));
                }
                Ok(Self(word.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadWord;
            fn try_from(word: String) -> Result<Self, BadWord> {
                word.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name! {
    /// A `dev_group` of `HORCM_DEV`, `HORCM_LDEV` or `HORCM_LDEVG`.
    GroupName, "a group name of 1 to 31 printable characters that does not begin with # or HORCM_",
    not ["#", "HORCM_"]
}
name! {
    /// A `dev_name`: one paired volume of a group; the partner instance uses the same name.
    DevName, "a volume name of 1 to 31 printable characters that does not begin with #",
    not ["#"]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_configuration_could_not_hold_are_refused() {
        let long = "x".repeat(MAX_NAME + 1);
        for word in ["", "a b", "#a", "\u{1b}[m", &long] {
            assert!(word.parse::<GroupName>().is_err(), "{word:?}");
            assert!(word.parse::<DevName>().is_err(), "{word:?}");
        }
        assert!("HORCM_X".parse::<GroupName>().is_err());
        assert!("HORCM_X".parse::<DevName>().is_ok());
        assert!("a#1".parse::<GroupName>().is_ok());
    }
}
