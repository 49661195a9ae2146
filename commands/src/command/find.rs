//! `raidscan -find`: which disks of this host are LUs, and what they are to the instance
//! (`cci` 2.14).

use std::io::Read;

use model::{CciResult, Code, GroupName, MuNumber, ids::BadWord};
use protocol::horcm::{FoundDisk, Reply, Request};

use crate::{
    failure::{Outcome, usage},
    pages::onward,
    parse::Typed,
    rows::{
        conf::{Form, Section},
        found::{self, FoundColumns},
    },
    selection::mu,
    session::Session,
};

/// The most that is read from standard input, in bytes: as much as one request carries.
const MOST_INPUT: u64 = 4 << 20;

/// The group that `-find conf` names where none is said.
const GROUP: &str = "VG";

/// What is done with the disks.
enum Action {
    Show,
    Register,
    Verify(Option<MuNumber>),
    Configure(MuNumber),
    Sync,
}

/// `raidscan -find`; `host_group` is `-findg`.
pub(super) fn run(session: &mut Session<'_, '_>, typed: &Typed, host_group: bool) -> Outcome {
    let words = typed.words(if host_group { "findg" } else { "find" }).unwrap_or_default();
    let action = action(session.command, words)?;
    let flag = |letter| typed.word("f").is_some_and(|letters| letters.contains(letter));
    let columns = FoundColumns { hex: flag('x'), host_group, device: flag('d') };
    let group = group(session, typed)?;
    let names = names(session, typed)?;
    match action {
        Action::Show => show(session, columns, &names),
        Action::Register => {
            session.order(&Request::Register { names: names.clone() })?;
            verify(session, columns, &names, None)
        }
        Action::Verify(mu) => verify(session, columns, &names, mu),
        Action::Configure(mu) => {
            let group = match group {
                Some(group) => group,
                None => default_group(session)?,
            };
            configure(session, Section::new(Form::Paths, group, mu), &names)
        }
        Action::Sync => sync(session, &names, group.as_ref()),
    }
}

fn action(command: &str, words: &[String]) -> CciResult<Action> {
    let number = words.get(1).map(|word| mu(command, word)).transpose()?;
    match words.first().map(String::as_str) {
        None => Ok(Action::Show),
        Some("inst") => Ok(Action::Register),
        Some("verify") => Ok(Action::Verify(number)),
        Some("conf") => Ok(Action::Configure(number.unwrap_or_default())),
        Some("sync" | "syncd") => Ok(Action::Sync),
        Some(other) => {
            let wrong = "expected inst, verify, conf, sync or syncd";
            Err(usage(command, Code::ExInvarg, &format!("-find {other}"), wrong))
        }
    }
}

fn group(session: &Session<'_, '_>, typed: &Typed) -> CciResult<Option<GroupName>> {
    let Some(name) = typed.word("g") else {
        return Ok(None);
    };
    name.parse().map(Some).map_err(|error: BadWord| {
        usage(session.command, Code::ExInvarg, &format!("-g {name}"), error.to_string())
    })
}

fn default_group(session: &Session<'_, '_>) -> CciResult<GroupName> {
    GROUP
        .parse()
        .map_err(|error: BadWord| usage(session.command, Code::ExInvarg, GROUP, error.to_string()))
}

/// The words of `-pi`, else those of standard input.
fn names(session: &mut Session<'_, '_>, typed: &Typed) -> CciResult<Vec<String>> {
    match typed.words("pi") {
        Some(words) => Ok(split(&words.join("\n"))),
        None => standard_input(session),
    }
}

/// The names in the device list on standard input.
///
/// # Errors
/// EX_REQARG at the prompt, whose input it is; EX_ERANGE for more than 4 MiB.
pub(super) fn standard_input(session: &mut Session<'_, '_>) -> CciResult<Vec<String>> {
    let Some(input) = session.world.input.take() else {
        let wrong = "standard input is the prompt's; the devices must be named";
        return Err(usage(session.command, Code::ExReqarg, "the devices", wrong));
    };
    let mut text = Vec::new();
    let read = input.take(MOST_INPUT + 1).read_to_end(&mut text);
    let wrong = match read {
        Ok(length) if length as u64 > MOST_INPUT => "it has more than 4 MiB".to_owned(),
        Ok(_) => return Ok(split(&String::from_utf8_lossy(&text))),
        Err(error) => format!("it cannot be read: {error}"),
    };
    Err(usage(session.command, Code::ExErange, "standard input", wrong))
}

