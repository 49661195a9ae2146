//! `horcctl`: looks at a running daemon and controls it (`cci` 2.3).

use model::{CciResult, Code, GroupName, ids::BadWord};
use protocol::horcm::{Control, ControlReply, Reply, Request};

use crate::{
    failure::{Outcome, usage},
    lifecycle,
    parse::Typed,
    session::Session,
    table::{COMMON, Opt, Spec},
};

/// What excludes each other.
const ACTIONS: &[&str] = &["D", "C", "S", "ND", "NC"];

/// The command.
pub static SPEC: Spec = Spec {
    name: "horcctl",
    also: &[],
    about: "Looks at a running daemon and controls it",
    common: &[COMMON],
    options: &[
        Opt::flag("D", "-D", "Specify to display the control device")
            .against(&["C", "S", "ND", "NC"]),
        Opt::flag("C", "-C", "Specify to change the control device").against(&["S", "ND", "NC"]),
        Opt::flag("S", "-S", "Specify to shut the instance down").against(&["ND", "NC"]),
        Opt::flag("ND", "-ND", "Specify to display the network address of a group")
            .against(&["NC"]),
        Opt::flag("NC", "-NC", "Specify to change the network address of a group"),
        Opt::words("g", 1, 1, "-g <group>", "Specify the group of -ND and -NC"),
        Opt::words("u", 1, 1, "-u <unitid>", "Specify the unit of -D and -C (default 0)"),
        Opt::flag("c", "-c", "Specify to display the trace parameters"),
        Opt::words("l", 1, 1, "-l <level>", "Specify the trace level, 0 to 15"),
        Opt::words("b", 1, 1, "-b <y|n>", "Specify whether the trace is buffered"),
        Opt::words("s", 1, 1, "-s <KB>", "Specify the trace size"),
        Opt::words(
            "t",
            1,
            1,
            "-t <type>",
            "Specify the trace type; every type has the same parameters",
        ),
    ],
    operands: None,
    run,
};

fn run(session: &mut Session<'_, '_>, typed: &Typed) -> Outcome {
    match typed.last_of(ACTIONS) {
        Some("D") => {
            let unit = unit(session, typed)?;
            let device = Control::CommandDevice { unit };
            show(session, device, "")?;
        }
        Some("C") => {
            let unit = unit(session, typed)?;
            show(session, Control::CommandDevice { unit }, "")?;
            show(session, Control::NextCommandDevice { unit }, "CHANGED: ")?;
        }
        Some("S") => lifecycle::shut_down(session, session.scope.instance)?,
        Some("ND") => {
            let group = group(session, typed)?;
            show(session, Control::NetworkAddress(group), "")?;
        }
        Some("NC") => {
            let group = group(session, typed)?;
            show(session, Control::NetworkAddress(group.clone()), "")?;
            show(session, Control::NextNetworkAddress(group), "CHANGED: ")?;
        }
        _ => {
            let trace = trace(session, typed)?;
            show(session, trace, "")?;
        }
    }
    Ok(0)
}

/// Asks one thing and prints the answer's lines.
fn show(session: &mut Session<'_, '_>, control: Control, before: &str) -> Outcome {
    let Reply::Control(answer) = session.ask(&Request::Control(control))? else {
        return Err(session.unexpected().into());
    };
    let out = session.out();
    match answer {
        ControlReply::CommandDevice { device, protected } => {
            let mark = if protected { "*" } else { "" };
            writeln!(out, "{before}Current control device = {device}{mark}")?;
        }
        ControlReply::NetworkAddress { address, service } => {
            writeln!(out, "{before}Current network address = {address},services = {service}")?;
        }
        ControlReply::Trace { level, buffered, size_kb } => {
            let buffered = if buffered { 'y' } else { 'n' };
            writeln!(
                out,
                "Trace parameters : level = {level} buffer = {buffered} size = {size_kb}"
            )?;
        }
    }
    Ok(0)
}

fn unit(session: &Session<'_, '_>, typed: &Typed) -> CciResult<u8> {
    number(session, typed, "u", &u8::MAX).map(Option::unwrap_or_default)
}

fn group(session: &Session<'_, '_>, typed: &Typed) -> CciResult<GroupName> {
    let Some(name) = typed.word("g") else {
        let wrong = "the network address is a group's";
        return Err(usage(session.command, Code::ExReqarg, "-g <group>", wrong));
    };
    name.parse().map_err(|error: BadWord| {
        usage(session.command, Code::ExInvarg, &format!("-g {name}"), error.to_string())
    })
}

