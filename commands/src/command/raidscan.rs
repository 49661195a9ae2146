//! `raidscan`: the LUs of a port and how they are paired (`cci` 2.14).

use model::{CciError, CciResult, Code, PortAddress, PortName, Serial, ids::BadWord};
use protocol::{
    horcm::{FoundDisk, Reply, Request},
    orders::ScanFilter,
};
use scsi::disks::names::{self, Name};

use crate::{
    command::find,
    failure::{Failure, Outcome, usage},
    pages::onward,
    parse::Typed,
    rows::scan::{self, ScanColumns, Tail},
    selection::mu,
    session::Session,
    table::{Arity, COMMON, Opt, Spec},
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "raidscan",
    also: &[],
    about: "Shows the volumes of a port and their pair status",
    common: &[COMMON],
    options: &[
        Opt::words(
            "p",
            1,
            1,
            "-p <port>[,hgrp]",
            "Specify the port (default CL1-A), and the host group",
        ),
        Opt::words("pd", 1, 1, "-pd <raw_device>", "Specify the port of a device of this host")
            .against(&["p", "pdg"]),
        Opt::words(
            "pdg",
            1,
            1,
            "-pdg <raw_device>",
            "Specify the port and host group of a device of this host",
        )
        .against(&["p"]),
        Opt::words("s", 1, 1, "-s <Seq#>", "Specify the storage system"),
        Opt::words("t", 1, 1, "-t <targ>", "Specify the target ID"),
        Opt::words("l", 1, 1, "-l <lun>", "Specify the LU#"),
        Opt::words("m", 1, 1, "-m <mu#>", "Specify the mirror"),
        Opt::new(
            "f",
            Arity::Letters("xfgwd"),
            "-f<x|f|g|w|d>",
            "Specify x LDEV# in hexadecimal, f the volume type, g the host groups, w the WWN, d the device files",
        ),
        Opt::words(
            "find",
            0,
            2,
            "-find[g] [inst|verify|conf|sync[d]] [MU#]",
            "Specify to find the devices read from standard input; g shows the host groups",
        )
        .against(&["findg"]),
        Opt::words(
            "findg",
            0,
            2,
            "-findg [inst|verify|conf|sync[d]] [MU#]",
            "Specify -find with the host groups",
        )
        .unlisted(),
        Opt::words("g", 1, 1, "-g <group>", "Specify the group of -find conf and -find sync"),
        Opt::words(
            "pi",
            1,
            64,
            "-pi <strings>",
            "Specify the devices for -find instead of standard input",
        ),
        Opt::flag("CLI", "-CLI", "Specify one word for each column").or(&["CLIB"]),
    ],
    operands: None,
    run,
};

fn run(session: &mut Session<'_, '_>, typed: &Typed) -> Outcome {
    if let Some(option) = typed.last_of(&["find", "findg"]) {
        return find::run(session, typed, option == "findg");
    }
    if typed.has("pi") {
        let wrong = "-pi names the devices of -find";
        return Err(usage(session.command, Code::ExReqarg, "-find", wrong).into());
    }
    let columns = columns(session, typed)?;
    let mut filter = ScanFilter {
        port: None,
        target: word(session, typed, "t")?,
        lun: word(session, typed, "l")?,
    };
    let Some(option) = typed.last_of(&["pd", "pdg"]) else {
        filter.port = Some(port(session, typed)?);
        let serial = word(session, typed, "s")?;
        scan(session, columns, serial, filter)?;
        return Ok(0);
    };
    let device = typed.word(option).unwrap_or_default();
    let disk = device_of(session, device)?;
    filter.port = Some(port_of(&disk, option == "pdg")?);
    scan(session, columns, Some(disk.volume.serial), filter)?;
    let ldev = disk.volume.ldev.get();
    let ldev = if columns.hex { format!("{ldev:04X}") } else { format!("{ldev:04}") };
    writeln!(session.out(), "Specified device is LDEV# {ldev}")?;
    Ok(0)
}

