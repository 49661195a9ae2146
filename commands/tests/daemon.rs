//! Commands as processes against a scripted daemon: what arrives, what is printed, how the
//! interactive mode and closed pipes behave.
#![cfg(unix)]

mod common;

use std::{
    io::Read,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use common::{Place, ScriptedDaemon, instance};
use model::{LdevId, LuPath, Lun, MuNumber, PairStatus, Role, Serial, TargetId, VolumeId};
use protocol::{
    horcm::{Member, Reply, Request, Row, StateCount},
    orders::EndStatus,
};

fn alive(number: u16) -> Reply {
    let host = "localhost".to_owned();
    Reply::Alive { instance: instance(number), pid: std::process::id(), host }
}

fn member(number: u32) -> Member {
    let path = LuPath {
        port: "CL1-A".parse().unwrap(),
        target: TargetId::new(0).unwrap(),
        lun: Lun::new(number % 1000).unwrap(),
    };
    let volume =
        VolumeId { serial: Serial::new(62496).unwrap(), ldev: LdevId::new(number).unwrap() };
    Member {
        name: format!("dev{number:05}").parse().unwrap(),
        local: Row {
            path: Some(path),
            volume,
            mu: MuNumber::new(0).unwrap(),
            device: None,
            permitted: true,
            status: Some(EndStatus::SMPL),
            guard: None,
        },
        remote: None,
    }
}

/// Answers with `total` members, in pages of 400.
fn paged(total: u32) -> impl FnMut(&Request) -> Option<protocol::horcm::Answer> + Send {
    move |request| match request {
        Request::Members { from, .. } => {
            let to = total.min(from + 400);
            Some(Ok(Reply::Members {
                group: "snap".parse().unwrap(),
                members: (*from..to).map(member).collect(),
                next: (to < total).then_some(to),
                remote_error: None,
            }))
        }
        _ => Some(Ok(alive(50))),
    }
}

#[test]
fn thousands_of_rows_come_page_by_page_and_none_is_lost() {
    let place = Place::new();
    let daemon = ScriptedDaemon::new(place.key(), paged(8_192));
    let daemon = daemon.registered(&place.home, instance(50));
    let ran = place.run("pairdisplay", "-g snap -l -CLI -IM50");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let names: Vec<_> =
        ran.stdout.lines().skip(1).map(|l| l.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(names.len(), 8_192);
    assert!(names.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(daemon.asked().len(), 21);
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    let place = Place::new();
    let daemon = ScriptedDaemon::new(place.key(), paged(60_000));
    let _daemon = daemon.registered(&place.home, instance(50));
    let mut process = place.command("pairdisplay", "-g snap -l -IM50");
    let mut child = process.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 5];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"Group");
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn a_full_disk_behind_standard_output_is_a_failure() {
    let place = Place::new();
    let daemon = ScriptedDaemon::new(place.key(), paged(5));
    let _daemon = daemon.registered(&place.home, instance(50));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut process = place.command("pairdisplay", "-g snap -l -IM50");
    let ran = process.stdout(full).output().unwrap();
    assert_eq!(ran.status.code(), Some(255));
    let stderr = String::from_utf8(ran.stderr).unwrap();
    assert!(stderr.contains("OBJECT : standard output"), "{stderr}");
}

#[test]
fn a_daemon_with_another_key_is_not_attached_to() {
    let place = Place::new();
    place.key();
    let daemon = ScriptedDaemon::new(protocol::Key::generate(), paged(1));
    let daemon = daemon.registered(&place.home, instance(50));
    let ran = place.run("pairdisplay", "-g snap -IM50");
    assert_eq!(ran.code, Some(251));
    assert!(ran.stderr.contains("another key"), "{}", ran.stderr);
    assert!(daemon.asked().is_empty());
}

#[test]
fn the_prompt_repeats_the_command_until_quit() {
    let place = Place::new();
    let daemon = ScriptedDaemon::new(place.key(), |_| Some(Ok(Reply::Done)));
    let daemon = daemon.registered(&place.home, instance(50));
    let lines = "-g snap -vl\n\n-bogus\n-g other -vr\n-q\n-g never -vl\n";
    let ran = place.run_with("paircreate", "-z -IM50", lines);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.stdout, "paircreate[HOMRCF]:".repeat(5));
    assert!(ran.stderr.starts_with("paircreate: [EX_UNWOPT] Unknown option\n"));
    let asked = format!("{:?}", daemon.asked());
    assert_eq!(daemon.asked().len(), 2, "{asked}");
    assert!(asked.contains("snap") && asked.contains("other") && asked.contains("Homrcf"));
}

#[test]
fn the_prompt_ends_with_its_input_and_returns_the_last_code() {
    let place = Place::new();
    let ran = place.run_with("pairsplit", "-z", "-bogus\n");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(252), "pairsplit[HORC]:pairsplit[HORC]:\n"));
}

#[test]
fn the_watching_prompt_ends_when_the_daemon_stops() {
    let place = Place::new();
    // Alive for one look, gone at the second.
    let looks = Arc::new(AtomicUsize::new(0));
    let stopped = Arc::new(AtomicBool::new(false));
    let (seen, home) = (looks, place.home.clone());
    let gone = stopped.clone();
    let daemon = ScriptedDaemon::new(place.key(), move |_| {
        if seen.fetch_add(1, Ordering::SeqCst) == 1 {
            protocol::Registration::remove(&home, instance(50)).unwrap();
            gone.store(true, Ordering::SeqCst);
        }
        Some(Ok(alive(50)))
    });
    let _daemon = daemon.registered(&place.home, instance(50));
    let mut process = place.command("pairdisplay", "-zx -IM50");
    process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = process.spawn().unwrap();
    // Its input stays open: only the daemon's end can end it.
    let input = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(input);
    assert_eq!(output.status.code(), Some(231));
    assert!(stopped.load(Ordering::SeqCst));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("[EX_ESTMON] HORCM Monitor stopped"), "{stderr}");
}

#[test]
fn waiting_ends_when_the_array_has_moved_on() {
    let place = Place::new();
    let mut looks = 0;
    let daemon = ScriptedDaemon::new(place.key(), move |_| {
        looks += 1;
        let status = if looks < 4 { PairStatus::Copy } else { PairStatus::Pair };
        let state = |role| StateCount {
            role,
            status,
            fence: None,
            ctg: None,
            count: 1,
            example: "snapdev1".parse().unwrap(),
        };
        Some(Ok(Reply::Summary {
            group: "snap".parse().unwrap(),
            local: vec![state(Role::SVol)],
            remote: vec![state(Role::PVol)],
            mismatched: 0,
        }))
    });
    let _daemon = daemon.registered(&place.home, instance(50));
    let ran = place.run("pairevtwait", "-g snap -s pair -t 60 -IM50");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "pairevtwait : Wait status done.\n"));
}
