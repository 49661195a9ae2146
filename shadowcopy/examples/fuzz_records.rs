//! Throws damaged and made-up bytes at the readers of what outlives a command: records of the
//! catalogue, its exports, and the journal of what is frozen. None may panic, and none that was
//! damaged may be taken for another record than was written.
//!
//! `cargo run --release -p shadowcopy --example fuzz_records -- 10000000 1`: how many of each, and
//! the seed. It ends with an error when anything panics or the memory passes 256 MiB.

use std::{collections::BTreeMap, process::ExitCode, time::UNIX_EPOCH};

use fuzzing::{Random, Run};
use model::{LdevId, MuNumber, Serial, VolumeId};
use provider::guid::{Guid, SetId};
use shadowcopy::{
    archive::frame::{Damage, Format, Writer},
    catalogue::{
        Backup, BackupId, State, artifact, bundle,
        record::{Mode, Participant, Volume},
        sealed,
        store::Record,
    },
    freeze::journal,
    step::Step,
    writer::{Artifact, Metadata},
};

fn main() -> ExitCode {
    let run = match Run::of_arguments() {
        Ok(run) => run,
        Err(code) => return code,
    };
    let mut random = run.random();
    let record = Record { backup: backup(), artifacts: BTreeMap::new() };
    let file = sealed::seal(&record).expect("a record");
    let (journal_record, journal_file) = journal();
    let (mut records, mut journals, mut exports) = (0_u64, 0_u64, 0_u64);
    for _ in 0..run.count {
        let bytes = altered(&file, &mut random);
        if let Ok(read) = sealed::open::<Record>(&bytes) {
            assert_eq!(read.backup, record.backup, "a change went unseen");
            records += 1;
        }
        let bytes = altered(&journal_file, &mut random);
        if let Some((read, _)) = journal::read(&bytes) {
            assert_eq!(read, journal_record, "a change went unseen");
            journals += 1;
        }
        // With its checksum, so that what lies behind that is reached.
        let _ = journal::read(&resealed(&journal_file, &mut random));
        let mut taken = 0;
        let read = bundle::each(export(&mut random).as_slice(), |_| {
            taken += 1;
            Ok::<(), Damage>(())
        });
        exports += u64::from(read.is_ok() && taken > 0);
    }
    let outcome = format_args!("{records} records, {journals} journals and {exports} exports read");
    run.end("of each", outcome)
}

fn altered(file: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = file.to_vec();
    random.alter(&mut bytes);
    bytes
}

/// A journal whose content was changed, with the checksum of that.
fn resealed(file: &[u8], random: &mut Random) -> Vec<u8> {
    let mut content = file[6..file.len() - 5].to_vec();
    random.alter(&mut content);
    let mut bytes = file[..6].to_vec();
    bytes.extend(content);
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes.push(1);
    bytes
}

/// An export with right checksums, whose records and files were changed.
fn export(random: &mut Random) -> Vec<u8> {
    let label = Artifact { name: "backup_label".to_owned(), bytes: b"START".to_vec() };
    let (names, bytes) = artifact::encode("postgresql/main", &label);
    let record = serde_json::to_vec(&backup()).expect("a record");
    let mut frames = vec![(1, record.clone()), (2, [&names, bytes].concat()), (1, record)];
    for _ in 0..=random.below(2) {
        let at = random.index(frames.len());
        match random.below(8) {
            0 => frames[at].0 = random.below(5) as u8,
            1 => drop(frames.remove(at)),
            2 => frames.swap(0, at),
            _ => random.alter(&mut frames[at].1),
        }
        if frames.is_empty() {
            break;
        }
    }
    let mut writer = Writer::new(Vec::new(), Format::Catalogue).expect("memory");
    for (kind, payload) in &frames {
        writer.frame(*kind, &[payload]).expect("memory");
    }
    let mut bytes = writer.finish().expect("memory").0;
    if random.below(8) == 0 {
        random.alter(&mut bytes);
    }
    bytes
}

fn journal() -> (journal::Record, Vec<u8>) {
    let record = journal::Record {
        set: SetId(Guid(7)),
        backup: BackupId::FIRST,
        boot: "1f0c0f5e-1f0c-1f0c-1f0c-1f0c1f0c0f5e".to_owned(),
        file_systems: vec![("/srv/a".into(), (7, 1)), ("/srv/b".into(), (253, 70_000))],
    };
    let place = tempfile::tempdir().expect("a directory");
    let held = journal::Held::write(place.path(), &record).expect("a journal");
    let file = std::fs::read_dir(place.path()).expect("it").next().expect("a file").expect("it");
    let bytes = std::fs::read(file.path()).expect("a journal");
    drop(held);
    (record, bytes)
}

fn backup() -> Backup {
    let id = |ldev| VolumeId {
        serial: Serial::new(62_496).expect("a serial number"),
        ldev: LdevId::new(ldev).expect("an LDEV"),
    };
    let volume = Volume {
        mount: "/srv/a".into(),
        device: "/dev/sdb".into(),
        file_system: "ext4".to_owned(),
        group: "snap".parse().expect("a group"),
        name: "dev1".parse().expect("a name"),
        primary: id(18),
        secondary: id(19),
    };
    let metadata = Metadata {
        name: "postgresql/main".to_owned(),
        version: "15".to_owned(),
        limit: None,
        paths: vec!["/srv/a/pg".into()],
    };
    let artifacts = vec!["backup_label".to_owned()];
    Backup {
        id: BackupId::FIRST,
        set: SetId(Guid(7)),
        command: "drmdbbackup".to_owned(),
        mode: Mode::Online,
        comment: "nightly".to_owned(),
        began: UNIX_EPOCH,
        ended: Some(UNIX_EPOCH),
        state: State::Aborted { step: Step::Commit, cause: "late".to_owned() },
        generation: MuNumber::default(),
        volumes: vec![volume],
        writers: vec![Participant { metadata, fault: None, kind: None, artifacts }],
        evidence: vec![(Step::Commit, 7)],
        held: Some(9),
        locked: false,
        reading: false,
        restoring: None,
        mounted: Vec::new(),
    }
}
