//! Who gets in: host groups, LUN masking and CHAP, as programs nobody here wrote see them, and a
//! horcmd whose host has no command device.

use std::{net::SocketAddr, process::Command, time::Duration};

use lab::{
    Carrier, Lab, Outcome, bytes,
    lab::{HBA, SVOL},
    run::run,
};
use scsi::iscsi::{Initiator, initiator::InitiatorError};

/// The host that has the command device, and both volumes.
const OWNER: &str = "iqn.2026-11.internal.raidmanager:host";
/// A host that has LDEV 19 as its LUN 0, and nothing else.
const DATA: &str = "iqn.2026-11.internal.test:data";
/// Hosts that have to prove who they are, one way and both.
const PROVES: &str = "iqn.2026-11.internal.test:proves";
const MUTUAL: &str = "iqn.2026-11.internal.test:mutual";
/// A host of no group.
const NOBODY: &str = "iqn.2026-11.internal.test:nobody";

const GROUPS: &str = r#"
[[port.host_group]]
number = 1
initiators = ["iqn.2026-11.internal.test:data"]
[[port]]
name = "CL3-C"
[[port.host_group]]
number = 0
initiators = ["iqn.2026-11.internal.test:proves"]
chap = { user = "host", secret = "the-hosts-secret" }
[[port.host_group]]
number = 1
initiators = ["iqn.2026-11.internal.test:mutual"]
chap = { user = "host", secret = "the-hosts-secret", target_user = "array", target_secret = "the-arrays-secret" }
"#;
const LUNS: &str = r#"
[[lun]]
port = "CL2-C-1"
target = 25
lun = 0
ldev = 19
[[lun]]
port = "CL3-C"
target = 25
lun = 7
ldev = 18
[[lun]]
port = "CL3-C-1"
target = 25
lun = 8
ldev = 18
"#;

fn start() -> Lab {
    let mut lab = Lab::on(Carrier::InBand);
    let toml = std::fs::read_to_string(lab.conf("array-62496.toml")).unwrap();
    let anybody = "initiators = [\"*\"]\n";
    assert!(toml.contains(anybody), "{toml}");
    let toml = toml.replace(anybody, &format!("initiators = [\"{OWNER}\"]\n{GROUPS}"));
    std::fs::write(lab.conf("array-62496.toml"), toml + LUNS).unwrap();
    lab.init_array().ok();
    lab.start_array();
    lab
}

fn tool(name: &str, args: &[&str]) -> Outcome {
    let mut command = Command::new(name);
    command.args(args);
    run(command, format!("{name} {}", args.join(" ")), b"", Duration::from_secs(60))
}

/// What `iscsi-ls -s` prints for an initiator, with `user%secret@` or nothing.
fn listed(lab: &Lab, initiator: &str, login: &str) -> Outcome {
    let portal = format!("iscsi://{login}{}:3260", lab.ip());
    tool("iscsi-ls", &["-i", initiator, "-s", &portal])
}

/// The ports and LUNs of such a list.
fn seen(list: &Outcome) -> Vec<String> {
    let mut target = String::new();
    let mut seen = Vec::new();
    for line in list.ok().lines() {
        if let Some(rest) = line.strip_prefix("Target:") {
            let name = rest.split_whitespace().next().unwrap();
            target = name.rsplit('.').next().unwrap().to_owned();
            seen.push(target.clone());
        } else if let Some(rest) = line.strip_prefix("Lun:") {
            seen.push(format!("{target}/{}", rest.split_whitespace().next().unwrap()));
        }
    }
    seen
}

/// `iscsi-inq` of a LUN; `login` as in [`listed`], `rest` behind the address.
fn inquired(lab: &Lab, initiator: &str, login: &str, port_lun: &str, rest: &str) -> Outcome {
    let target = "iqn.2026-11.internal.raidmanager:62496";
    let url = format!("iscsi://{login}{}:3260/{target}.{port_lun}{rest}", lab.ip());
    tool("iscsi-inq", &["-i", initiator, &url])
}

#[track_caller]
fn refuses(outcome: &Outcome, why: &str) {
    assert_ne!(outcome.code, Some(0), "{outcome}");
    assert!(outcome.stderr.contains(why), "{why:?} is not in {outcome}");
}

