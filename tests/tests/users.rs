//! The security attributes of command devices: logins, roles, protection mode; over the network and
//! in band.

use std::{fs, os::unix::fs::MetadataExt, time::Duration};

use lab::{Lab, Outcome, run};
use model::Code;

const IPCMD: &str = r"\\.\IPCMD-127.0.0.1-31001";
const IN_BAND: &str = r"\\.\PhysicalDrive0";

/// A lab whose command devices have these attributes; ann may copy and bob may only ask.
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
    for (name, roles) in [("ann", "\"local-copy\""), ("bob", "")] {
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
        let kept = fs::read_dir(lab.root().join("usr/var")).unwrap().flatten();
        let modes: Vec<_> = kept.map(|f| f.metadata().unwrap().mode() & 0o777).collect();
        assert_eq!(modes, [0o600], "one file, its user's own");

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