fn trace(session: &Session<'_, '_>, typed: &Typed) -> CciResult<Control> {
    if !["c", "l", "b", "s", "t"].iter().any(|option| typed.has(option)) {
        let wrong = "the command must be told what to do";
        let shown = "-D, -C, -S, -ND, -NC or a trace option";
        return Err(usage(session.command, Code::ExReqarg, shown, wrong));
    }
    let buffered = match typed.word("b") {
        None => None,
        Some("y") => Some(true),
        Some("n") => Some(false),
        Some(other) => {
            let shown = format!("-b {other}");
            return Err(usage(session.command, Code::ExInvarg, &shown, "expected y or n"));
        }
    };
    Ok(Control::Trace {
        level: number(session, typed, "l", &15)?,
        buffered,
        size_kb: number(session, typed, "s", &u32::MAX)?,
    })
}

/// The number behind an option, at most `most`.
fn number<T: std::str::FromStr + PartialOrd + std::fmt::Display>(
    session: &Session<'_, '_>,
    typed: &Typed,
    option: &str,
    most: &T,
) -> CciResult<Option<T>> {
    let Some(word) = typed.word(option) else {
        return Ok(None);
    };
    match word.parse::<T>() {
        Ok(number) if number <= *most => Ok(Some(number)),
        _ => {
            let shown = format!("-{option} {word}");
            let wrong = format!("expected a number from 0 to {most}");
            Err(usage(session.command, Code::ExInvarg, &shown, wrong))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    fn device(name: &str, protected: bool) -> CciResult<Reply> {
        Ok(Reply::Control(ControlReply::CommandDevice { device: name.to_owned(), protected }))
    }

    fn address(address: &str) -> CciResult<Reply> {
        Ok(Reply::Control(ControlReply::NetworkAddress {
            address: address.to_owned(),
            service: 50060,
        }))
    }

    #[test]
    fn the_control_device_is_shown_as_in_the_reference() {
        let mut fake = Fake::answering([device(r"\\.\IPCMD-172.16.167.13-31001", false)]);
        let ran = fake.run("horcctl", "-D -I5");
        let line = "Current control device = \\\\.\\IPCMD-172.16.167.13-31001\n";
        assert_eq!((ran.code, ran.output.as_str()), (0, line));
        let protected = Fake::answering([device("/dev/rdsk/c0t0d0", true)]).run("horcctl", "-D");
        assert_eq!(protected.output, "Current control device = /dev/rdsk/c0t0d0*\n");
    }

    #[test]
    fn changes_show_what_was_and_what_is() {
        let mut fake = Fake::answering([device("a", false), device("b", false)]);
        let ran = fake.run("horcctl", "-C -u 1");
        let lines = "Current control device = a\nCHANGED: Current control device = b\n";
        assert_eq!(ran.output, lines);
        let mut fake = Fake::answering([address("158.214.135.106"), address("158.214.135.105")]);
        let ran = fake.run("horcctl", "-NC -g oradb");
        assert_eq!(
            ran.output,
            "Current network address = 158.214.135.106,services = 50060\n\
             CHANGED: Current network address = 158.214.135.105,services = 50060\n"
        );
    }

    #[test]
    fn trace_options_reach_the_daemon_and_their_answer_is_shown() {
        let answer = ControlReply::Trace { level: 5, buffered: true, size_kb: 2048 };
        let mut fake = Fake::answering([Ok(Reply::Control(answer))]);
        let ran = fake.run("horcctl", "-l 5 -b y -s 2048");
        assert_eq!(ran.output, "Trace parameters : level = 5 buffer = y size = 2048\n");
        let expected = Control::Trace { level: Some(5), buffered: Some(true), size_kb: Some(2048) };
        assert_eq!(fake.asked(), [Request::Control(expected)]);
    }

    #[test]
    fn mistakes_are_refused_with_their_code() {
        for (line, code) in [
            ("", 254),
            ("-ND", 254),
            ("-D -C", 248),
            ("-l 16", 253),
            ("-b maybe", 253),
            ("-D -u 256", 253),
        ] {
            let mut fake = Fake::done();
            let ran = fake.run("horcctl", line);
            assert_eq!(ran.code, code, "{line}: {}", ran.errors);
            assert!(fake.asked().is_empty(), "{line}");
        }
    }
}