#[test]
fn each_initiator_sees_the_targets_and_luns_of_its_own_host_group() {
    let lab = start();
    assert_eq!(seen(&listed(&lab, OWNER, "")), ["cl2-c", "cl2-c/0", "cl2-c/1", "cl2-c/2"]);
    assert_eq!(seen(&listed(&lab, DATA, "")), ["cl2-c", "cl2-c/0"]);
    assert_eq!(seen(&listed(&lab, NOBODY, "")), [""; 0]);
    // The same number, two LDEVs.
    assert!(inquired(&lab, OWNER, "", "cl2-c/0", "").ok().contains("OPEN-3-CM"));
    let other = inquired(&lab, DATA, "", "cl2-c/0", "");
    assert!(other.ok().contains("OPEN-3 ") && !other.stdout.contains("-CM"), "{other}");
    // A LUN of another group, a target of another port, and one that is none.
    let masked = inquired(&lab, DATA, "", "cl2-c/1", "");
    refuses(&masked, "LOGICAL_UNIT_NOT_SUPPORTED");
    for (initiator, target) in [(NOBODY, "cl2-c/0"), (DATA, "cl3-c/7"), (OWNER, "cl9-c/0")] {
        let refused = inquired(&lab, initiator, "", target, "");
        refuses(&refused, "Target not found");
    }
}

#[test]
fn chap_lets_in_who_knows_the_secrets() {
    let lab = start();
    let right = "host%the-hosts-secret@";
    assert_eq!(seen(&listed(&lab, PROVES, right)), ["cl3-c", "cl3-c/7"]);
    let wrong =
        ["", "host%the-other-secret@", "nobody%the-hosts-secret@", "array%the-arrays-secret@"];
    for (initiator, lun) in [(PROVES, "cl3-c/7"), (MUTUAL, "cl3-c/8")] {
        assert!(inquired(&lab, initiator, right, lun, "").ok().contains("OPEN-3"));
        for login in wrong {
            for refused in
                [inquired(&lab, initiator, login, lun, ""), listed(&lab, initiator, login)]
            {
                refuses(&refused, "Authentication failure");
            }
        }
    }
    // The array proves itself to who asks, and only with its own secret.
    let asks = |secret: &str| {
        let target = format!("?target_user=array&target_password={secret}");
        inquired(&lab, MUTUAL, right, "cl3-c/8", &target)
    };
    assert!(asks("the-arrays-secret").ok().contains("OPEN-3"));
    let denied = asks("some-other-secret");
    assert_ne!(denied.code, Some(0), "{denied}");
    // Secrets do not help who is in no group: there is nobody to show them to.
    let refused = listed(&lab, NOBODY, right);
    assert!(refused.code != Some(0) && !refused.stdout.contains("Target:"), "{refused}");
}

#[test]
fn horcmd_on_a_host_without_the_command_device_starts_not_and_touches_nothing() {
    let mut lab = start();
    let kept = bytes::pattern(7, 1 << 20);
    lab.write(SVOL, 0, &kept).ok();
    for (initiator, said) in [(DATA, "not a command device"), (NOBODY, "leads to no disk")] {
        lab.write_conf(HBA, &format!("127.0.0.1:3260 {initiator}\n"));
        let refused = lab.start(&[50]);
        assert_eq!(refused.code, Some(3), "{refused}");
        assert!(refused.stderr.contains("HORCM_009") && refused.stderr.contains(said), "{refused}");
    }
    assert!(lab.read(SVOL, 0, kept.len()) == kept, "a data volume is no mailbox");
    lab.write_conf(HBA, &format!("127.0.0.1:3260 {OWNER}\n"));
    lab.start(&[50]).ok();
}

#[tokio::test]
async fn the_built_in_initiator_is_refused_like_any_other() {
    let lab = start();
    let portal = SocketAddr::from((lab.ip(), 3260));
    let target = |port| format!("iqn.2026-11.internal.raidmanager:62496.{port}");
    // RFC 7143, 11.13.5: not found, authentication failure.
    for (name, port, status) in
        [(NOBODY, "cl2-c", 0x0203), (DATA, "cl3-c", 0x0203), (PROVES, "cl3-c", 0x0201)]
    {
        let host = Initiator::new(name).unwrap();
        let refused = host.login(portal, &target(port)).await.unwrap_err();
        let InitiatorError::Refused(found) = refused else { panic!("{name}: {refused}") };
        assert_eq!(found, status, "{name} at {port}");
    }
    assert!(Initiator::new(NOBODY).unwrap().discover(portal).await.unwrap().is_empty());
}
