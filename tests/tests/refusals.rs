//! Bad input: a clear message, the right exit code, and no change of state.

use std::{
    fs,
    net::UdpSocket,
    process::Command,
    time::{Duration, Instant},
};

use lab::{Carrier, Lab};
use model::Code;

lab::on_every_carrier! {
    names_and_words_that_do_not_exist_are_named,
    what_the_state_forbids_is_refused_and_changes_nothing,
    remote_copy_says_that_it_is_not_there_yet,
    volumes_of_different_size_are_refused_with_both_sizes,
    a_mirror_that_shadowimage_does_not_have_is_refused,
    a_peer_that_is_down_costs_its_rows_and_the_code_not_the_local_rows,
    a_peer_without_the_group_or_the_volume_is_named_as_the_cause,
    an_array_that_is_down_is_ex_cmdioe_and_comes_back,
    two_daemons_for_one_instance_are_refused_and_the_first_goes_on,
    a_port_in_use_is_named_and_the_start_fails,
}

/// A lab whose array and instances run.
fn running(carrier: Carrier) -> Lab {
    let mut lab = Lab::on(carrier);
    lab.init_array().ok();
    lab.start_array();
    lab.start(&[50, 51]).ok();
    lab
}

fn status(lab: &Lab) -> String {
    lab.cci(51, "pairdisplay -g snap -CLI").ok().to_string()
}

fn names_and_words_that_do_not_exist_are_named(carrier: Carrier) {
    let lab = running(carrier);
    let before = status(&lab);
    let refused = |line: &str, code: Code, named: &str| {
        let said = lab.cci(51, line);
        assert!(said.fails(code).contains(named), "{named:?} is not in {said}");
        assert_eq!(said.stdout, "", "{said}");
    };
    refused("pairdisplay -g nogroup", Code::ExEnogrp, "nogroup");
    refused("paircreate -g nogroup -vl", Code::ExEnogrp, "nogroup");
    refused("pairdisplay -g snap -d novol", Code::ExEnodev, "novol");
    refused("pairsplit -g snap -bogus", Code::ExUnwopt, "-bogus");
    refused("paircreate -g snap", Code::ExReqarg, "-vl");
    refused("paircreate -g snap -vr -c 16", Code::ExInvarg, "16");
    assert_eq!(status(&lab), before);
    // Letters and spellings of the manual are taken, also those that add nothing here.
    lab.cci(51, "pairdisplay -g snap -fxcdmeg").ok();
    assert!(lab.cci(51, "raidscan -p CL2-C -CLIB").ok().contains("62496"));
}

fn what_the_state_forbids_is_refused_and_changes_nothing(carrier: Carrier) {
    let lab = running(carrier);
    lab.cci(51, "pairsplit -g snap").fails(Code::ExInvstp);
    lab.cci(51, "pairresync -g snap").fails(Code::ExInvstp);
    lab.cci(51, "pairresync -g snap -restore").fails(Code::ExInvstp);
    lab.cci(51, "paircreate -g snap -vr").ok();
    lab.cci(51, "pairevtwait -g snap -s pair -t 120").ok();
    let before = status(&lab);
    lab.cci(51, "pairresync -g snap -restore").fails(Code::ExInvstp);
    assert_eq!(status(&lab), before);
    assert!(before.contains("PAIR"), "{before}");
}

fn remote_copy_says_that_it_is_not_there_yet(carrier: Carrier) {
    let lab = running(carrier);
    let said = lab.cci(51, "paircreate -g snap -vr -f never -IH51");
    assert!(said.fails(Code::ExEnosup).contains("HORC"), "{said}");
}

fn volumes_of_different_size_are_refused_with_both_sizes(carrier: Carrier) {
    let mut lab = Lab::on(carrier);
    lab.small_volumes(16 << 20);
    let toml = fs::read_to_string(lab.conf("array-62496.toml")).unwrap();
    let (head, tail) = toml.split_once("ldev = 19").unwrap();
    fs::write(
        lab.conf("array-62496.toml"),
        format!("{head}ldev = 19{}", tail.replace("16 MiB", "17 MiB")),
    )
    .unwrap();
    lab.init_array().ok();
    lab.start_array();
    lab.start(&[50, 51]).ok();
    let before = status(&lab);
    let said = lab.cci(51, "paircreate -g snap -vr");
    assert!(said.fails(Code::ExEnqsiz).contains("LDEV 19"), "{said}");
    assert_eq!(status(&lab), before);
}

fn a_mirror_that_shadowimage_does_not_have_is_refused(carrier: Carrier) {
    let mut lab = Lab::on(carrier);
    let conf = fs::read_to_string(lab.conf("horcm50.conf")).unwrap();
    let (from, to) = ("25              1             2", "25              1             7");
    assert!(conf.contains(from), "{conf}");
    fs::write(lab.conf("horcm50.conf"), conf.replace(from, to)).unwrap();
    lab.init_array().ok();
    lab.start_array();
    lab.start(&[50, 51]).ok();
    lab.cci(51, "paircreate -g snap -vr").fails(Code::ExInvmun);
}

