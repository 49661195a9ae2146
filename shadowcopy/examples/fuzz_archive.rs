//! Throws damaged and made-up archives at their reader: none may panic, and none that differs from
//! what was written may be read to its end.
//!
//! `cargo run --release -p shadowcopy --example fuzz_archive -- 10000000 1`: how many, and the seed.
//! It ends with an error when anything panics or the memory passes 256 MiB.

use std::{
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use fuzzing::{Random, Run};
use model::{LdevId, MuNumber, Serial, VolumeId};
use provider::guid::{Guid, SetId};
use shadowcopy::{
    archive::{
        content::{CHUNK, Contents, Packer, Piece, Unpacker},
        frame::{Format, Writer},
    },
    catalogue::{
        Backup, BackupId, State,
        record::{Mode, Volume},
    },
    writer::Artifact,
};

type Frame = (u8, Vec<u8>);

fn main() -> ExitCode {
    let run = match Run::of_arguments() {
        Ok(run) => run,
        Err(code) => return code,
    };
    let mut random = run.random();
    let samples: Vec<_> = samples().into_iter().map(|bytes| (frames(&bytes), bytes)).collect();
    let (mut whole, mut made_up) = (0_u64, 0_u64);
    for _ in 0..run.count {
        let (frames, sample) = &samples[random.index(samples.len())];
        // Half of them have right checksums, so that what lies behind those is reached.
        let sealed = random.below(2) == 0;
        let bytes = if sealed {
            seal(&altered(frames, &mut random))
        } else {
            let mut bytes = sample.clone();
            random.alter(&mut bytes);
            bytes
        };
        if let Some(read) = read(&bytes) {
            assert!(read <= 1 << 30, "too much came out");
            assert!(sealed || bytes == *sample, "a change went unseen");
            whole += 1;
            made_up += u64::from(bytes != *sample);
        }
    }
    let outcome = format_args!("{whole} read to the end, {made_up} of them made up");
    run.end("archives", outcome)
}

/// Reads an archive; how many bytes of data came out of it, if it was read to its end.
fn read(bytes: &[u8]) -> Option<u64> {
    let mut archive = Unpacker::new(bytes).ok()?;
    let sizes = archive.contents().sizes.clone();
    let (mut data, mut volume, mut at) = (0, None, 0);
    loop {
        match archive.next_piece().ok()? {
            None => return Some(data),
            Some(Piece::Artifact(..)) => assert_eq!(volume, None),
            Some(Piece::Volume(number)) => {
                assert!(volume.is_none_or(|before: usize| at == sizes[before]));
                (volume, at) = (Some(number), 0);
            }
            Some(Piece::Data { offset, bytes }) => {
                assert!(offset == at && !bytes.is_empty() && bytes.len() <= CHUNK);
                at += bytes.len() as u64;
                data += bytes.len() as u64;
            }
            Some(Piece::Zeros { offset, length }) => {
                assert!(offset == at && length > 0);
                at += length;
            }
        }
        if let Some(volume) = volume {
            assert!(at <= sizes[volume], "a piece lies behind the end of its volume");
        }
    }
}

/// Kind and payload of each frame of an archive that is whole, but for the end frame.
fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut rest = &bytes[12..];
    let mut found = Vec::new();
    while let Some((header, behind)) = rest.split_at_checked(12) {
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
        let (payload, behind) = behind.split_at(length as usize);
        found.push((header[0], payload.to_vec()));
        rest = behind;
    }
    found.pop();
    found
}

fn altered(frames: &[Frame], random: &mut Random) -> Vec<Frame> {
    let mut frames = frames.to_vec();
    for _ in 0..=random.below(2) {
        let (at, other) = (random.index(frames.len()), random.index(frames.len()));
        match random.below(10) {
            0 => frames.swap(at, other),
            1 => frames.insert(at, frames[other].clone()),
            2 if frames.len() > 1 => drop(frames.remove(at)),
            3 => frames[at].0 = random.below(8) as u8,
            _ => random.alter(&mut frames[at].1),
        }
    }
    frames
}

fn seal(frames: &[Frame]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), Format::Archive).expect("memory");
    for (kind, payload) in frames {
        writer.frame(*kind, &[payload]).expect("memory");
    }
    writer.finish().expect("memory").0
}

fn samples() -> Vec<Vec<u8>> {
    let contents = |sizes: &[u64]| Contents {
        backup: Backup {
            id: BackupId::FIRST,
            set: SetId(Guid(7)),
            command: "drmfsbackup".to_owned(),
            mode: Mode::Online,
            comment: String::new(),
            began: UNIX_EPOCH,
            ended: Some(SystemTime::UNIX_EPOCH),
            state: State::Consistent,
            generation: MuNumber::default(),
            volumes: sizes.iter().map(|_| volume()).collect(),
            writers: Vec::new(),
            evidence: Vec::new(),
            held: None,
            locked: false,
            reading: false,
            restoring: None,
            mounted: Vec::new(),
        },
        sizes: sizes.to_vec(),
    };
    let files = [("w".to_owned(), Artifact { name: "label".to_owned(), bytes: b"bytes".to_vec() })];
    let mut samples = Vec::new();
    for sizes in [&[100][..], &[4096, 0, 1 << 50], &[]] {
        let mut packer = Packer::new(Vec::new(), &contents(sizes), &files).expect("memory");
        for (number, size) in (0..).zip(sizes) {
            packer.volume(number).expect("memory");
            if *size >= 100 {
                packer.data(10, b"abcdefgh").expect("memory");
                packer.data(30, &[7; 60]).expect("memory");
            }
        }
        samples.push(packer.finish().expect("memory").0);
    }
    samples
}

fn volume() -> Volume {
    let id = VolumeId { serial: Serial::new(1).expect("1"), ldev: LdevId::new(2).expect("2") };
    Volume {
        mount: "/m".into(),
        device: "/d".into(),
        file_system: "ext4".to_owned(),
        group: "g".parse().expect("a group"),
        name: "n".parse().expect("a name"),
        primary: id,
        secondary: id,
    }
}
