//! Numbers that identify things. Each is a type of its own, so that no two can be swapped.

use std::{fmt, num::NonZeroU16, str::FromStr};

use serde::{Deserialize, Serialize};

/// A word that does not name what it should: what was expected, in a phrase for a diagnostic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct BadWord {
    /// What would have been right, such as `a decimal MU# from 0 to 1023`.
    pub expected: &'static str,
}

impl BadWord {
    pub(crate) const fn new(expected: &'static str) -> Self {
        Self { expected }
    }
}

/// Parses an unsigned decimal without sign, blanks or `+`, at most `max`.
fn decimal(word: &str, max: u32) -> Option<u32> {
    if word.is_empty() || !word.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    word.parse().ok().filter(|n| *n <= max)
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($int:ty), 0..=$max:expr, $expected:literal) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        #[serde(try_from = "u32", into = "u32")]
        pub struct $name($int);

        impl $name {
            /// The largest value.
            pub const MAX: Self = Self($max);

            /// `None` when `value` is out of range.
            #[must_use]
            pub const fn new(value: u32) -> Option<Self> {
                if value <= $max as u32 { Some(Self(value as $int)) } else { None }
            }

            /// The plain number.
            #[must_use]
            pub const fn get(self) -> $int {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl TryFrom<u32> for $name {
            type Error = BadWord;
            fn try_from(value: u32) -> Result<Self, BadWord> {
                Self::new(value).ok_or(BadWord::new($expected))
            }
        }

        impl From<$name> for u32 {
            #[allow(clippy::unnecessary_cast, clippy::cast_lossless)]
            fn from(value: $name) -> u32 {
                value.0 as u32
            }
        }
    };
}

number! {
    /// The serial number of a storage system, such as 62496. Decimal, up to 12 characters in
    /// `horcm.conf` (`cci` 1.2).
    Serial(u32), 0..=u32::MAX, "a decimal serial number"
}
number! {
    /// A logical device of one storage system.
    ///
    /// CCI's own notation `CU:LDEV` ends at `FF:FF` (65,535). Our array goes further, to 262,143,
    /// so that 65,536 pairs fit in one; `docs/parity.md` lists it.
    LdevId(u32), 0..=262_143, "an LDEV number: decimal, 0x hex or CU:LDEV"
}
number! {
    /// The mirror unit number of a pair: which of a volume's mirrors. 0 to 2 for ShadowImage, up
    /// to 1023 for Thin Image.
    MuNumber(u16), 0..=1023, "a MU# from 0 to 1023"
}
number! {
    /// A SCSI target id as `raidscan` shows it.
    TargetId(u16), 0..=9999, "a decimal TargetID"
}
number! {
    /// A logical unit number below a target.
    Lun(u16), 0..=9999, "a decimal LU#"
}

macro_rules! decimal_word {
    ($($name:ident, $expected:literal);* $(;)?) => {$(
        impl FromStr for $name {
            type Err = BadWord;
            fn from_str(word: &str) -> Result<Self, BadWord> {
                decimal(word, u32::MAX).and_then(Self::new).ok_or(BadWord::new($expected))
            }
        }
    )*};
}
decimal_word! {
    Serial, "a decimal serial number";
    MuNumber, "a decimal MU# from 0 to 1023";
    TargetId, "a decimal TargetID";
    Lun, "a decimal LU#";
}

impl FromStr for LdevId {
    type Err = BadWord;

    /// Decimal `576`, hexadecimal `0x240`, or a hexadecimal pair `02:40` (CU and LDEV).
    fn from_str(word: &str) -> Result<Self, BadWord> {
        let hex = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
            if plain { u32::from_str_radix(digits, 16).ok() } else { None }
        };
        let number = if let Some((cu, ldev)) = word.split_once(':') {
            match (hex(cu), hex(ldev)) {
                (Some(cu), Some(ldev)) if cu <= 0xff && ldev <= 0xff => Some(cu << 8 | ldev),
                _ => None,
            }
        } else if let Some(digits) = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
            hex(digits)
        } else {
            decimal(word, u32::MAX)
        };
        number.and_then(Self::new).ok_or(BadWord::new("an LDEV number: decimal, 0x hex or CU:LDEV"))
    }
}

/// One volume anywhere: an LDEV of a storage system. Pairs name their volumes so, because the
/// two ends of a remote pair live in different systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VolumeId {
    /// The storage system.
    pub serial: Serial,
    /// The logical device in it.
    pub ldev: LdevId,
}

impl fmt::Display for VolumeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LDEV {} of Serial# {}", self.ldev, self.serial)
    }
}

/// One end of a pair: a volume and which of its mirrors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PairEnd {
    /// The volume.
    pub volume: VolumeId,
    /// The mirror of that volume.
    pub mu: MuNumber,
}