#[test]
fn a_stopped_daemon_is_ex_atthor_at_once() {
    let lab = Lab::new();
    let started = Instant::now();
    let said = lab.cci(51, "pairdisplay -g snap");
    assert!(said.fails(Code::ExAtthor).contains("horcmstart 51"), "{said}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

fn a_peer_that_is_down_costs_its_rows_and_the_code_not_the_local_rows(carrier: Carrier) {
    let mut lab = running(carrier);
    lab.shut_down(&[50]).ok();
    let said = lab.cci(51, "pairdisplay -g snap");
    said.fails(Code::ExEnormt);
    assert!(said.stdout.contains("snapdev1(L)"), "{said}");
    assert!(!said.stdout.contains("snapdev1(R)"), "{said}");
    lab.cci(51, "paircreate -g snap -vr").fails(Code::ExEnormt);
    assert_eq!(lab.cci(51, "pairvolchk -g snap -ss").code, Some(11));
}

fn a_peer_without_the_group_or_the_volume_is_named_as_the_cause(carrier: Carrier) {
    for (from, to, object) in
        [("snap ", "other ", "snap"), ("snapdev1", "snapdev9", "snap/snapdev1")]
    {
        let mut lab = Lab::on(carrier);
        let conf = fs::read_to_string(lab.conf("horcm50.conf")).unwrap();
        fs::write(lab.conf("horcm50.conf"), conf.replace(from, to)).unwrap();
        lab.init_array().ok();
        lab.start_array();
        lab.start(&[50, 51]).ok();
        let said = lab.cci(51, "pairdisplay -g snap");
        let reason = said.fails(Code::ExEnormt);
        assert!(reason.contains("remote instance") && reason.contains(object), "{said}");
        assert!(said.stdout.contains("snapdev1(L)"), "{said}");
        assert_ne!(lab.cci(51, "paircreate -g snap -vr").code, Some(0));
    }
}

fn an_array_that_is_down_is_ex_cmdioe_and_comes_back(carrier: Carrier) {
    let mut lab = running(carrier);
    lab.kill_array();
    lab.cci(51, "pairdisplay -g snap -l").fails(Code::ExCmdioe);
    lab.start_array();
    lab.cci(51, "pairdisplay -g snap").ok();
}

fn two_daemons_for_one_instance_are_refused_and_the_first_goes_on(carrier: Carrier) {
    let mut lab = running(carrier);
    let second = lab.start(&[50]);
    assert_eq!(second.code, Some(1), "{second}");
    assert!(second.stdout.contains("HORCM inst 50 has already been running."), "{second}");
    lab.cci(50, "pairdisplay -g snap").ok();
}

fn a_port_in_use_is_named_and_the_start_fails(carrier: Carrier) {
    let mut lab = Lab::on(carrier);
    lab.init_array().ok();
    lab.start_array();
    let _taken = UdpSocket::bind((lab.ip(), 52050)).unwrap();
    let said = lab.start(&[50]);
    assert_eq!(said.code, Some(3), "{said}");
    assert!(said.stdout.contains("HORCM inst 50 has failed to start."), "{said}");
    assert!(said.stderr.contains("52050"), "{said}");
    lab.cci(50, "pairdisplay -g snap").fails(Code::ExAtthor);
}

#[test]
fn every_mistake_of_a_configuration_is_reported_with_line_and_column() {
    let mut lab = Lab::new();
    lab.init_array().ok();
    lab.start_array();
    let conf = fs::read_to_string(lab.conf("horcm50.conf")).unwrap();
    let broken = conf.replace("CL2-C", "CL9-Z").replace("3000", "soon");
    fs::write(lab.conf("horcm50.conf"), &broken).unwrap();
    let line = |word| 1 + broken.lines().position(|l| l.contains(word)).unwrap();
    let said = lab.start(&[50]);
    assert_eq!(said.code, Some(3), "{said}");
    for word in ["CL9-Z", "soon"] {
        let place = format!("horcm50.conf:{}:", line(word));
        assert!(said.stderr.contains(&place), "{place} is not in {said}");
    }
}

#[test]
fn a_pipe_as_configuration_is_refused_and_not_waited_for() {
    let mut lab = Lab::new();
    lab.init_array().ok();
    lab.start_array();
    let path = lab.conf("horcm50.conf");
    fs::remove_file(&path).unwrap();
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let started = Instant::now();
    let said = lab.start(&[50]);
    assert_eq!(said.code, Some(3), "{said}");
    assert!(said.stderr.contains("horcm50.conf") && said.stderr.contains("regular file"), "{said}");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_damaged_array_directory_is_refused_by_the_name_of_the_damaged_file() {
    let lab = Lab::new();
    lab.init_array().ok();
    let whole = copy_of(&lab);
    for name in &whole {
        for damage in [truncate as fn(&std::path::Path), overwrite] {
            let path = lab.array_dir().join(name);
            let saved = lab.path("saved");
            fs::copy(&path, &saved).unwrap();
            damage(&path);
            let dir = lab.array_dir();
            let said = lab.program("arrayd", ["check".as_ref(), dir.as_os_str()]);
            assert_ne!(said.code, Some(0), "{name}: {said}");
            assert!(
                format!("{}{}", said.stdout, said.stderr).contains(name.as_str()),
                "{name}: {said}"
            );
            fs::copy(&saved, &path).unwrap();
        }
    }
    let dir = lab.array_dir();
    lab.program("arrayd", ["check".as_ref(), dir.as_os_str()]).ok();
}

/// The metadata files of the array's directory, which must hold something. Not the pools': nothing
/// is stored in them yet, and what damage does to what is has tests of its own.
fn copy_of(lab: &Lab) -> Vec<String> {
    let names: Vec<_> = fs::read_dir(lab.array_dir())
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.metadata().is_ok_and(|m| m.is_file() && m.len() > 0))
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("pool-"))
        .collect();
    assert!(!names.is_empty());
    names
}

fn truncate(path: &std::path::Path) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len(length / 2).unwrap();
}

fn overwrite(path: &std::path::Path) {
    let mut bytes = fs::read(path).unwrap();
    for byte in bytes.iter_mut().take(4096) {
        *byte = !*byte;
    }
    fs::write(path, bytes).unwrap();
}
