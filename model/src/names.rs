//! Names of groups and volumes in a configuration file.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ids::BadWord;

/// The longest group or volume name, in characters (`cci` 1.2).
pub const MAX_NAME: usize = 31;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $expected:literal) => {
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
            /// terminal through `pairdisplay`, so they are refused here.
            fn from_str(word: &str) -> Result<Self, BadWord> {
                let printable = |c: char| !c.is_whitespace() && !c.is_control();
                if word.is_empty() || word.chars().count() > MAX_NAME || !word.chars().all(printable)
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
    GroupName, "a group name of 1 to 31 printable characters"
}
name! {
    /// A `dev_name`: one paired volume of a group; the partner instance uses the same name.
    DevName, "a volume name of 1 to 31 printable characters"
}
