//! The security attributes of command devices: logins, roles, protection mode; over the network and
//! in band, by commands and by the shadow-copy provider.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use lab::{
    Lab, Outcome,
    lab::{PVOL, SVOL},
    run,
};
use model::{CciResult, Code, LdevId, MuNumber, PairEnd, PairStatus, Serial, VolumeId};
use provider::{
    raid::{Pair, Raid, Towards},
    session::Session,
    settings::{LOCAL, MUN, REMOTE, Settings},
};

const IPCMD: &str = r"\\.\IPCMD-127.0.0.1-31001";
const IN_BAND: &str = r"\\.\PhysicalDrive0";

/// A lab whose command devices have these attributes; ann may copy, bob may only ask, and vss may
/// set guards too.
fn lab(line: &str, attributes: &str) -> Lab {
    let mut lab = Lab::new();
    lab.in_band(&line.replace("127.0.0.1", &lab.ip().to_string()));
    let file = lab.conf("array-62496.toml");
    let mut toml = fs::read_to_string(&file).unwrap();
    for known in ["[ipcmd]\n", "command_device = true\n"] {
        assert!(toml.contains(known), "the sample has {known}");
        toml = toml.replace(known, &format!("{known}security = {{ {attributes} }}\n"));
    }
    let hash = hash(&lab, "sesame");
    let both = "\"local-copy\", \"provisioning\"";
    for (name, roles) in [("ann", "\"local-copy\""), ("bob", ""), ("vss", both)] {
        toml += &format!(
            "\n[[user]]\nname = \"{name}\"\npassword_hash = \"{hash}\"\nroles = [{roles}]\n"
        );
    }
    lab.write_conf("array-62496.toml", &toml);
    lab.init_array().ok();
    lab.start_array();
    lab
}

fn hash(lab: &Lab, password: &str) -> String {
    let mut command = lab.binary("arrayd");
    command.arg("hash-password");
    let input = format!("{password}\n");
    let limit = Duration::from_secs(60);
    let made = run::run(command, "arrayd hash-password".into(), input.as_bytes(), limit);
    made.ok().trim_end().to_owned()
}

fn login(lab: &Lab, words: &str) -> Outcome {
    lab.cci(51, &format!("raidcom -login {words} -s 62496 -IM51"))
}

#[test]
fn pairs_are_asked_for_and_changed_after_a_login_with_the_role_only() {
    for line in [IPCMD, IN_BAND] {
        let mut lab = lab(line, "user_authentication = true");
        lab.start(&[50, 51]).ok();
        let said = lab.cci(51, "pairdisplay -g snap").fails(Code::ExEnauth).to_owned();
        assert!(said.contains("raidcom -login"), "{said}");
        lab.cci(51, "paircreate -g snap -vr").fails(Code::ExEnauth);
        login(&lab, "ann wrong").fails(Code::ExEnauth);
        login(&lab, "nobody sesame").fails(Code::ExEnauth);

        assert_eq!(login(&lab, "bob sesame").ok(), "");
        assert_eq!(lab.cci(51, "pairdisplay -g snap").ok().lines().count(), 3);
        lab.cci(51, "paircreate -g snap -vr").fails(Code::ExEpperm);

        login(&lab, "ann sesame").ok();
        lab.cci(51, "paircreate -g snap -vr").ok();
        lab.cci(51, "pairevtwait -g snap -s pair -t 120").ok();
        lab.cci(51, "raidvchkset -g snap -vg svd").fails(Code::ExEpperm);
        let modes = |folder: &Path| -> Vec<_> {
            let found = fs::read_dir(folder).unwrap().flatten();
            found.map(|f| (f.path(), f.metadata().unwrap().mode() & 0o777)).collect()
        };
        let folders = modes(&lab.root().join("usr/var"));
        assert!(matches!(folders[..], [(_, 0o700)]), "a folder, its user's own: {folders:?}");
        let kept = modes(&folders[0].0);
        assert!(matches!(kept[..], [(_, 0o600)]), "one file: {kept:?}");

        // The session is the user's, not the instance's, and ends with the logout.
        assert_eq!(lab.cci(50, "pairvolchk -g snap -ss").code, Some(23));
        lab.cci(51, "raidcom -logout").ok();
        lab.cci(51, "pairvolchk -g snap").fails(Code::ExEnauth);
        lab.cci(51, "raidcom -logout").ok();

        let typed = lab.cci_with(51, "raidcom -login", b"ann\nsesame\n");
        assert_eq!(typed.ok(), "");
        assert_eq!(lab.cci(51, "pairvolchk -g snap -ss").code, Some(33));
        lab.kill_array();
        lab.start_array();
        lab.cci(51, "pairvolchk -g snap").fails(Code::ExEnauth);
        login(&lab, "ann sesame").ok();
        lab.cci(51, "pairsplit -g snap -S").ok();
    }
}

