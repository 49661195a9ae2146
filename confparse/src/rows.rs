//! One line of a section to its typed row (`cci` 1.2 to 1.9).

use std::{str::FromStr, time::Duration};

use model::{LuPath, VolumeId, ids::BadWord};

use crate::{
    config::{Address, Allowed, LdevGroup, Monitor, Remote, Unit, Volume},
    diagnostic::{Diagnostics, Severity, quoted},
    lines::{Line, Words},
};

/// The most alternates on one line of `HORCM_CMD`.
const MAX_ALTERNATES: usize = 64;

/// A line being read column by column. Every bad column is reported, not only the first.
struct Row<'a, 't> {
    line: &'a Line<'t>,
    words: Words<'t>,
    faults: &'a mut Diagnostics,
    /// The heading of the section, shown when a column is missing or one too many is there.
    heading: &'static str,
    good: bool,
    ended: bool,
}

impl<'a, 't> Row<'a, 't> {
    fn new(line: &'a Line<'t>, faults: &'a mut Diagnostics, heading: &'static str) -> Self {
        Self { line, words: line.words(), faults, heading, good: true, ended: false }
    }

    /// A column that may be left out. `limit` is the most characters CCI takes there.
    fn optional<T: FromStr<Err = BadWord>>(&mut self, name: &str, limit: usize) -> Option<T> {
        let word = self.words.next()?;
        let value = match word.text.parse() {
            Ok(value) if word.text.chars().count() <= limit => Some(value),
            Ok(_) => {
                let message = format!("{name} is {}", quoted(word.text));
                let expected = format!("at most {limit} characters");
                self.faults.error(self.line, &word, message, Some(&expected));
                None
            }
            Err(BadWord { expected }) => {
                let message = format!("{name} is {}", quoted(word.text));
                self.faults.error(self.line, &word, message, Some(expected));
                None
            }
        };
        self.good &= value.is_some();
        value
    }

    /// A column that must be there.
    fn required<T: FromStr<Err = BadWord>>(&mut self, name: &str, limit: usize) -> Option<T> {
        let before = self.words.at();
        let value = self.optional(name, limit);
        if self.words.at() == before && !self.ended {
            // Only the first missing column is named: the heading shows the others.
            (self.ended, self.good) = (true, false);
            let message = format!("{name} is missing");
            let span = before..before;
            self.faults.push(Severity::Error, self.line, span, message, Some(self.heading));
        }
        value
    }

    /// Refuses words behind the last column; true when the whole line was good.
    fn finish(mut self) -> bool {
        if let Some(word) = self.words.next() {
            let message = format!("{} is one word too many", quoted(word.text));
            self.faults.error(self.line, &word, message, Some(self.heading));
            self.good = false;
        }
        self.good
    }
}

/// `poll` and `timeout`: a number of 10 ms units.
struct Ticks(Duration);

impl Ticks {
    const POLL: &'static str = "a number of 10 ms units from 1 to 4294967295, or -1 for never";
}

impl FromStr for Ticks {
    type Err = BadWord;
    fn from_str(word: &str) -> Result<Self, BadWord> {
        let digits = word.bytes().all(|c| c.is_ascii_digit());
        let ticks = word.parse().ok().filter(|ticks: &u32| digits && *ticks > 0);
        ticks
            .map(|ticks| Self(Monitor::TICK * ticks))
            .ok_or(BadWord { expected: "a number of 10 ms units from 1 to 4294967295" })
    }
}

/// `poll`: 10 ms units, or `-1`.
struct Poll(Option<Duration>);

impl FromStr for Poll {
    type Err = BadWord;
    fn from_str(word: &str) -> Result<Self, BadWord> {
        if word == "-1" {
            return Ok(Self(None));
        }
        let ticks: Ticks = word.parse().map_err(|_| BadWord { expected: Ticks::POLL })?;
        Ok(Self(Some(ticks.0)))
    }
}

/// `HORCM_MON`.
pub(crate) fn monitor(line: &Line<'_>, faults: &mut Diagnostics) -> Option<Monitor> {
    const HEADING: &str = "the columns ip_address service [poll(10ms) [timeout(10ms)]]";
    let mut row = Row::new(line, faults, HEADING);
    let address = row.required("ip_address", 63);
    let service = row.required("service", 15);
    let poll = row.optional("poll", 10);
    let timeout = row.optional("timeout", 10);
    row.finish().then_some(())?;
    Some(Monitor {
        address: address?,
        service: service?,
        poll: poll.map_or(Some(Monitor::DEFAULT_POLL), |Poll(poll)| poll),
        timeout: timeout.map_or(Monitor::DEFAULT_TIMEOUT, |Ticks(timeout)| timeout),
    })
}

