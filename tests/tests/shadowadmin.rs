//! `shadowadmin` before real daemons and a real array, with shadow copies to delete.

#[expect(dead_code, reason = "some of it is for tests of attachments")]
mod attached;
#[expect(dead_code, reason = "some of it is for tests of backups")]
#[path = "backup/volumes.rs"]
mod volumes;

use std::{fs, time::Duration};

use lab::{Outcome, lab::until, run::run};
use volumes::Host;

const MIB: u64 = 1 << 20;

#[track_caller]
fn refused(outcome: &Outcome, message: &str, words: &str) {
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stdout.contains(message), "{message}: {outcome}");
    assert!(outcome.stdout.contains(words), "{words}: {outcome}");
    assert!(outcome.stdout.contains("ACTION : "), "{outcome}");
}

/// Deletes, with an answer to its question.
#[track_caller]
fn answered(host: &Host, words: &[&str], answer: &str) -> Outcome {
    let mut command = host.lab.command("shadowadmin");
    command.args(["delete", "shadows"]).args(words);
    run(
        command,
        format!("shadowadmin delete shadows {words:?}"),
        answer.as_bytes(),
        Duration::from_secs(120),
    )
}

fn ids(host: &Host) -> Vec<String> {
    let listed = host.drm("drmfscat -json");
    let json: serde_json::Value = serde_json::from_str(listed.ok()).unwrap();
    let id = |backup: &serde_json::Value| backup["backup_id"].as_str().unwrap().to_owned();
    json.as_array().unwrap().iter().map(id).collect()
}

fn sets(host: &Host) -> usize {
    let entries = fs::read_dir(host.lab.root().join("drm/sets")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".set")).count()
}

fn standing(host: &Host, group: &str) -> Option<i32> {
    host.lab.cci(50, &format!("pairvolchk -g {group} -ss")).code
}

/// The S-VOLs follow their P-VOLs again (PVOL_PAIR).
#[track_caller]
fn goes_on(host: &Host, group: &str) {
    until("the pairs are PAIR", || standing(host, group) == Some(23));
}

#[test]
fn a_shadow_copy_is_deleted_with_its_record_and_its_pairs_go_on() {
    let host = Host::new(32 * MIB);
    let (one, two) = (host.back_up(), host.back_up());
    let split = Some(24);
    assert_eq!((standing(&host, "snap"), standing(&host, "late")), (split, split), "PVOL_PSUS");

    // Not without a word, and nothing happens.
    for words in [&[][..], &["-shadow=0"], &["-shadow=x"], &["-shadow=1", "-all"]] {
        assert_eq!(answered(&host, words, "y\n").code, Some(2), "{words:?}");
    }
    assert_eq!(host.drm("shadowadmin list shadows -quiet").code, Some(2));
    for answer in ["", "n\n", "\n", "nyes\n"] {
        let outcome = answered(&host, &["-all"], answer);
        refused(&outcome, "KAVX0208-E", "not answered with Y");
        let question =
            format!("Do you really want to delete 2 shadow copies: {one}, {two} (Y/N): [N]? ");
        assert!(outcome.stdout.starts_with(&question), "{outcome}");
    }
    assert_eq!(ids(&host), [one.clone(), two.clone()]);

    // Locked, mounted, in use.
    let delete = |host: &Host, id: &str| {
        host.drm(&format!("shadowadmin delete shadows -shadow={id} -quiet"))
    };
    host.drm(&format!("drmcgctl -lock {one}")).ok();
    refused(&delete(&host, &one), "KAVX0205-E", "locked");
    host.drm(&format!("drmcgctl -unlock {one}")).ok();
    host.drm(&format!("drmmount {one}")).ok();
    refused(&delete(&host, &one), "KAVX0205-E", "drmumount");
    let both = host.drm("shadowadmin delete shadows -all -quiet");
    refused(&both, "KAVX0208-E", "1 of 2 were deleted");
    assert!(
        both.stdout.contains(&format!("KAVX0222-I The shadow copy was deleted. ID = {two}\n")),
        "{both}"
    );
    assert!(both.stdout.contains("drmumount it first"), "{both}");
    goes_on(&host, "late");
    assert_eq!(standing(&host, "snap"), split);
    assert_eq!((ids(&host), sets(&host)), (vec![one.clone()], 1));
    host.drm(&format!("drmumount {one}")).ok();

    let asked = answered(&host, &[&format!("-shadow={one}")], "Y\n");
    assert!(
        asked.ok().ends_with(&format!("KAVX0222-I The shadow copy was deleted. ID = {one}\n")),
        "{asked}"
    );
    goes_on(&host, "snap");
    assert_eq!((ids(&host).len(), sets(&host)), (0, 0));
    refused(&delete(&host, &one), "KAVX0201-E", "drmfscat");
    assert!(host.drm("shadowadmin delete shadows -all").ok().starts_with("KAVX0203-I"));

    // IDs go on, and the generation is free.
    let three = host.back_up();
    assert_eq!(three, "0000000003");
    host.a.write("more", "x");
    let json = host.drm(&format!("shadowadmin delete shadows -shadow={three} -quiet -json"));
    assert_eq!(json.ok(), format!("[\n  \"{three}\"\n]\n"));
    // What was overwritten, or given up, is a record alone.
    let four = host.back_up();
    host.drm(&format!("drmresync {four}")).ok();
    delete(&host, &four).ok();
    assert_eq!(ids(&host).len(), 0);
}