/// The small files under a folder whose bytes contain this; the volumes are not small.
fn files_with(folder: &Path, word: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.extend(files_with(&path, word));
        } else if kind.is_file() && entry.metadata().unwrap().len() < 16 << 20 {
            let bytes = fs::read(&path).unwrap();
            if bytes.windows(word.len()).any(|part| part == word.as_bytes()) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn a_password_stands_in_no_file_whether_the_login_goes_well_or_not() {
    let mut lab = lab(IPCMD, "user_authentication = true");
    login(&lab, "ann sesame").fails(Code::ExAtthor);
    lab.start(&[51]).ok();
    let mut logged = lab.command("raidcom");
    logged.envs([("HORCC_LOGSZ", "64"), ("HORCMINST", "51"), ("HORCC_MRCF", "1")]);
    logged.args(["-login", "ann", "sesame", "-s", "62496"]);
    run::run(logged, "raidcom -login".into(), b"", Duration::from_secs(60)).ok();
    lab.cci(51, "raidcom -login ann -sesame").fails(Code::ExUnwopt);
    assert_eq!(files_with(&lab.root(), "sesame"), [] as [PathBuf; 0]);
    let log = files_with(&lab.root(), "-login ann *** -s 62496");
    assert!(!log.is_empty(), "the logins themselves are logged");
}

#[test]
fn after_wrong_passwords_even_the_right_one_has_to_wait() {
    let mut lab = lab(IPCMD, "user_authentication = true");
    lab.start(&[51]).ok();
    let said: Vec<_> = (0..5)
        .map(|n| login(&lab, &format!("ann wrong{n}")).fails(Code::ExEnauth).to_owned())
        .collect();
    assert!(said[0].contains("another") && !said[0].contains("wait"), "{said:?}");
    assert!(said.iter().any(|said| said.contains("too many wrong passwords")), "{said:?}");
    login(&lab, "bob sesame").ok();
    lab::lab::until("ann may try again", || login(&lab, "ann sesame").code == Some(0));
}

#[test]
fn a_protected_command_device_puts_the_instance_into_protection_mode() {
    for line in [IPCMD, IN_BAND] {
        let mut lab = lab(line, "protection = true");
        lab.write_conf("horcmperm51.conf", "Harddisk2\n");
        lab.write_conf("horcmperm50.conf", "Harddisk0\n");
        lab.start(&[50, 51]).ok();
        assert!(lab.cci(50, "horcctl -D").ok().ends_with("*\n"));
        lab.cci(50, "pairvolchk -g snap").fails(Code::ExEnperm);
        assert_eq!(lab.cci(51, "pairvolchk -g snap").code, Some(1));
        lab.cci(51, "paircreate -g snap -vr").fails(Code::ExEnperm);
    }
}

/// What the provider asks HORCM of, with instances 50 and 51.
fn horcm(lab: &Lab) -> Session {
    let variables = [(LOCAL, "50"), (REMOTE, "51"), (MUN, "2")];
    let lookup = |name: &str| {
        let found = variables.iter().find(|variable| variable.0 == name);
        Ok(found.map(|variable| variable.1.to_owned()))
    };
    Session::new(protocol::Home::at(lab.root()), &Settings::read(lookup).unwrap())
}

fn volume(ldev: u32) -> VolumeId {
    VolumeId { serial: Serial::new(62_496).unwrap(), ldev: LdevId::new(ldev).unwrap() }
}

fn pair(group: &str, name: &str, (primary, mu): (u32, u32), secondary: u32) -> Pair {
    let end = |ldev, mu| PairEnd { volume: volume(ldev), mu: MuNumber::new(mu).unwrap() };
    Pair {
        group: group.parse().unwrap(),
        name: name.parse().unwrap(),
        primary: end(primary, mu),
        secondary: end(secondary, 0),
    }
}

fn code<T>(answer: CciResult<T>) -> Option<Code> {
    answer.err().map(|error| error.code)
}

fn until_paired(raid: &mut Session, pair: &Pair) {
    lab::lab::until("it is PAIR", || raid.standing(pair).unwrap().status == PairStatus::Pair);
}

#[test]
fn the_provider_works_with_the_logins_of_its_account_as_they_are_at_the_moment() {
    let mut lab = lab(IPCMD, "user_authentication = true");
    lab.start(&[50, 51]).ok();
    let mut raid = horcm(&lab);
    let seeds = [pair("snap", "snapdev1", (PVOL, 2), SVOL)];
    let commit = |raid: &mut Session| {
        raid.arm(&seeds)?;
        raid.fire(Duration::from_secs(10))
    };
    let each = |raid: &mut Session| {
        let mirror = MuNumber::new(2).unwrap();
        [
            code(raid.by_primary(volume(PVOL), mirror)),
            code(raid.standing(&seeds[0])),
            code(raid.hide(&seeds, true)),
            code(raid.order(&seeds, Towards::Create)),
            code(commit(raid)),
        ]
    };
    assert_eq!(each(&mut raid), [Some(Code::ExEnauth); 5]);
    login(&lab, "bob sesame").ok();
    let refused = Some(Code::ExEpperm);
    assert_eq!(each(&mut raid), [None, None, refused, refused, refused]);

    // The daemons and the session with them are the same all the time.
    login(&lab, "vss sesame").ok();
    raid.hide(&seeds, true).unwrap();
    raid.order(&seeds, Towards::Create).unwrap();
    until_paired(&mut raid, &seeds[0]);
    raid.arm(&seeds).unwrap();
    lab.cci(51, "raidcom -logout").ok();
    assert_eq!(code(raid.fire(Duration::from_secs(10))), Some(Code::ExEnauth), "it ended");
    login(&lab, "vss sesame").ok();
    commit(&mut raid).unwrap();
    assert_eq!(raid.standing(&seeds[0]).unwrap().status, PairStatus::Psus);
}

#[test]
fn one_protected_volume_keeps_a_list_of_several_groups_from_changing() {
    const MORE: u32 = 4096;
    let mut lab = Lab::new();
    lab.in_band(IN_BAND);
    lab.more_luns(2, 16 << 20);
    for (instance, peer, ldev) in [(50, 52051, MORE), (51, 52050, MORE + 1)] {
        let name = format!("horcm{instance}.conf");
        let text = fs::read_to_string(lab.conf(&name)).unwrap();
        let more = format!("\nHORCM_LDEV\nmore dev1 62496 {ldev} 0\n");
        let last = format!("\nHORCM_INST\nmore 127.0.0.1 {peer}\n");
        lab.write_conf(&name, &text.replace("\nHORCM_INST\n", &(more + &last)));
    }
    // Each host may use its volume of snap and not its volume of more.
    lab.write_conf("horcmperm50.conf", "Harddisk1\n");
    lab.write_conf("horcmperm51.conf", "Harddisk2\n");
    lab.set("HORCMPROMOD", "1");
    lab.init_array().ok();
    lab.start_array();
    lab.start(&[50, 51]).ok();

    let mut raid = horcm(&lab);
    let snap = pair("snap", "snapdev1", (PVOL, 2), SVOL);
    let all = [snap.clone(), pair("more", "dev1", (MORE, 0), MORE + 1)];
    let denied = |answer: CciResult<()>, ldev: u32| {
        let error = answer.unwrap_err();
        assert_eq!(error.code, Code::ExEnperm, "{error}");
        let said = error.to_string();
        assert!(said.contains("more/dev1") && said.contains(&format!("LDEV {ldev} ")), "{said}");
    };
    let mirror = MuNumber::new(0).unwrap();
    denied(raid.by_primary(volume(MORE), mirror).map(drop), MORE);
    denied(raid.by_secondary(volume(MORE + 1)).map(drop), MORE + 1);
    denied(raid.standing(&all[1]).map(drop), MORE);
    denied(raid.order(&all, Towards::Create), MORE);
    denied(raid.hide(&all, true), MORE + 1);
    let guards = || lab.cci(51, "raidvchkdsp -g snap -v gflag").ok().to_owned();
    let unguarded = guards();
    assert_eq!(raid.standing(&snap).unwrap().status, PairStatus::Smpl);

    let one = std::slice::from_ref(&snap);
    raid.order(one, Towards::Create).unwrap();
    until_paired(&mut raid, &snap);
    for towards in [Towards::Resync, Towards::Restore] {
        denied(raid.order(&all, towards), MORE);
    }
    raid.arm(&all).unwrap();
    denied(raid.fire(Duration::from_secs(10)), MORE);
    assert_eq!(raid.standing(&snap).unwrap().status, PairStatus::Pair);
    assert_eq!(guards(), unguarded);

    raid.hide(one, true).unwrap();
    assert_ne!(guards(), unguarded, "the same order for its own volume is carried out");
    raid.arm(one).unwrap();
    raid.fire(Duration::from_secs(10)).unwrap();
    assert_eq!(raid.standing(&snap).unwrap().status, PairStatus::Psus);
}

#[test]
fn one_protected_command_device_of_a_unit_is_enough_whichever_is_in_use() {
    let mut lab = Lab::new();
    let line = format!("{IPCMD} {IN_BAND}").replace("127.0.0.1", &lab.ip().to_string());
    lab.in_band(&line);
    let toml = fs::read_to_string(lab.conf("array-62496.toml")).unwrap();
    let device = "command_device = true\n";
    assert!(toml.contains(device), "the sample has {device}");
    let protected = format!("{device}security = {{ protection = true }}\n");
    lab.write_conf("array-62496.toml", &toml.replace(device, &protected));
    lab.write_conf("horcmperm50.conf", "Harddisk0\n");
    lab.init_array().ok();
    lab.start_array();
    lab.start(&[50]).ok();
    assert!(lab.cci(50, "horcctl -D").ok().ends_with("*\n"), "its alternate says so");

    // That which says so is not there at the start, and found when it is changed to.
    lab.shut_down(&[50]).ok();
    lab.kill_array();
    lab.start_array_with(&["--iscsi", "127.0.0.1:0"]);
    lab.start(&[50]).ok();
    assert!(!lab.cci(50, "horcctl -D").ok().contains('*'));
    lab.kill_array();
    lab.start_array();
    assert!(lab.cci(50, "horcctl -C").ok().contains("PhysicalDrive0"));
    for _ in 0..2 {
        assert!(lab.cci(50, "horcctl -D").ok().ends_with("*\n"));
        lab.cci(50, "pairvolchk -g snap").fails(Code::ExEnperm);
        lab.cci(50, "horcctl -C").ok();
    }
}