/// Prints the LUs that a filter lets through.
fn scan(
    session: &mut Session<'_, '_>,
    columns: ScanColumns,
    serial: Option<Serial>,
    filter: ScanFilter,
) -> Outcome {
    let devices = columns.tail == Tail::Device;
    let mut from = 0;
    loop {
        let request = Request::Scan { serial, filter, devices, from };
        let Reply::Scanned { serial, rows, devices: files, next } = session.ask(&request)? else {
            return Err(session.unexpected().into());
        };
        let out = session.out();
        if from == 0 {
            writeln!(out, "{}", scan::heading(columns))?;
        }
        let mut files = files.into_iter();
        for row in &rows {
            let device = files.next().flatten();
            scan::write_lu(out, columns, serial, row, device.as_deref())?;
        }
        match next {
            Some(next) => from = onward(from, next)?,
            None => return Ok(0),
        }
    }
}

/// The disk behind a device file.
fn device_of(session: &mut Session<'_, '_>, device: &str) -> Result<FoundDisk, Failure> {
    if !matches!(names::expand(device).as_slice(), [Name::Harddisk(_) | Name::File(_)]) {
        let error = CciError::new(Code::ExEnodev)
            .object(device)
            .cause("it does not name exactly one disk")
            .advice("name one, such as Harddisk2");
        return Err(error.into());
    }
    let mut found = None;
    find::each(session, &[device.to_owned()], false, |_, disk| {
        found.get_or_insert_with(|| disk.clone());
        Ok(())
    })?;
    found.ok_or_else(|| {
        let error = CciError::new(Code::ExEnodev)
            .object(device)
            .cause("this host has no such disk, or it is no LU of a storage system")
            .advice("look with raidscan -find");
        error.into()
    })
}

/// The port of a disk, with its host group for `-pdg`.
fn port_of(disk: &FoundDisk, with_group: bool) -> CciResult<PortAddress> {
    let port = disk.path.map(|path| path.port).or_else(|| {
        let port = disk.port?;
        Some(PortAddress { port, host_group: None })
    });
    let port = port.ok_or_else(|| {
        CciError::new(Code::ExEnodev)
            .object(disk.device.as_str())
            .cause(format!("{} does not tell through which port it is seen", disk.volume))
            .advice("name the port with -p")
    })?;
    // Host group 0 is written as none, which would mean all of them.
    let host_group = with_group.then(|| port.host_group.unwrap_or_default());
    Ok(PortAddress { host_group, ..port })
}

/// `-p CL1-A`, `-p CL1-A-1` or `-p CL1-A,1`; CL1-A when nothing was typed, as CCI has it.
fn port(session: &Session<'_, '_>, typed: &Typed) -> CciResult<PortAddress> {
    let Some(word) = typed.word("p") else {
        return Ok(PortAddress { port: PortName::CL1_A, host_group: None });
    };
    word.replacen(',', "-", 1).parse().map_err(|error: BadWord| {
        usage(session.command, Code::ExInvarg, &format!("-p {word}"), error.to_string())
    })
}

/// The one word of an option, as what it stands for.
fn word<T: std::str::FromStr<Err = BadWord>>(
    session: &Session<'_, '_>,
    typed: &Typed,
    option: &str,
) -> CciResult<Option<T>> {
    let Some(word) = typed.word(option) else {
        return Ok(None);
    };
    word.parse().map(Some).map_err(|error: BadWord| {
        let shown = format!("-{option} {word}");
        usage(session.command, Code::ExInvarg, &shown, error.to_string())
    })
}

fn columns(session: &Session<'_, '_>, typed: &Typed) -> CciResult<ScanColumns> {
    let letters = typed.word("f");
    let flag = |letter| letters.is_some_and(|letters| letters.contains(letter));
    // A bare -f is -ff; -fg says how the port is searched and adds no column.
    let tail = if flag('w') {
        Tail::Wwn
    } else if flag('d') {
        Tail::Device
    } else if flag('f') || letters == Some("") {
        Tail::VolumeType
    } else {
        Tail::Partner
    };
    let mirror = match typed.word("m") {
        None => None,
        Some(word) => Some(mu(session.command, word)?),
    };
    Ok(ScanColumns { mode: session.mode(), hex: flag('x'), cli: typed.has("CLI"), tail, mirror })
}

#[cfg(test)]
mod tests {
    use model::{Blocks, Emulation, LdevId};
    use protocol::orders::{EndStatus, ScanRow};

    use super::*;
    use crate::{fake::Fake, rows::sample};