#[test]
fn a_backup_without_a_record_or_without_volumes_is_deleted_too() {
    let mut host = Host::new(32 * MIB);
    let one = host.back_up();
    let listed = host.drm("shadowadmin list shadows").ok().to_owned();
    let set = listed.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
    fs::write(host.lab.root().join(format!("drm/db/backups/{one}.json")), "{").unwrap();
    assert!(host.drm("drmfscat").stderr.contains("KAVX0202-W"));
    // Nobody knows whether it was locked, so no backup takes its place by itself.
    let words = format!("shadowadmin delete shadows -shadow={set}");
    refused(&host.drm(&format!("drmfsbackup {}", host.both())), "KAVX0101-E", &words);
    assert_eq!(host.drm(&format!("drmfsbackup {} -rc local_0", host.both())).code, Some(0));
    let two = ids(&host).pop().unwrap();
    let unknown = host.drm(&format!("shadowadmin delete shadows -shadow={set} -quiet"));
    refused(&unknown, "KAVX0207-E", "list shadows");
    host.drm(&format!("shadowadmin delete shadows -shadow={two} -quiet")).ok();

    let three = host.back_up();
    let listed = host.drm("shadowadmin list shadows").ok().to_owned();
    let set = listed.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
    fs::write(host.lab.root().join(format!("drm/db/backups/{three}.json")), "{").unwrap();
    let deleted = host.drm(&format!("shadowadmin delete shadows -shadow={set} -quiet"));
    assert_eq!(deleted.ok(), format!("KAVX0222-I The shadow copy was deleted. ID = {set}\n"));
    goes_on(&host, "snap");
    assert_eq!(sets(&host), 0);

    // Its volumes are gone for ever: no RAID Manager tells anything about them.
    let four = host.back_up();
    host.lab.shut_down(&[50, 51]).ok();
    let gone = host.drm(&format!("shadowadmin delete shadows -shadow={four} -quiet"));
    assert_eq!(gone.code, Some(1), "{gone}");
    assert_eq!(ids(&host), [&*four], "it is not forgotten by the way");
    host.drm(&format!("shadowadmin delete shadows -shadow={four} -record -quiet")).ok();
    assert_eq!((ids(&host).len(), sets(&host)), (0, 0));
    host.lab.start(&[50, 51]).ok();
    host.back_up();
}
