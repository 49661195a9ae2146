//! Which volumes a command is about: `-g`, `-d`, `-dg`, `-FHORC`, `-FMRCF` (`cci` 2.0).

use model::{CciError, CciResult, Code, LdevId, Mode, MuNumber, Serial, VolumeId, ids::BadWord};
use protocol::horcm::{Selection, Target};

use crate::{failure::usage, parse::Typed};

/// The longest device file name, in bytes.
const MAX_PATH: usize = 255;

/// The selection that was typed.
///
/// # Errors
/// EX_REQARG when no volumes are named, EX_INVARG and EX_ENAMLG for names that cannot be any,
/// EX_INVMUN for a MU# that cannot be any.
pub fn selection(command: &str, typed: &Typed, mode: Mode) -> CciResult<Selection> {
    let (mode, mirror) = mirror(command, typed, mode)?;
    Ok(Selection { target: target(command, typed)?, mode, mirror })
}

fn mirror(command: &str, typed: &Typed, mode: Mode) -> CciResult<(Mode, Option<MuNumber>)> {
    for (option, mode) in [("FHORC", Mode::Horc), ("FMRCF", Mode::Homrcf)] {
        if typed.has(option) {
            let mu = match typed.word(option) {
                None => MuNumber::default(),
                Some(word) => mu(command, word)?,
            };
            return Ok((mode, Some(mu)));
        }
    }
    Ok((mode, None))
}

fn target(command: &str, typed: &Typed) -> CciResult<Target> {
    if let Some(name) = typed.word("g") {
        let wrong = |typed: String| {
            move |error: BadWord| usage(command, Code::ExInvarg, &typed, error.to_string())
        };
        let group = name.parse().map_err(wrong(format!("-g {name}")))?;
        let volume = match typed.words("d") {
            None => None,
            Some([name]) => Some(name.parse().map_err(wrong(format!("-d {name}")))?),
            Some(_) => {
                let wrong = "with -g it names one volume; a device or an LDEV stands without -g";
                return Err(usage(command, Code::ExInvarg, "-d", wrong));
            }
        };
        return Ok(Target::Group { group, volume });
    }
    let (option, whole_group) = if typed.has("dg") { ("dg", true) } else { ("d", false) };
    match typed.words(option) {
        Some(words) => device(command, words, whole_group),
        None => Err(usage(
            command,
            Code::ExReqarg,
            "-g <group> or -d <volume>",
            "the command must be told which volumes",
        )),
    }
}

/// `raw_device [MU#]` or `Seq# LDEV# [MU#]`. Two words are an LDEV when both are numbers, because
/// no device file is called 62496.
fn device(command: &str, words: &[String], whole_group: bool) -> CciResult<Target> {
    let ldev = |serial: &String, ldev: &String| {
        Some(VolumeId {
            serial: serial.parse::<Serial>().ok()?,
            ldev: ldev.parse::<LdevId>().ok()?,
        })
    };
    let of_ldev = |volume, mu| Target::Ldev { volume, mu, whole_group };
    match words {
        [serial, number] if ldev(serial, number).is_some() => {
            Ok(ldev(serial, number).map(|volume| of_ldev(volume, None)))
        }
        [serial, number, mirror] => {
            let mirror = mu(command, mirror)?;
            Ok(ldev(serial, number).map(|volume| of_ldev(volume, Some(mirror))))
        }
        [path] => Ok(Some(of_path(path, None, whole_group)?)),
        [path, mirror] => {
            let mirror = mu(command, mirror)?;
            Ok(Some(of_path(path, Some(mirror), whole_group)?))
        }
        _ => Ok(None),
    }
    .and_then(|target| {
        target.ok_or_else(|| {
            let wrong = "expected a decimal serial number, an LDEV number and a MU#";
            usage(command, Code::ExInvarg, &words.join(" "), wrong)
        })
    })
}

fn of_path(path: &str, mu: Option<MuNumber>, whole_group: bool) -> CciResult<Target> {
    if path.len() > MAX_PATH {
        return Err(CciError::new(Code::ExEnamlg)
            .object(path.chars().take(40).collect::<String>())
            .cause(format!("a device name has at most {MAX_PATH} bytes")));
    }
    Ok(Target::Device { path: path.to_owned(), mu, whole_group })
}

/// A MU#, `2` or, for remote copy, `h2`.
///
/// # Errors
/// EX_INVMUN.
pub fn mu(command: &str, word: &str) -> CciResult<MuNumber> {
    let digits = word.strip_prefix(['h', 'H']).unwrap_or(word);
    digits.parse().map_err(|error: BadWord| usage(command, Code::ExInvmun, word, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{find, parse::parse};

    fn selected(line: &str) -> CciResult<Selection> {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        let typed = parse(find("pairdisplay").unwrap(), &words)?;
        selection("pairdisplay", &typed, Mode::Homrcf)
    }

    fn volume(serial: u32, ldev: u32) -> VolumeId {
        VolumeId { serial: Serial::new(serial).unwrap(), ldev: LdevId::new(ldev).unwrap() }
    }

    #[test]
    fn a_group_or_one_volume_of_it() {
        let whole = selected("-g snap").unwrap();
        let one = selected("-g snap -d snapdev1").unwrap();
        let group = "snap".parse().unwrap();
        assert_eq!(whole.mode, Mode::Homrcf);
        assert_eq!(one.target, Target::Group { group, volume: Some("snapdev1".parse().unwrap()) });
        assert!(matches!(whole.target, Target::Group { volume: None, .. }));
    }

    #[test]
    fn an_ldev_by_decimal_or_hexadecimal_number() {
        for (line, ldev, mu, whole_group) in [
            ("-d 492015 1 0", 1, Some(0), false),
            ("-d 492015 0x12", 18, None, false),
            ("-dg 492015 02:40 h1", 576, Some(1), true),
        ] {
            let expected = Target::Ldev {
                volume: volume(492_015, ldev),
                mu: mu.and_then(MuNumber::new),
                whole_group,
            };
            assert_eq!(selected(line).unwrap().target, expected, "{line}");
        }
    }

    #[test]
    fn a_device_of_the_host_with_or_without_a_mirror() {
        for (line, mu) in [("-d /dev/sdb", None), ("-d /dev/sdb 2", MuNumber::new(2))] {
            let expected = Target::Device { path: "/dev/sdb".to_owned(), mu, whole_group: false };
            assert_eq!(selected(line).unwrap().target, expected, "{line}");
        }
    }

    #[test]
    fn cascading_mirrors_choose_the_mode() {
        let remote = selected("-g snap -FHORC h1").unwrap();
        assert_eq!((remote.mode, remote.mirror), (Mode::Horc, MuNumber::new(1)));
        let local = selected("-g snap -FBC").unwrap();
        assert_eq!((local.mode, local.mirror), (Mode::Homrcf, MuNumber::new(0)));
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for (line, code) in [
            ("", Code::ExReqarg),
            ("-l", Code::ExReqarg),
            ("-g abcdefghijklmnopqrstuvwxyz123456", Code::ExInvarg),
            ("-g snap -d 62496 18", Code::ExInvarg),
            ("-d 62496 nonsense 1", Code::ExInvarg),
            ("-d 62496 18 1024", Code::ExInvmun),
            ("-g snap -FMRCF x", Code::ExInvmun),
        ] {
            assert_eq!(selected(line).unwrap_err().code, code, "{line}");
        }
        let long = format!("-d /dev/{}", "x".repeat(300));
        assert_eq!(selected(&long).unwrap_err().code, Code::ExEnamlg);
    }
}