/// The names in a device list; `#` begins a comment.
pub(super) fn split(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines.flat_map(str::split_whitespace).map(str::to_owned).collect()
}

fn show(session: &mut Session<'_, '_>, columns: FoundColumns, names: &[String]) -> Outcome {
    let mut headed = false;
    each(session, names, false, |session, disk| {
        let out = session.out();
        if !std::mem::replace(&mut headed, true) {
            writeln!(out, "{}", found::heading(columns))?;
        }
        found::write_disk(out, columns, disk)
    })?;
    if !headed {
        writeln!(session.out(), "{}", found::heading(columns))?;
    }
    Ok(0)
}

/// The disks as volumes of the configuration.
pub(super) fn verify(
    session: &mut Session<'_, '_>,
    columns: FoundColumns,
    names: &[String],
    mu: Option<MuNumber>,
) -> Outcome {
    writeln!(session.out(), "{}", found::verify_heading(columns))?;
    each(session, names, true, |session, disk| {
        let out = session.out();
        let mut holders = found::holders(disk, mu).peekable();
        if holders.peek().is_none() {
            return found::write_holder(out, columns, disk, None);
        }
        holders.try_for_each(|holder| found::write_holder(out, columns, disk, Some(holder)))
    })?;
    Ok(0)
}

/// The disks as lines of a configuration.
fn configure(session: &mut Session<'_, '_>, mut section: Section, names: &[String]) -> Outcome {
    each(session, names, false, |session, disk| section.write(session.out(), disk))?;
    Ok(0)
}

fn sync(session: &mut Session<'_, '_>, names: &[String], group: Option<&GroupName>) -> Outcome {
    let ask = |from| Request::Sync { names: names.to_vec(), group: group.cloned(), from };
    pages(session, ask, |session, disk| writeln!(session.out(), "[SYNC] {}", disk.device))?;
    Ok(0)
}

/// Hands over every disk that is an LU.
pub(super) fn each(
    session: &mut Session<'_, '_>,
    names: &[String],
    holders: bool,
    take: impl FnMut(&mut Session<'_, '_>, &FoundDisk) -> std::io::Result<()>,
) -> Outcome {
    let ask = |from| Request::Find { names: names.to_vec(), holders, from };
    pages(session, ask, take)
}

