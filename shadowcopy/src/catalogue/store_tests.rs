//! What the catalogue keeps, whatever happens around it.

use std::{collections::HashSet, ffi::OsStr, fs, os::unix::ffi::OsStrExt, path::PathBuf};

use super::*;
use crate::{
    archive::frame::{Format, Writer},
    catalogue::{
        bundle::{self, Refused},
        record::fake::{backup, volume},
    },
    failure::Failure,
};

struct Place {
    _directory: tempfile::TempDir,
    store: Store,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path().join("drm/db"));
    Place { _directory: directory, store }
}

fn numbered(id: BackupId) -> Backup {
    Backup { id, ..backup(1) }
}

fn add(store: &Store) -> BackupId {
    let claim = store.claim("drmfsbackup").unwrap();
    store.begin(&claim, numbered).unwrap().id
}

fn id(text: &str) -> BackupId {
    text.parse().unwrap()
}

fn record(store: &Store, id: BackupId) -> PathBuf {
    store.path().join(format!("backups/{id}.json"))
}

fn label(bytes: &[u8]) -> Artifact {
    Artifact { name: "backup_label".to_owned(), bytes: bytes.to_vec() }
}

fn exported(store: &Store, ids: &[BackupId]) -> Vec<u8> {
    bundle::export(store, ids, Vec::new()).unwrap()
}

#[test]
fn an_empty_catalogue_lists_nothing_and_makes_nothing() {
    let place = place();
    assert!(place.store.list().unwrap().backups.is_empty());
    assert!(!place.store.path().exists(), "a look made the directory");
    assert!(matches!(place.store.get(BackupId::FIRST), Err(Error::Unknown(_))));
}

#[test]
fn what_is_kept_is_what_was_given_and_changes_stay() {
    let Place { store, .. } = &place();
    assert_eq!(add(store), id("1"));
    assert_eq!(store.get(id("1")).unwrap().backup, backup(1));
    store.set_locked(id("1"), true).unwrap();
    store.update(id("1"), |backup| backup.comment = "weekly \u{fc}\n".to_owned()).unwrap();
    let again = Store::at(store.path().to_owned()).get(id("1")).unwrap().backup;
    assert_eq!(again, Backup { locked: true, comment: "weekly \u{fc}\n".to_owned(), ..backup(1) });
}

#[test]
fn no_id_is_given_twice_whatever_was_lost() {
    let Place { store, .. } = &place();
    let mut given = HashSet::new();
    assert!((0..3).all(|_| given.insert(add(store))));
    // The newest record is deleted by hand.
    fs::remove_file(record(store, id("3"))).unwrap();
    assert!(given.insert(add(store)), "after a deletion");
    // The note of the last ID is lost, or damaged.
    fs::remove_file(store.path().join("last")).unwrap();
    assert!(given.insert(add(store)), "after the note was lost");
    fs::write(store.path().join("last"), "{").unwrap();
    assert!(given.insert(add(store)), "after the note was damaged");
    // The newest record is damaged and set aside, and then the note is lost.
    fs::write(record(store, id("6")), "x").unwrap();
    assert_eq!(store.list().unwrap().troubles.len(), 1);
    fs::remove_file(store.path().join("last")).unwrap();
    assert!(given.insert(add(store)), "after the newest was set aside");
}

#[test]
fn an_id_whose_record_could_not_be_written_is_not_given_again() {
    let Place { store, .. } = &place();
    let claim = store.claim("drmfsbackup").unwrap();
    let mount = PathBuf::from(OsStr::from_bytes(b"/mnt/\xff"));
    let bad = |id| Backup { mounted: vec![mount], ..numbered(id) };
    assert!(matches!(store.begin(&claim, bad), Err(Error::Unwritable { .. })));
    assert_eq!(store.begin(&claim, numbered).unwrap().id, id("2"));
}

#[test]
fn the_last_id_is_the_last() {
    let Place { store, .. } = &place();
    add(store);
    store.give(id("9999999999")).unwrap();
    let claim = store.claim("drmfsbackup").unwrap();
    assert!(matches!(store.begin(&claim, numbered), Err(Error::Full)));
}

