//! `horcmperm*.conf`: which devices are registered when an instance starts (`cci` 6.2).
//!
//! Devices stand one a line; `#` begins a comment. Without the file every device of the host is
//! registered, with an empty one (zero bytes) none is.

use std::{ffi::OsStr, fmt, io, path::Path, str::FromStr};

use model::ids::BadWord;

use crate::{
    device::CommandDevice,
    diagnostic::{Diagnostics, quoted},
    lines::lines,
    load::{Faults, LoadError, read},
    parser::MAX_ROWS,
};

/// The value of `HORCMPERM` that skips registration.
pub const SKIP_WORD: &str = "MGRNOINST";

/// What to register at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permissions {
    /// Every device of the host: there is no file.
    All,
    /// None, until `raidscan -find inst` is run: a zero-byte file, or `HORCMPERM=MGRNOINST`.
    Skip,
    /// These.
    Devices(Vec<PermittedDevice>),
}

/// One permitted device of the host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PermittedDevice {
    /// A UNIX device file, beginning with `/`.
    Path(String),
    /// `HarddiskN` of Windows; `\\.\PhysicalDriveN` is the same.
    Harddisk(u32),
    /// A Windows volume, `\\.\Volume{GUID}`; the GUID as written, without braces.
    VolumeGuid(String),
}

impl FromStr for PermittedDevice {
    type Err = BadWord;
    fn from_str(word: &str) -> Result<Self, BadWord> {
        const HARDDISK: &str = "Harddisk";
        let harddisk = word
            .split_at_checked(HARDDISK.len())
            .filter(|(stem, digits)| {
                stem.eq_ignore_ascii_case(HARDDISK) && digits.bytes().all(|c| c.is_ascii_digit())
            })
            .and_then(|(_, digits)| digits.parse().ok());
        match harddisk {
            Some(n) => Ok(Self::Harddisk(n)),
            None => match word.parse() {
                Ok(CommandDevice::Path(path)) => Ok(Self::Path(path)),
                Ok(CommandDevice::PhysicalDrive(n)) => Ok(Self::Harddisk(n)),
                Ok(CommandDevice::VolumeGuid(guid)) => Ok(Self::VolumeGuid(guid)),
                _ => Err(BadWord {
                    expected: "a device of at most 63 characters: /dev/..., HarddiskN or \
                               \\\\.\\Volume{GUID}",
                }),
            },
        }
    }
}

impl fmt::Display for PermittedDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.write_str(path),
            Self::Harddisk(n) => write!(f, "Harddisk{n}"),
            Self::VolumeGuid(guid) => write!(f, r"\\.\Volume{{{guid}}}"),
        }
    }
}

/// Reads the text of a permission file.
///
/// # Errors
/// All words that are no device, at once; the `file` of the result is empty.
pub fn parse(text: &str) -> Result<Permissions, Faults> {
    if text.is_empty() {
        return Ok(Permissions::Skip);
    }
    let mut faults = Diagnostics::default();
    let mut devices = Vec::new();
    // The commands that fill such files print several names on a line, so that is taken too.
    let words = lines(text).flat_map(|line| line.words().map(move |word| (line, word)));
    for (line, word) in words {
        match word.text.parse() {
            Ok(_) if devices.len() == MAX_ROWS => {
                let message = format!("more than {MAX_ROWS} devices; the rest was not read");
                faults.error(&line, &word, message, None);
                break;
            }
            Ok(device) => devices.push(device),
            Err(BadWord { expected }) => {
                let message = format!("the device is {}", quoted(word.text));
                faults.error(&line, &word, message, Some(expected));
            }
        }
    }
    if !faults.any_error() {
        return Ok(Permissions::Devices(devices));
    }
    let (diagnostics, omitted) = faults.finish();
    Err(Faults { file: String::new(), text: text.to_owned(), diagnostics, omitted })
}

/// What to register, from the value of `HORCMPERM` and the instance's own permission file.
///
/// Only the default file may be absent. A file that was named and is not there is an error,
/// since taking everything for permitted is the opposite of what was asked.
///
/// # Errors
/// The file cannot be read, or has errors; then all of them are told at once.
pub fn load(horcmperm: Option<&OsStr>, default: &Path) -> Result<Permissions, LoadError> {
    let named = horcmperm.filter(|value| !value.is_empty());
    if named.is_some_and(|value| value == SKIP_WORD) {
        return Ok(Permissions::Skip);
    }
    let path = named.map_or(default, Path::new);
    let text = match read(path) {
        // Words that are not UTF-8 are refused by the parser; comments may hold anything.
        Ok((text, _)) => text,
        Err(LoadError::Read { source, .. })
            if named.is_none() && source.kind() == io::ErrorKind::NotFound =>
        {
            return Ok(Permissions::All);
        }
        Err(error) => return Err(error),
    };
    parse(&text)
        .map_err(|faults| LoadError::Invalid(Faults { file: path.display().to_string(), ..faults }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_of_both_systems_are_taken() {
        let text = "# permitted\n/dev/sda /dev/sdb # two\r\nharddisk12\n\\\\.\\PhysicalDrive3\n";
        let devices = ["/dev/sda", "/dev/sdb", "Harddisk12", "Harddisk3"];
        let Ok(Permissions::Devices(found)) = parse(text) else {
            panic!("{:?}", parse(text));
        };
        assert!(found.iter().map(ToString::to_string).eq(devices));
    }

    #[test]
    fn only_a_file_of_zero_bytes_skips_registration() {
        assert_eq!(parse(""), Ok(Permissions::Skip));
        assert_eq!(parse("# none\n"), Ok(Permissions::Devices(vec![])));
    }

    #[test]
    fn words_that_are_no_device_are_told_with_their_place() {
        let faults = parse("/dev/sda\n sdb /dev/sdc CL1-A\n").unwrap_err();
        let places: Vec<_> = faults.diagnostics.iter().map(|d| (d.line, d.column)).collect();
        assert_eq!(places, [(2, 2), (2, 15)]);
    }

    #[test]
    fn mgrnoinst_needs_no_file() {
        let nowhere = Path::new("/nowhere/horcmperm.conf");
        let skip = load(Some(OsStr::new(SKIP_WORD)), nowhere);
        assert!(matches!(skip, Ok(Permissions::Skip)), "{skip:?}");
        let all = load(None, nowhere);
        assert!(matches!(all, Ok(Permissions::All)), "{all:?}");
        assert!(load(Some(nowhere.as_os_str()), nowhere).is_err());
    }
}