impl fmt::Display for PairEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MU# {}", self.volume, self.mu)
    }
}

/// A HORCM instance: a number from 0 to 2047, or the one instance without a number.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Instance(Option<u16>);

impl Instance {
    /// The instance without a number (`horcm.conf`).
    pub const UNNUMBERED: Self = Self(None);
    /// The largest instance number.
    pub const MAX: u16 = 2047;

    /// `None` when `number` is above 2047.
    #[must_use]
    pub const fn numbered(number: u16) -> Option<Self> {
        if number <= Self::MAX { Some(Self(Some(number))) } else { None }
    }

    /// The number, if it has one.
    #[must_use]
    pub const fn number(self) -> Option<u16> {
        self.0
    }

    /// The configuration file's name: `horcm.conf` or `horcm50.conf`.
    #[must_use]
    pub fn conf_name(self) -> String {
        format!("horcm{}.conf", self.suffix())
    }

    /// The daemon's process title: `horcmd_0` followed by the number (`horcmd_00`, `horcmd_050`);
    /// `horcmd_0` alone for the instance without a number.
    #[must_use]
    pub fn process_title(self) -> String {
        format!("horcmd_0{}", self.suffix())
    }

    /// The name of its service on Windows: `HORCM50`, or `HORCM` for the instance without a number.
    #[must_use]
    pub fn service_name(self) -> String {
        format!("HORCM{}", self.suffix())
    }

    /// The instance of a service on Windows; capitals make no difference in such names. `None` where
    /// it is one of something else.
    #[must_use]
    pub fn of_service(name: &str) -> Option<Self> {
        let (head, number) = name.split_at_checked("HORCM".len())?;
        if !head.eq_ignore_ascii_case("HORCM") {
            return None;
        }
        if number.is_empty() { Some(Self::UNNUMBERED) } else { number.parse().ok() }
    }

    /// The number as text, or nothing.
    #[must_use]
    pub fn suffix(self) -> String {
        self.0.map(|n| n.to_string()).unwrap_or_default()
    }

    /// The UDP port used when `HORCM_MON` is missing: 31000, or 31000 + n + 1 (`cci` 1.3).
    #[must_use]
    pub fn default_service(self) -> NonZeroU16 {
        const BASE: NonZeroU16 = NonZeroU16::new(31000).expect("31000 is not zero");
        match self.0 {
            None => BASE,
            Some(n) => BASE.saturating_add(n + 1),
        }
    }
}

impl FromStr for Instance {
    type Err = BadWord;
    fn from_str(word: &str) -> Result<Self, BadWord> {
        decimal(word, u32::from(Self::MAX))
            .and_then(|n| u16::try_from(n).ok())
            .and_then(Self::numbered)
            .ok_or(BadWord::new("an instance number from 0 to 2047"))
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(n) => write!(f, "inst {n}"),
            None => f.write_str("the instance without a number"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_named_after_their_instances() {
        let numbered = [0, 50, Instance::MAX].map(|number| Instance::numbered(number).unwrap());
        for instance in [Instance::UNNUMBERED].into_iter().chain(numbered) {
            assert_eq!(Instance::of_service(&instance.service_name()), Some(instance));
        }
        assert_eq!(Instance::of_service("horcm50"), Instance::numbered(50));
        for other in ["HORC", "HORCM2048", "HORCM-50", "HORCMX", "RMVSSPRV", "HORC\u{e9}50"] {
            assert_eq!(Instance::of_service(other), None, "{other}");
        }
    }

    #[test]
    fn ldev_notations_name_the_same_device() {
        for word in ["576", "0x240", "0X240", "02:40", "2:40"] {
            assert_eq!(word.parse::<LdevId>().map(LdevId::get), Ok(576), "{word}");
        }
    }

    #[test]
    fn ldev_words_out_of_shape_are_refused() {
        for word in ["", "-1", "+1", "0x", "100:00", "00:100", "1:2:3", "24h", "262144", " 1"] {
            assert!(word.parse::<LdevId>().is_err(), "{word:?}");
        }
    }

    #[test]
    fn instance_names_follow_cci() {
        let fifty: Instance = "50".parse().unwrap();
        assert_eq!(fifty.conf_name(), "horcm50.conf");
        assert_eq!(fifty.process_title(), "horcmd_050");
        assert_eq!("5".parse::<Instance>().unwrap().process_title(), "horcmd_05");
        assert_eq!(fifty.default_service().get(), 31051);
        assert_eq!(Instance::UNNUMBERED.conf_name(), "horcm.conf");
        assert_eq!(Instance::UNNUMBERED.default_service().get(), 31000);
        assert!("2048".parse::<Instance>().is_err());
    }
}