    fn scanned() -> Reply {
        let row = |lun, ldev| ScanRow {
            path: sample::path("CL2-C", 25, lun),
            ldev: LdevId::new(ldev).unwrap(),
            emulation: Emulation::Open3,
            command_device: ldev == 16,
            size: Blocks(1),
            mirrors: vec![EndStatus::SMPL; 3],
        };
        Reply::Scanned {
            serial: Serial::new(62496).unwrap(),
            rows: vec![row(0, 16), row(1, 18), row(2, 19)],
            devices: Vec::new(),
            next: None,
        }
    }

    #[test]
    fn horc_shows_a_row_an_lu_and_homrcf_a_row_a_mirror() {
        let mut fake = Fake::answering([Ok(scanned())]);
        assert_eq!(fake.run("raidscan", "-p CL2-C -IH50").output.lines().count(), 4);
        assert_eq!(fake.run("raidscan", "-p CL2-C -IM50").output.lines().count(), 10);
        assert_eq!(fake.run("raidscan", "-p CL2-C -m 2 -IM50").output.lines().count(), 4);
    }

    #[test]
    fn the_filter_reaches_the_daemon() {
        let mut fake = Fake::answering([Ok(scanned())]);
        fake.run("raidscan", "-p CL1-A,3 -t 25 -l 1 -s 62496");
        fake.run("raidscan", "");
        let asked = fake.asked();
        let filter =
            |port: &str, target, lun| ScanFilter { port: Some(port.parse().unwrap()), target, lun };
        assert_eq!(
            asked[0],
            Request::Scan {
                serial: Serial::new(62496),
                filter: filter("CL1-A-3", model::TargetId::new(25), model::Lun::new(1)),
                devices: false,
                from: 0
            }
        );
        assert_eq!(
            asked[1],
            Request::Scan {
                serial: None,
                filter: filter("CL1-A", None, None),
                devices: false,
                from: 0
            }
        );
    }

    #[test]
    fn a_device_leads_to_its_port_and_is_named_at_the_end() {
        let found = |disks| Ok(Reply::Found { disks, next: None });
        let mut disk = sample::disks()[1].clone();
        disk.volume = sample::volume(62496, 29);
        for (line, port, last) in [
            ("-pd Harddisk1", "CL2-C", "Specified device is LDEV# 0029"),
            ("-pdg Harddisk1 -fx", "CL2-C-0", "Specified device is LDEV# 001D"),
        ] {
            let mut fake = Fake::answering([found(vec![disk.clone()]), Ok(scanned())]);
            let ran = fake.run("raidscan", line);
            assert_eq!(ran.output.lines().last(), Some(last), "{}", ran.errors);
            let Request::Scan { filter, serial, .. } = fake.asked()[1].clone() else { panic!() };
            let asked = (filter.port.map(|port| port.to_string()), serial);
            assert_eq!(asked, (Some(port.to_owned()), Serial::new(62496)), "{line}");
        }
        let ran = Fake::answering([found(Vec::new())]).run("raidscan", "-pd /dev/null");
        assert_eq!((ran.code, ran.output.as_str()), (246, ""));
    }

    #[test]
    fn device_files_are_asked_for_and_shown_where_known() {
        let mut scanned = scanned();
        if let Reply::Scanned { devices, .. } = &mut scanned {
            *devices = vec![None, Some("Harddisk1".to_owned()), Some("Harddisk2".to_owned())];
        }
        let mut fake = Fake::answering([Ok(scanned)]);
        let ran = fake.run("raidscan", "-p CL2-C -fd");
        assert!(matches!(fake.asked()[0], Request::Scan { devices: true, .. }));
        let last: Vec<_> = ran.output.lines().map(|row| row.rsplit(',').next().unwrap()).collect();
        assert_eq!(last, ["Device_File", "Unknown", "Harddisk1", "Harddisk2"]);
    }

    #[test]
    fn mistakes_are_refused_with_their_code() {
        for (line, code) in [
            ("-p CL0-A", 253),
            ("-p CL1-A,999", 253),
            ("-t x", 253),
            ("-l 99999", 253),
            ("-s 12x", 253),
            ("-m 5000", 220),
            ("-pi $Phys", 254),
            ("-pd /dev/sdb -p CL1-A", 248),
            ("-pd /dev/sdb -pdg /dev/sdb", 248),
        ] {
            let ran = Fake::answering([Ok(scanned())]).run("raidscan", line);
            assert_eq!((ran.code, ran.output.as_str()), (code, ""), "{line}");
        }
    }
}