#[test]
fn a_second_command_is_told_who_works_and_may_once_that_has_ended() {
    let Place { store, .. } = &place();
    let claim = store.claim("drmfsbackup").unwrap();
    let error = store.claim("drmresync").unwrap_err();
    let text = Failure::from(error).to_string();
    let state = format!("STATE : in use by drmfsbackup with process id {}", std::process::id());
    assert!(text.starts_with("KAVX0204-E") && text.contains(&state), "{text}");
    drop(claim);
    assert_eq!(store.holder().unwrap(), None);
    store.claim("drmresync").unwrap();
}

#[test]
fn a_running_backup_whose_command_ended_has_died() {
    let Place { store, .. } = &place();
    let claim = store.claim("drmfsbackup").unwrap();
    let begin = |id| Backup { state: State::Running, ended: None, ..numbered(id) };
    let first = store.begin(&claim, begin).unwrap().id;
    assert!(!store.get(first).unwrap().died, "it runs");
    drop(claim);
    assert!(store.get(first).unwrap().died);
    // Another command that works says nothing about the first.
    let claim = store.claim("drmfsbackup").unwrap();
    assert!(store.get(first).unwrap().died);
    let second = store.begin(&claim, begin).unwrap().id;
    let died: Vec<_> = store.list().unwrap().backups.iter().map(|kept| kept.died).collect();
    assert_eq!(died, [true, false], "{first} {second}");
}

#[test]
fn a_damaged_record_is_set_aside_and_told_and_the_rest_stands() {
    for damage in ["", "{}", "\u{0}\u{1}", "[1]", "other"] {
        let Place { store, .. } = &place();
        let (one, two) = (add(store), add(store));
        let path = record(store, one);
        if damage == "other" {
            fs::copy(record(store, two), &path).unwrap();
        } else {
            fs::write(&path, damage).unwrap();
        }
        let listing = store.list().unwrap();
        assert_eq!(listing.records(), [numbered(two)], "{damage:?}");
        let [Error::Damaged { path: aside, .. }] = listing.troubles.as_slice() else {
            panic!("{:?}", listing.troubles)
        };
        assert!(aside.exists() && !path.exists(), "{damage:?}");
        assert!(store.list().unwrap().troubles.is_empty(), "told once");
        assert!(matches!(store.get(one), Err(Error::Unknown(_))));
    }
}

#[test]
fn a_changed_word_in_a_record_is_damage() {
    let Place { store, .. } = &place();
    let one = add(store);
    let path = record(store, one);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("/mnt/18", "/mnt/19")).unwrap();
    assert!(matches!(store.get(one), Err(Error::Damaged { .. })));
}

#[test]
fn a_record_of_a_later_version_is_left_alone() {
    let Place { store, .. } = &place();
    let one = add(store);
    let path = record(store, one);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"version\": 1", "\"version\": 2")).unwrap();
    assert!(matches!(store.list().unwrap().troubles[..], [Error::Newer { version: 2, .. }]));
    assert!(path.exists());
    assert!(matches!(store.set_locked(one, true), Err(Error::Newer { .. })));
}

#[test]
fn what_was_being_written_when_the_power_failed_is_not_there() {
    let Place { store, .. } = &place();
    let one = add(store);
    fs::write(store.path().join(format!("backups/0000000002.json{}", files::UNFINISHED)), "{\"ve")
        .unwrap();
    assert_eq!(store.list().unwrap().records(), [numbered(one)]);
    assert!(add(store) > one);
}

