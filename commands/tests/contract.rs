//! What every command has in common, whatever else it does: help, unknown options, a daemon that
//! does not run, link names.
#![cfg(unix)]

mod common;

use common::{Place, instance, ran};
use protocol::Registration;

/// A line each command accepts, so that it gets as far as its daemon.
fn good_line(command: &str) -> Option<&'static str> {
    Some(match command {
        "horcctl" => "-D",
        "raidcom" => "-login user password",
        "paircreate" => "-g snap -vl -IM50",
        "pairevtwait" => "-g snap -nowait -IM50",
        "pairdisplay" | "pairresync" | "pairsplit" | "pairvolchk" => "-g snap -IM50",
        "raidqry" => "-l",
        "raidscan" => "-p CL1-A",
        "raidvchkdsp" => "-g snap -v gflag",
        "raidvchkset" => "-g snap -vg inv",
        "horcmshutdown" => "50",
        "inqraid" | "mkconf" | "horcmstart" | "horcmgr" => return None,
        new => panic!("{new} has no line in this test"),
    })
}

#[test]
fn every_command_explains_itself_in_ccis_shape() {
    let place = Place::new();
    for spec in commands::all().iter().chain(commands::own()) {
        let call = commands::call(spec.name);
        let ran = place.run(spec.name, "-h");
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{}", spec.name);
        let lines: Vec<_> = ran.stdout.lines().collect();
        assert!(lines[0].starts_with("Model  : RAID-Manager/"), "{}", spec.name);
        assert!(lines[1].starts_with("Ver&Rev: "), "{}", spec.name);
        assert!(lines[2].starts_with(&format!("Usage  : {call} [options]")));
        for opt in spec.all_options().filter(|opt| opt.listed) {
            assert!(ran.stdout.contains(&format!(" {}", opt.shown)), "{} {}", spec.name, opt.shown);
            assert!(ran.stdout.contains(opt.doc), "{} {}", spec.name, opt.doc);
        }
    }
}

#[test]
fn every_command_refuses_an_unknown_option_by_name() {
    let place = Place::new();
    for spec in commands::all().iter().chain(commands::own()) {
        let call = commands::call(spec.name);
        let ran = place.run(spec.name, "-bogus");
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(252), ""), "{}", spec.name);
        let expected = format!(
            "{0}: [EX_UNWOPT] Unknown option\nOBJECT : -bogus\nCAUSE : there is no such \
             option\nACTION : {call} -h lists the options\n",
            spec.name
        );
        assert_eq!(ran.stderr, expected);
    }
}

#[test]
fn every_command_says_that_the_daemon_does_not_run() {
    let place = Place::new();
    for spec in commands::all() {
        let Some(line) = good_line(spec.name) else { continue };
        let ran = place.run(spec.name, line);
        assert_eq!(ran.code, Some(251), "{}: {}", spec.name, ran.stderr);
        let first = format!("{}: [EX_ATTHOR] Can't be attached to HORC manager", spec.name);
        assert_eq!(ran.stderr.lines().next(), Some(first.as_str()));
        assert!(ran.stderr.contains("ACTION : start it: horcmstart"), "{}", ran.stderr);
    }
}

#[test]
fn a_registration_a_killed_daemon_left_behind_is_no_daemon() {
    let place = Place::new();
    place.key();
    // A socket that is bound and closed again leaves a port nobody listens on.
    let address = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    Registration { address, pid: 1 }.write(&place.home, instance(50)).unwrap();
    let ran = place.run("pairdisplay", "-g snap -IM50");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(251), ""));
    assert!(ran.stderr.contains("ACTION : start it: horcmstart 50"), "{}", ran.stderr);
}

#[test]
fn nomsg_leaves_only_the_code() {
    let place = Place::new();
    let ran = place.run("pairsplit", "-nomsg -g snap");
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(251), "", ""));
}

#[test]
fn links_call_the_command_of_their_name() {
    let place = Place::new();
    let bin = place.root.path().join("links");
    let made = place.run("link", bin.to_str().unwrap());
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let list = place.run("--list", "").stdout;
    assert!(list.lines().any(|name| name == "horcmstart.sh"));
    for name in list.lines() {
        let ran = ran(std::process::Command::new(bin.join(name)).arg("-h"));
        assert_eq!(ran.code, Some(0), "{name}");
        let command = name.trim_end_matches(".sh");
        assert!(ran.stdout.contains(&format!("Usage  : {command} [options]")), "{name}");
    }
}

#[test]
fn horcm_refuses_a_command_there_is_not() {
    let place = Place::new();
    let ran = place.run("pairdisplya", "-g snap");
    assert_eq!(ran.code, Some(230));
    assert!(ran.stderr.starts_with("horcm: [EX_UNWCMD] Unknown command\nOBJECT : pairdisplya\n"));
    assert_eq!(place.run("-h", "").code, Some(0));
    assert_eq!(place.run("link", "").code, Some(254));
}

#[test]
fn words_that_are_not_text_are_refused() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    let mut process = place.command("pairdisplay", "-g");
    process.arg(std::ffi::OsStr::from_bytes(b"\xff\xfe"));
    assert_eq!(ran(&mut process).code, Some(253));
}

#[test]
fn failures_are_logged_and_successes_when_asked() {
    let place = Place::new();
    let logs = place.root.path().join("logs");
    let log = || {
        let mut files = std::fs::read_dir(&logs).unwrap();
        std::fs::read_to_string(files.next().unwrap().unwrap().path()).unwrap()
    };
    ran(place.command("pairsplit", "-g snap -IM50").env("HORCC_LOG", &logs));
    assert!(log().contains("COMMAND ERROR : EUserID for HOMRCF"));
    assert!(log().contains("CMDLINE : pairsplit -g snap -IM50"));
    assert!(log().ends_with("[pairsplit][exit(251)]\n"));
    let check = || {
        let mut process = place.command("horcmgr", "-check");
        process.env("HORCC_LOG", &logs).env("HORCMINST", "50");
        process
    };
    ran(&mut check());
    assert!(!log().contains("horcmgr"));
    ran(check().env("HORCC_LOGSZ", "64"));
    assert!(log().contains("COMMAND NORMAL") && log().ends_with("[horcmgr][exit(0)]\n"));
}

#[test]
fn a_log_that_cannot_be_written_fails_nothing() {
    let place = Place::new();
    let mut process = place.command("pairsplit", "-g snap -IM50");
    let ran = ran(process.env("HORCC_LOG", "/dev/null/nowhere"));
    assert_eq!(ran.code, Some(251));
}
