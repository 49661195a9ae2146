//! `raidscan`: the LUs of a port and how they are paired (`cci` 2.14).

use model::{CciResult, Code, PortAddress, PortName, Serial, ids::BadWord};
use protocol::{
    horcm::{Reply, Request},
    orders::ScanFilter,
};

use crate::{
    failure::{Outcome, not_there_yet, usage},
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
        Opt::words("pd", 1, 1, "-pd <raw_device>", "Specify the port of a device of this host"),
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
            "-find[g] [inst|verify|sync] [MU#]",
            "Specify to find the devices read from standard input",
        )
        .or(&["findg"]),
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
    for option in ["find", "pi", "pd"] {
        if typed.has(option) {
            let what = "finding the devices of this host";
            return Err(not_there_yet(&format!("-{option}"), what).into());
        }
    }
    let filter = ScanFilter {
        port: Some(port(session, typed)?),
        target: word(session, typed, "t")?,
        lun: word(session, typed, "l")?,
    };
    let serial: Option<Serial> = word(session, typed, "s")?;
    let columns = columns(session, typed)?;
    let mut from = 0;
    loop {
        let request = Request::Scan { serial, filter, from };
        let Reply::Scanned { serial, rows, next } = session.ask(&request)? else {
            return Err(session.unexpected().into());
        };
        let out = session.out();
        if from == 0 {
            writeln!(out, "{}", scan::heading(columns))?;
        }
        for row in &rows {
            scan::write_lu(out, columns, serial, row)?;
        }
        match next {
            Some(next) => from = onward(from, next)?,
            None => return Ok(0),
        }
    }
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
                from: 0
            }
        );
        assert_eq!(
            asked[1],
            Request::Scan { serial: None, filter: filter("CL1-A", None, None), from: 0 }
        );
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
            ("-find", 210),
            ("-find verify 0", 210),
            ("-pi $Phys -find", 210),
            ("-pd /dev/sdb", 210),
        ] {
            let ran = Fake::answering([Ok(scanned())]).run("raidscan", line);
            assert_eq!((ran.code, ran.output.as_str()), (code, ""), "{line}");
        }
    }
}