#[test]
fn artifacts_are_kept_byte_by_byte_apart_for_each_writer() {
    let Place { store, .. } = &place();
    let one = add(store);
    let bytes: Vec<u8> = (0..=255).collect();
    store.put_artifact(one, "postgresql/main", &label(&bytes)).unwrap();
    store.put_artifact(one, "postgresql/../other", &label(b"")).unwrap();
    assert_eq!(
        store.artifacts(one).unwrap(),
        [
            ("postgresql/../other".to_owned(), label(b"")),
            ("postgresql/main".to_owned(), label(&bytes)),
        ]
    );
    for bad in ["", ".", "..", "a/b", ".hidden", "\u{e9}", "a\n"] {
        let file = Artifact { name: bad.to_owned(), bytes: Vec::new() };
        let refused = store.put_artifact(one, "w", &file);
        assert!(matches!(refused, Err(Error::Unwritable { .. })), "{bad:?}");
    }
}

#[test]
fn a_backup_that_is_removed_leaves_nothing_but_its_id() {
    let (Place { store, .. }, elsewhere) = (&place(), place());
    let one = add(store);
    add(&elsewhere.store);
    elsewhere.store.give(id("6")).unwrap();
    let seven = add(&elsewhere.store);
    bundle::import(store, exported(&elsewhere.store, &[seven]).as_slice()).unwrap();
    store.put_artifact(seven, "w", &label(b"label")).unwrap();
    store.remove(seven).unwrap();
    assert!(matches!(store.remove(seven), Err(Error::Unknown(gone)) if gone == seven));
    assert_eq!(store.list().unwrap().records(), [numbered(one)]);
    assert!(!store.path().join(format!("artifacts/{seven}")).exists());
    assert_eq!(add(store), id("8"));
    // What its writers handed over went before its command died.
    store.put_artifact(one, "w", &label(b"label")).unwrap();
    fs::remove_dir_all(store.path().join(format!("artifacts/{one}"))).unwrap();
    store.remove(one).unwrap();
}

#[test]
fn a_changed_artifact_is_damage() {
    let Place { store, .. } = &place();
    let one = add(store);
    store.put_artifact(one, "w", &label(b"START WAL")).unwrap();
    fs::write(store.path().join(format!("artifacts/{one}/w/backup_label")), "START WAX").unwrap();
    assert!(matches!(store.artifacts(one), Err(Error::Damaged { .. })));
}

#[test]
fn a_backup_overwrites_those_that_lie_where_it_goes() {
    let Place { store, .. } = &place();
    let (one, two) = (add(store), add(store));
    store.update(two, |backup| backup.volumes = vec![volume(19)]).unwrap();
    let three = Backup { volumes: vec![volume(17), volume(18)], ..backup(3) };
    assert_eq!(store.overwrite(&three).unwrap(), [one]);
    assert_eq!(store.get(one).unwrap().backup.state, State::Overwritten);
    assert_eq!(store.get(two).unwrap().backup.state, State::Consistent);
    assert_eq!(store.overwrite(&three).unwrap(), [], "once");
}

#[test]
fn what_is_kept_is_not_overwritten_and_a_record_that_cannot_be_read_stops_it() {
    let Place { store, .. } = &place();
    let one = add(store);
    let next = backup(9);
    for keep in [
        |backup: &mut Backup| backup.locked = true,
        |backup: &mut Backup| backup.reading = true,
        |backup: &mut Backup| backup.restoring = Some(Vec::new()),
        |backup: &mut Backup| backup.mounted = vec!["/mnt".into()],
    ] {
        store.update(one, keep).unwrap();
        assert!(matches!(store.overwrite(&next), Err(Error::Kept(kept)) if kept == one));
        assert_eq!(store.get(one).unwrap().backup.state, State::Consistent);
        store.update(one, |kept| *kept = Backup { id: one, ..backup(1) }).unwrap();
    }
    fs::write(record(store, one), "{").unwrap();
    assert!(matches!(store.overwrite(&next), Err(Error::Damaged { .. })));
}

