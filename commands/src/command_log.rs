//! The command log, `horcc_<HOST>.log` (`cci` 4.6): failures always, successes when
//! `HORCC_LOGSZ` asks for them. A log that cannot be written never fails the command.

use std::{
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use model::{CciError, Mode, error::printable};
use protocol::here::{host_name, user_id};

use crate::{
    masked::{Masked, masked},
    platform::USER,
    scope::Scope,
    session::World,
    table::Spec,
};

/// The longest command line that is logged, in bytes.
const MAX_LINE: usize = 4096;

/// The largest control file that is read, in bytes.
const MAX_CONTROL: u64 = 64 * 1024;

/// Logs one execution, without passwords.
pub fn record(
    world: &mut World<'_>,
    spec: &'static Spec,
    words: &[String],
    scope: Scope,
    code: u8,
    error: Option<&CciError>,
) {
    let command = spec.name;
    let to_stderr = world.environment.get("HORCC_LOG") == Some("STDERROUT");
    let directory = match world.environment.get("HORCC_LOG") {
        Some(directory) if !to_stderr => PathBuf::from(directory),
        _ => world.home.log_dir(scope.instance),
    };
    let host = host_name();
    let control = Control::read(&directory.join(format!("horcc_{host}.conf")));
    let size = world
        .environment
        .get("HORCC_LOGSZ")
        .and_then(|size| size.parse().ok())
        .unwrap_or(control.size_kb);
    if error.is_none() && (size == 0 || control.masks(command, code)) {
        return;
    }
    let user = world.environment.get(USER).unwrap_or("-");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let Masked { words, error } = masked(spec, words, error);
    let entry = entry(now, scope.mode, user, command, &words, code, error.as_deref());
    if to_stderr {
        let _ = world.errors.write_all(entry.as_bytes());
    } else {
        // The log is a service to the reader; the command has done its work without it.
        let _ = append(&directory, &host, &entry, size);
    }
}

/// What the control file `horcc_<HOST>.conf` says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Control {
    size_kb: u64,
    masked: Vec<(String, u8)>,
}

impl Control {
    fn read(path: &Path) -> Self {
        match fs::metadata(path) {
            Ok(meta) if meta.is_file() && meta.len() <= MAX_CONTROL => {
                Self::parse(&fs::read_to_string(path).unwrap_or_default())
            }
            _ => Self::default(),
        }
    }

    /// `HORCC_LOGSZ=<KB>` and `<command>=<exit code>`; other lines are not ours.
    fn parse(text: &str) -> Self {
        let mut control = Self::default();
        for line in text.lines() {
            let Some((name, value)) = line.split_once('=') else {
                continue;
            };
            let (name, value) = (name.trim(), value.trim());
            if name == "HORCC_LOGSZ" {
                control.size_kb = value.parse().unwrap_or_default();
            } else if let Ok(code) = value.parse() {
                control.masked.push((name.to_owned(), code));
            }
        }
        control
    }

    fn masks(&self, command: &str, code: u8) -> bool {
        self.masked.iter().any(|(name, masked)| name == command && *masked == code)
    }
}

/// The lines of one execution. Times are UTC.
fn entry(
    now: Duration,
    mode: Mode,
    user: &str,
    command: &str,
    words: &[&str],
    code: u8,
    error: Option<&CciError>,
) -> String {
    let kind = if error.is_some() { "ERROR" } else { "NORMAL" };
    let mut line = command.to_owned();
    for word in words {
        if line.len() + word.len() > MAX_LINE {
            line.push_str(" ...");
            break;
        }
        line.push(' ');
        line.push_str(word);
    }
    // What was typed must not forge lines of the log.
    let line = printable(&line);
    let user = printable(user);
    let date = Date::at(now.as_secs());
    let stamp = format!(
        "{}-{:05x}-{:05}- [{command}]",
        date.clock(),
        now.subsec_micros(),
        std::process::id()
    );
    let mut text = format!(
        "COMMAND {kind} : EUserID for {mode} : {user} ({}) {}\nCMDLINE : {line}\n",
        user_id(),
        date.ctime()
    );
    if let Some(error) = error {
        let _ = writeln!(text, "{stamp} {}", error.code);
        for detail in error.details() {
            let _ = writeln!(text, "{stamp} {detail}");
        }
    }
    let _ = writeln!(text, "{stamp}[exit({code})]");
    text
}

fn append(directory: &Path, host: &str, entry: &str, size_kb: u64) -> std::io::Result<()> {
    fs::create_dir_all(directory)?;
    let log = directory.join(format!("horcc_{host}.log"));
    let full = |meta: fs::Metadata| meta.len() >= size_kb.saturating_mul(1024);
    if size_kb > 0 && fs::metadata(&log).is_ok_and(full) {
        fs::rename(&log, directory.join(format!("horcc_{host}.oldlog")))?;
    }
    // One write in append mode: entries of commands that run side by side do not mix.
    OpenOptions::new().create(true).append(true).open(log)?.write_all(entry.as_bytes())
}

