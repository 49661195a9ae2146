//! Device lists, as commands take them as words or from standard input.

use std::{fmt, ops::RangeInclusive};

use model::{CciError, CciResult, Code};

/// The most disks that one range names.
const MOST: u32 = 4096;
/// The most names of a whole device list.
pub const MOST_NAMES: usize = 65_536;

/// A name of a device list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// `Harddisk0`: the LUN at this position behind the built-in initiator.
    Harddisk(u32),
    /// A path of a device or file.
    File(String),
    /// `$Phys`: every disk.
    Physical,
    /// `$LETALL`: every volume with a mounted file system.
    Mounted,
    /// `$Volume`: every volume that may hold a file system.
    Volumes,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Harddisk(number) => write!(f, "Harddisk{number}"),
            Self::File(path) => f.write_str(path),
            Self::Physical => f.write_str("$Phys"),
            Self::Mounted => f.write_str("$LETALL"),
            Self::Volumes => f.write_str("$Volume"),
        }
    }
}

/// The names that a word of a device list stands for, in capitals or not:
///
/// | word | what |
/// |---|---|
/// | `$Phys`, `$Phy`, `$PhysicalDrive` | every disk |
/// | `$LETALL` | every volume with a mounted file system |
/// | `$Volume` | every volume |
/// | `hd3`, `hdisk3`, `harddisk3`, `PhysicalDrive3`, `\\.\PhysicalDrive3` | a disk of the built-in initiator |
/// | `hd0-5`, `hdisk0,5` | a range of them |
/// | anything else | a path |
#[must_use]
pub fn expand(word: &str) -> Vec<Name> {
    let lower = word.to_ascii_lowercase();
    match lower.as_str() {
        "$phys" | "$phy" | "$physical" | "$physicaldrive" => return vec![Name::Physical],
        "$letall" => return vec![Name::Mounted],
        "$volume" => return vec![Name::Volumes],
        _ => {}
    }
    match range(&lower) {
        Some(numbers) => numbers.map(Name::Harddisk).collect(),
        None => vec![Name::File(word.to_owned())],
    }
}

/// The names that the words of a device list stand for, in their order, at most [`MOST_NAMES`].
/// `$Phys`, `$LETALL` and `$Volume` are taken once, however often they stand there: each means every
/// disk of its kind.
///
/// # Errors
/// EX_ERANGE for a list of more.
pub fn expand_all<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> CciResult<Vec<Name>> {
    let mut names = Vec::new();
    let mut taken = Vec::new();
    for word in words {
        for name in expand(word.as_ref()) {
            if matches!(name, Name::Physical | Name::Mounted | Name::Volumes) {
                if taken.contains(&name) {
                    continue;
                }
                taken.push(name.clone());
            }
            if names.len() == MOST_NAMES {
                return Err(CciError::new(Code::ExErange)
                    .object("the device list")
                    .cause(format!("it names more than {MOST_NAMES} devices"))
                    .advice("ask for fewer at once, or for all with $Phys"));
            }
            names.push(name);
        }
    }
    Ok(names)
}

/// The numbers of a word such as `harddisk3` or `hd0-5`, in small letters.
#[must_use]
pub fn range(lower: &str) -> Option<RangeInclusive<u32>> {
    let lower = lower.strip_prefix(r"\\.\").unwrap_or(lower);
    let starts = ["harddisk", "physicaldrive", "hdisk", "hd"];
    let digits = starts.iter().find_map(|start| lower.strip_prefix(start))?;
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse::<u32>().ok()).flatten()
    };
    let (first, last) = match digits.split_once(['-', ',']) {
        None => (number(digits)?, number(digits)?),
        Some((first, last)) => (number(first)?, number(last)?),
    };
    Some(first..=last.min(first.saturating_add(MOST - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(word: &str) -> Vec<String> {
        expand(word).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn words_of_device_lists_mean_disks() {
        for word in ["hd3", "hdisk3", "Harddisk3", "PhysicalDrive3", r"\\.\PhysicalDrive3"] {
            assert_eq!(shown(word), ["Harddisk3"], "{word}");
        }
        for word in ["hd1-3", "harddisk1,3"] {
            assert_eq!(shown(word), ["Harddisk1", "Harddisk2", "Harddisk3"], "{word}");
        }
        for word in ["$Phy", "$Phys", "$PHYSICALDRIVE"] {
            assert_eq!(expand(word), [Name::Physical], "{word}");
        }
        assert_eq!(expand("$letall"), [Name::Mounted]);
        assert_eq!(expand("$Volume"), [Name::Volumes]);
    }

    #[test]
    fn what_is_no_disk_number_is_a_path_as_it_was_typed() {
        for word in ["/dev/sda", "hda", "hd", "hd1-", "hd1-x", "Disk1", "hd99999999999"] {
            assert_eq!(expand(word), [Name::File(word.to_owned())], "{word}");
        }
    }

    #[test]
    fn a_range_is_bounded_and_may_be_empty() {
        assert_eq!(expand("hd0-4294967295").len(), MOST as usize);
        assert_eq!(expand("hd5-4"), []);
    }

    #[test]
    fn a_list_is_bounded_as_a_whole() {
        let ranges = MOST_NAMES / MOST as usize;
        let full = expand_all(vec!["hd0-4095"; ranges]).unwrap();
        assert_eq!(full.len(), MOST_NAMES);
        let error = expand_all(vec!["hd0-4095"; ranges + 1]).unwrap_err();
        assert_eq!(error.code, Code::ExErange);
        // It stops there, however long the list goes on.
        assert!(expand_all(std::iter::repeat("/dev/sda")).is_err());
    }

    #[test]
    fn what_means_every_disk_is_taken_once() {
        let words = ["$Phys", "hd1", "$PhysicalDrive", "hd1", "$Volume", "$letall", "$volume"];
        let shown: Vec<_> = expand_all(words).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["$Phys", "Harddisk1", "Harddisk1", "$Volume", "$LETALL"]);
    }
}