#[test]
fn a_backup_begins_where_none_is_kept_and_then_none_there_can_be_locked() {
    let Place { store, .. } = &place();
    let (one, two) = (add(store), add(store));
    store.update(two, |backup| backup.volumes = vec![volume(19)]).unwrap();
    store.set_locked(one, true).unwrap();
    let claim = store.claim("drmfsbackup").unwrap();
    let begin = |id| Backup { id, state: State::Running, ..backup(1) };
    assert!(matches!(store.begin(&claim, begin), Err(Error::Kept(kept)) if kept == one));
    store.set_locked(one, false).unwrap();
    let three = store.begin(&claim, begin).unwrap().id;
    assert!(two.next() == Some(three), "no ID was given for nothing");
    let chosen = store.set_locked(one, true);
    assert!(matches!(chosen, Err(Error::Chosen { id, by }) if (id, by) == (one, three)));
    store.set_locked(two, true).unwrap();
    store.overwrite(&store.get(three).unwrap().backup).unwrap();
    drop(claim);
    assert!(!store.set_locked(one, true).unwrap().locked, "it is not there any more");
}

#[test]
fn an_import_does_not_bring_back_what_was_overwritten_here() {
    let Place { store, .. } = &place();
    let one = add(store);
    let file = exported(store, &[one]);
    store.update(one, |backup| backup.state = State::Overwritten).unwrap();
    bundle::import(store, file.as_slice()).unwrap();
    assert_eq!(store.get(one).unwrap().backup.state, State::Overwritten);
}

#[test]
fn an_export_is_imported_elsewhere_with_its_artifacts() {
    let (here, there) = (place(), place());
    let (one, two) = (add(&here.store), add(&here.store));
    here.store.put_artifact(two, "postgresql/main", &label(b"label")).unwrap();
    here.store.set_locked(one, true).unwrap();
    let file = exported(&here.store, &[one, two]);
    assert_eq!(bundle::import(&there.store, file.as_slice()).unwrap(), [one, two]);
    assert_eq!(there.store.carried(two).unwrap(), here.store.carried(two).unwrap());
    assert!(!there.store.get(one).unwrap().backup.locked, "a lock is its host's own");
    // The same backups again bring what is new, and leave alone what is this host's.
    there.store.set_locked(two, true).unwrap();
    here.store.update(two, |backup| backup.comment = "checked".to_owned()).unwrap();
    let file = exported(&here.store, &[two]);
    bundle::import(&there.store, file.as_slice()).unwrap();
    let brought = there.store.get(two).unwrap().backup;
    assert_eq!((brought.comment.as_str(), brought.locked), ("checked", true));
    there.store.set_locked(two, false).unwrap();
    assert!(add(&there.store) > two, "an ID from elsewhere is given");
}

#[test]
fn an_import_takes_nothing_where_one_of_its_ids_is_anothers() {
    let (here, there) = (place(), place());
    let (one, two) = (add(&here.store), add(&here.store));
    add(&there.store);
    add(&there.store);
    let before =
        there.store.update(two, |backup| backup.set = super::super::record::fake::backup(77).set);
    here.store.update(one, |backup| backup.comment = "new".to_owned()).unwrap();
    let refused = bundle::import(&there.store, exported(&here.store, &[one, two]).as_slice());
    assert!(matches!(refused, Err(Refused::Catalogue(Error::Taken(id))) if id == two));
    assert_eq!(there.store.get(one).unwrap().backup.comment, "");
    assert_eq!(there.store.get(two).unwrap().backup, before.unwrap());
}

#[test]
fn a_damaged_export_changes_nothing_wherever_it_is_damaged() {
    let (here, there) = (place(), place());
    let one = add(&here.store);
    here.store.put_artifact(one, "w", &label(b"label")).unwrap();
    let file = exported(&here.store, &[one]);
    for at in (0..file.len()).step_by(7) {
        let mut damaged = file.clone();
        damaged[at] ^= 0x40;
        for bytes in [&damaged[..], &file[..at]] {
            let refused = bundle::import(&there.store, bytes);
            assert!(matches!(refused, Err(Refused::Damaged(_))), "{at}: {refused:?}");
        }
    }
    assert!(there.store.list().unwrap().backups.is_empty());
    nothing_is_left(&there.store);
}

/// What an import leaves behind until it is finished.
const LEFT: [&str; 2] = ["incoming", "incoming.unfinished"];

#[track_caller]
fn nothing_is_left(store: &Store) {
    for name in LEFT {
        assert!(!store.path().join(name).exists(), "{name}");
    }
}