/// `HORCM_CMD`.
pub(crate) fn unit(line: &Line<'_>, faults: &mut Diagnostics) -> Option<Unit> {
    const HEADING: &str = "at most 64 command devices on a line";
    let mut row = Row::new(line, faults, HEADING);
    let count = line.words().take(MAX_ALTERNATES).count();
    let mut devices = Vec::with_capacity(count);
    for _ in 0..count {
        devices.extend(row.optional("command device", 63));
    }
    row.finish().then_some(Unit { devices })
}

/// `HORCM_DEV`.
pub(crate) fn volume_by_path(line: &Line<'_>, faults: &mut Diagnostics) -> Option<Volume> {
    const HEADING: &str = "the columns dev_group dev_name port# TargetID LU# [MU#]";
    let mut row = Row::new(line, faults, HEADING);
    let group = row.required("dev_group", 31);
    let name = row.required("dev_name", 31);
    let port = row.required("port#", 31);
    let target = row.required("TargetID", 7);
    let lun = row.required("LU#", 7);
    let mu = row.optional("MU#", 7);
    row.finish().then_some(())?;
    Some(Volume {
        group: group?,
        name: name?,
        at: Address::Path(LuPath { port: port?, target: target?, lun: lun? }),
        mu,
    })
}

/// `HORCM_LDEV`.
pub(crate) fn volume_by_ldev(line: &Line<'_>, faults: &mut Diagnostics) -> Option<Volume> {
    const HEADING: &str = "the columns dev_group dev_name Serial# CU:LDEV(LDEV#) [MU#]";
    let mut row = Row::new(line, faults, HEADING);
    let group = row.required("dev_group", 31);
    let name = row.required("dev_name", 31);
    let serial = row.required("Serial#", 12);
    let ldev = row.required("CU:LDEV(LDEV#)", 6);
    let mu = row.optional("MU#", 7);
    row.finish().then_some(())?;
    Some(Volume {
        group: group?,
        name: name?,
        at: Address::Ldev(VolumeId { serial: serial?, ldev: ldev? }),
        mu,
    })
}

/// `HORCM_LDEVG`.
pub(crate) fn ldev_group(line: &Line<'_>, faults: &mut Diagnostics) -> Option<LdevGroup> {
    const HEADING: &str = "the columns Copy_group ldev_group Serial#";
    let mut row = Row::new(line, faults, HEADING);
    let copy_group = row.required("Copy_group", 31);
    let ldev_group = row.required("ldev_group", 31);
    let serial = row.required("Serial#", 12);
    row.finish().then_some(())?;
    Some(LdevGroup { copy_group: copy_group?, ldev_group: ldev_group?, serial: serial? })
}

/// `HORCM_INST`.
pub(crate) fn remote(line: &Line<'_>, faults: &mut Diagnostics) -> Option<Remote> {
    const HEADING: &str = "the columns dev_group ip_address service";
    let mut row = Row::new(line, faults, HEADING);
    let group = row.required("dev_group", 31);
    let host = row.required("ip_address", 63);
    let service = row.required("service", 15);
    row.finish().then_some(())?;
    Some(Remote { group: group?, host: host?, service: service?, path_id: None })
}

/// A `pathID` of `HORCM_INSTP`.
struct PathId(u8);

impl FromStr for PathId {
    type Err = BadWord;
    fn from_str(word: &str) -> Result<Self, BadWord> {
        let digits = word.bytes().all(|c| c.is_ascii_digit());
        let id = word.parse().ok().filter(|id| digits && *id != 0);
        id.map(Self).ok_or(BadWord { expected: "a path group ID from 1 to 255" })
    }
}

/// `HORCM_INSTP`.
pub(crate) fn remote_by_path(line: &Line<'_>, faults: &mut Diagnostics) -> Option<Remote> {
    const HEADING: &str = "the columns dev_group ip_address service pathID";
    let mut row = Row::new(line, faults, HEADING);
    let group = row.required("dev_group", 31);
    let host = row.required("ip_address", 63);
    let service = row.required("service", 15);
    let path_id: Option<PathId> = row.required("pathID", 7);
    row.finish().then_some(())?;
    Some(Remote { group: group?, host: host?, service: service?, path_id: Some(path_id?.0) })
}

/// `HORCM_ALLOW_INST`.
pub(crate) fn allowed(line: &Line<'_>, faults: &mut Diagnostics) -> Option<Allowed> {
    const HEADING: &str = "the columns ip_address [service]";
    let mut row = Row::new(line, faults, HEADING);
    let host = row.required("ip_address", 63);
    let service = row.optional("service", 15);
    row.finish().then_some(())?;
    Some(Allowed { host: host?, service })
}