fn pages(
    session: &mut Session<'_, '_>,
    ask: impl Fn(u32) -> Request,
    mut take: impl FnMut(&mut Session<'_, '_>, &FoundDisk) -> std::io::Result<()>,
) -> Outcome {
    let mut from = 0;
    loop {
        let Reply::Found { disks, next } = session.ask(&ask(from))? else {
            return Err(session.unexpected().into());
        };
        for disk in &disks {
            take(session, disk)?;
        }
        match next {
            Some(next) => from = onward(from, next)?,
            None => return Ok(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::CciError;

    use super::*;
    use crate::{fake::Fake, rows::sample};

    fn finding(disks: Vec<FoundDisk>) -> Fake {
        Fake::answering([Ok(Reply::Found { disks, next: None })])
    }

    #[test]
    fn the_seeds_third_step_prints_the_seeds_lines() {
        let mut fake = finding(sample::disks());
        let ran = fake.run("raidscan", "-pi $Phys -find -I50");
        assert_eq!((ran.code, ran.errors.as_str()), (0, ""));
        assert_eq!(
            ran.output,
            "\
DEVICE_FILE      UID  S/F  PORT  TARG  LUN  SERIAL  LDEV  PRODUCT_ID
Harddisk0        0   F   CL2-C  25   0    62496   16   OPEN-3-CM
Harddisk1        0   F   CL2-C  25   1    62496   18   OPEN-3
Harddisk2        0   F   CL2-C  25   2    62496   19   OPEN-3
"
        );
        let find = Request::Find { names: vec!["$Phys".to_owned()], holders: false, from: 0 };
        assert_eq!(fake.asked(), [find]);
    }

    #[test]
    fn without_pi_the_devices_stand_on_standard_input() {
        let mut fake = finding(Vec::new());
        fake.input = "/dev/sda /dev/sdb\n# none of ours\n/dev/sdc # but this\n".to_owned();
        let ran = fake.run("raidscan", "-find");
        assert_eq!(ran.output.lines().count(), 1, "the heading stands all the same");
        let names = ["/dev/sda", "/dev/sdb", "/dev/sdc"].map(str::to_owned).to_vec();
        assert_eq!(fake.asked(), [Request::Find { names, holders: false, from: 0 }]);
    }

    #[test]
    fn pages_are_asked_for_until_the_last() {
        let page =
            |n: usize, next| Ok(Reply::Found { disks: vec![sample::disks()[n].clone()], next });
        let mut fake = Fake::answering([page(0, Some(1)), page(1, Some(2)), page(2, None)]);
        let ran = fake.run("raidscan", "-pi $Phys -find -fx");
        assert_eq!(ran.output.lines().count(), 4);
        assert!(ran.output.ends_with("0013  OPEN-3\n"), "{}", ran.output);
    }

    #[test]
    fn verify_shows_a_row_for_each_volume_of_the_configuration() {
        let mut disks = sample::disks();
        disks[1].holders = sample::holders();
        disks[1].registered = true;
        let rows = |line: &str| -> Vec<Vec<String>> {
            let output = finding(disks.clone()).run("raidscan", line).output;
            let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
            output.lines().map(words).collect()
        };
        let all = rows("-pi $Phys -find verify");
        assert_eq!(all[1], ["Harddisk0", "-", "-", "-", "-", "-", "-", "62496", "16"]);
        assert_eq!(
            all[2],
            ["Harddisk1", "snap", "snapdev1", "CL2-C", "25", "1", "2", "62496", "18"]
        );
        assert_eq!(all[3][..3], ["Harddisk1", "other", "dev"]);
        assert_eq!(all.len(), 5);
        let one = rows("-pi $Phys -find verify 2 -fd");
        let heading = ["DEVICE_FILE", "Group", "PairVol", "Device_File", "M", "SERIAL", "LDEV"];
        assert_eq!(one[0], heading);
        assert_eq!(one[2], ["Harddisk1", "snap", "snapdev1", "Harddisk1", "2", "62496", "18"]);
        assert_eq!(one.len(), 4, "MU# 0 is left out");
    }

    #[test]
    fn inst_registers_and_shows_what_the_disks_are() {
        let found = Ok(Reply::Found { disks: sample::disks(), next: None });
        let mut fake = Fake::answering([Ok(Reply::Done), found]);
        let ran = fake.run("raidscan", "-pi $PhysicalDrive -find inst");
        assert_eq!((ran.code, ran.output.lines().count()), (0, 4));
        let names = vec!["$PhysicalDrive".to_owned()];
        assert_eq!(fake.asked()[0], Request::Register { names });
    }

    #[test]
    fn conf_prints_a_section_of_the_group() {
        let ran = finding(sample::disks()).run("raidscan", "-pi $Phys -find conf 1 -g ORA");
        assert!(ran.output.starts_with("HORCM_DEV\n#dev_group "), "{}", ran.output);
        let rows: Vec<Vec<&str>> = ran
            .output
            .lines()
            .filter(|line| !line.starts_with(['#', 'H']))
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(rows[0], ["ORA", "ORA_000", "CL2-C", "25", "1", "1"]);
        assert_eq!(rows[1], ["ORA", "ORA_001", "CL2-C", "25", "2", "1"]);
    }

    #[test]
    fn sync_names_each_disk_that_did() {
        let mut fake = finding(sample::disks()[1..].to_vec());
        let ran = fake.run("raidscan", "-pi $Phys -find sync -g snap");
        assert_eq!(ran.output, "[SYNC] Harddisk1\n[SYNC] Harddisk2\n");
        let group = "snap".parse().ok();
        let names = vec!["$Phys".to_owned()];
        assert_eq!(fake.asked(), [Request::Sync { names, group, from: 0 }]);
    }

    #[test]
    fn a_disk_that_did_not_write_ends_sync_with_its_error() {
        let failed = CciError::new(Code::ExCmdioe).object("Harddisk2");
        let ran = Fake::answering([Err(failed)]).run("raidscan", "-pi $Phys -find sync");
        assert_eq!(ran.code, 237);
        assert!(ran.errors.contains("Harddisk2"), "{}", ran.errors);
    }

    #[test]
    fn mistakes_ask_nothing() {
        for (line, code) in [
            ("-pi $Phys -find bogus", 253),
            ("-pi $Phys -find verify x", 220),
            ("-pi $Phys -find verify 0 1", 252),
            ("-pi -find", 254),
            ("-find -findg", 248),
        ] {
            let mut fake = finding(Vec::new());
            let ran = fake.run("raidscan", line);
            assert_eq!((ran.code, ran.output.as_str()), (code, ""), "{line}: {}", ran.errors);
            assert!(fake.asked().is_empty(), "{line}");
        }
    }
}