/// An export of one backup with one file of a writer, whatever names those have.
fn made_up(writer: &str, file: &Artifact) -> Vec<u8> {
    let mut frames = Writer::new(Vec::new(), Format::Catalogue).unwrap();
    frames.frame(1, &[&serde_json::to_vec(&backup(1)).unwrap()]).unwrap();
    let (names, bytes) = artifact::encode(writer, file);
    frames.frame(2, &[&names, bytes]).unwrap();
    frames.finish().unwrap().0
}

#[test]
fn an_import_whose_command_died_is_finished_by_the_next() {
    let (here, there) = (place(), place());
    let (one, two) = (add(&here.store), add(&here.store));
    here.store.put_artifact(two, "w", &label(b"new")).unwrap();
    // The second is there already, with a file that the first part of the import moved away.
    let there = &there.store;
    bundle::import(there, exported(&here.store, &[two]).as_slice()).unwrap();
    here.store.put_artifact(two, "w", &label(b"newer")).unwrap();
    for died in 0..4 {
        let incoming = Incoming::begin(there).unwrap();
        for id in [one, two] {
            let carried = here.store.carried(id).unwrap();
            incoming.add(&there.imported(&carried).unwrap(), &carried.artifacts).unwrap();
        }
        let path = there.path().join("incoming");
        fs::rename(there.path().join("incoming.unfinished"), &path).unwrap();
        let (new, place) =
            (path.join(two.to_string()), there.path().join(format!("artifacts/{two}")));
        if died > 0 {
            fs::rename(&place, path.join(format!("{two}.old"))).unwrap();
        }
        if died > 1 {
            fs::rename(&new, &place).unwrap();
        }
        if died > 2 {
            fs::rename(path.join(format!("{two}.json")), record(there, two)).unwrap();
        }
        drop(incoming);
        assert_eq!(there.list().unwrap().records().len(), 2, "{died}");
        assert_eq!(there.artifacts(two).unwrap()[0].1.bytes, b"newer", "{died}");
        nothing_is_left(there);
    }
}

#[test]
fn what_an_import_left_that_died_or_cannot_be_finished_blocks_nobody() {
    let Place { store, .. } = &place();
    let one = add(store);
    // Versions before wrote a file.
    fs::write(store.path().join("incoming.unfinished"), "DRMCATLG").unwrap();
    store.set_locked(one, false).unwrap();
    nothing_is_left(store);
    // It died while it wrote.
    fs::create_dir_all(store.path().join("incoming.unfinished/0000000002/w")).unwrap();
    store.set_locked(one, true).unwrap();
    nothing_is_left(store);
    // It cannot be moved to its place: a file is where the directory should be.
    fs::create_dir_all(store.path().join("incoming/0000000002")).unwrap();
    fs::write(store.path().join("artifacts"), "").unwrap();
    store.set_locked(one, false).unwrap();
    assert_eq!(store.list().unwrap().records(), [backup(1)]);
    nothing_is_left(store);
    assert!(store.path().join("damaged/incoming.1/0000000002").exists(), "it is set aside");
}

#[test]
fn names_that_do_not_fit_a_file_system_are_refused_before_anything_is_written() {
    let Place { store, .. } = &place();
    let long = Artifact { name: "f".repeat(201), bytes: Vec::new() };
    for (writer, file) in
        [("w".repeat(300), label(b"x")), ("/".repeat(90), label(b"")), ("w".into(), long)]
    {
        let refused = bundle::import(store, made_up(&writer, &file).as_slice()).unwrap_err();
        let Refused::Damaged(damage) = refused else { panic!("{refused:?}") };
        assert!(damage.to_string().contains("200 bytes"), "{damage}");
        nothing_is_left(store);
        assert!(store.list().unwrap().backups.is_empty());
    }
    bundle::import(store, made_up(&"w".repeat(200), &label(b"x")).as_slice()).unwrap();
    assert_eq!(store.artifacts(BackupId::FIRST).unwrap()[0].0, "w".repeat(200));
}