/// A moment in UTC as `ctime` writes it; seconds since 1970.
#[must_use]
pub fn ctime(seconds: u64) -> String {
    Date::at(seconds).ctime()
}

/// A moment in UTC.
struct Date {
    year: u64,
    month: usize,
    day: u64,
    weekday: usize,
    second: u64,
}

impl Date {
    /// From seconds since 1970, by counting in 400-year eras that begin on 1 March.
    fn at(seconds: u64) -> Self {
        let days = seconds / 86_400;
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let of_era = shifted % 146_097;
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let march = (5 * of_year + 2) / 153;
        let month = (march + 2) % 12;
        Self {
            year: era * 400 + year + u64::from(march >= 10),
            month: usize::try_from(month).unwrap_or_default(),
            day: of_year - (153 * march + 2) / 5 + 1,
            weekday: usize::try_from((days + 4) % 7).unwrap_or_default(),
            second: seconds % 86_400,
        }
    }

    fn clock(&self) -> String {
        let (hour, minute) = (self.second / 3600, self.second / 60 % 60);
        format!("{hour:02}:{minute:02}:{:02}", self.second % 60)
    }

    fn ctime(&self) -> String {
        const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        format!(
            "{} {} {:>2} {} {}",
            DAYS[self.weekday % 7],
            MONTHS[self.month % 12],
            self.day,
            self.clock(),
            self.year
        )
    }
}

#[cfg(test)]
mod tests {
    use model::Code;

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "Thu Jan  1 00:00:00 1970"),
            (951_782_400, "Tue Feb 29 00:00:00 2000"),
            (1_130_847_713, "Tue Nov  1 12:21:53 2005"),
            (4_107_542_400, "Mon Mar  1 00:00:00 2100"),
        ] {
            assert_eq!(Date::at(seconds).ctime(), text);
        }
    }

    #[test]
    fn an_entry_has_the_shape_of_the_reference() {
        let words = ["-ss", "-g", "URA"];
        let now = Duration::from_micros(1_130_847_713_185_007);
        let text = entry(now, Mode::Horc, "root", "pairvolchk", &words, 32, None);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("COMMAND NORMAL : EUserID for HORC : root ("));
        assert!(lines[0].ends_with(") Tue Nov  1 12:21:53 2005"));
        assert_eq!(lines[1], "CMDLINE : pairvolchk -ss -g URA");
        assert!(lines[2].starts_with("12:21:53-2d2af-"));
        assert!(lines[2].ends_with("- [pairvolchk][exit(32)]"));
    }

    #[test]
    fn a_failure_names_its_code_and_typed_control_characters_forge_nothing() {
        let words = ["-g\nCOMMAND NORMAL"];
        let error = CciError::new(Code::ExEnogrp).object("nosuch");
        let text =
            entry(Duration::ZERO, Mode::Homrcf, "me", "pairsplit", &words, 239, Some(&error));
        assert!(text.starts_with("COMMAND ERROR : EUserID for HOMRCF : me ("));
        assert!(text.contains("[EX_ENOGRP] No such group"));
        assert!(text.contains("OBJECT : nosuch"));
        assert_eq!(text.lines().count(), 5);
    }

    #[test]
    fn neither_details_nor_the_users_name_forge_lines_or_carry_escapes() {
        let words = ["-g", "\u{1b}[2Jx\ny"];
        let error = CciError::new(Code::ExInvarg).object("-g \u{1b}[2Jx\nCOMMAND NORMAL");
        let text = entry(
            Duration::ZERO,
            Mode::Horc,
            "me\nCOMMAND NORMAL",
            "pairsplit",
            &words,
            253,
            Some(&error),
        );
        assert_eq!(text.lines().count(), 5, "{text}");
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        assert!(text.contains("CMDLINE : pairsplit -g \\u{1b}[2Jx\\ny\n"), "{text}");
    }

    #[test]
    fn the_control_file_gives_size_and_masks() {
        let control = Control::parse("HORCC_LOGSZ=5\npairvolchk=22\n# note\nraidqry = 0\nx=900\n");
        assert_eq!(control.size_kb, 5);
        assert!(control.masks("pairvolchk", 22) && control.masks("raidqry", 0));
        assert!(!control.masks("pairvolchk", 23) && !control.masks("x", 132));
    }

    #[test]
    fn a_full_log_becomes_the_old_one() {
        let directory = tempfile::tempdir().unwrap();
        let entry = "x".repeat(700);
        for _ in 0..3 {
            append(directory.path(), "host", &entry, 1).unwrap();
        }
        let size = |name: &str| fs::metadata(directory.path().join(name)).unwrap().len();
        assert_eq!(size("horcc_host.oldlog"), 1400);
        assert_eq!(size("horcc_host.log"), 700);
    }
}
