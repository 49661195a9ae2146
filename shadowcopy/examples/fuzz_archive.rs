//! Reads damaged and made-up archives and exports: none may panic, and none that differs from
//! what was written may be read to its end.
//!
//! `cargo run --release -p shadowcopy --example fuzz_archive [INPUTS [SEED]]`

use std::time::{Instant, SystemTime, UNIX_EPOCH};

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

/// How often progress is told.
const EVERY: u64 = 1_000_000;

fn main() {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<u64>());
    let (Ok(inputs), Ok(seed)) =
        (words.next().unwrap_or(Ok(10_000_000)), words.next().unwrap_or(Ok(1)))
    else {
        eprintln!("usage: fuzz_archive [INPUTS [SEED]]");
        std::process::exit(2);
    };
    let samples = samples();
    let mut chance = Chance(seed.wrapping_mul(2) | 1);
    let (mut whole, begun) = (0_u64, Instant::now());
    let mut bytes = Vec::new();
    for input in 1..=inputs {
        let sample = chance.of(&samples);
        damage(sample, &mut bytes, &mut chance);
        let read = read(&bytes);
        assert!(read <= Some(1 << 30), "input {input} of seed {seed}: too much came out");
        if read.is_some() && bytes != *sample && !resealed(&bytes) {
            panic!("input {input} of seed {seed} was changed and read to its end");
        }
        whole += u64::from(read.is_some());
        if input % EVERY == 0 {
            println!("{input} inputs, {whole} read to the end, {:.0?}", begun.elapsed());
        }
    }
    println!("{inputs} inputs of seed {seed}: no panic; {whole} read to the end");
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

/// Whether it carries right checksums of its own: a made-up archive may make sense.
fn resealed(bytes: &[u8]) -> bool {
    frames(bytes).is_some_and(|frames| seal(&frames) == bytes)
}

/// Kind and payload of each frame, by their lengths alone.
fn frames(bytes: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut rest = bytes.get(12..)?;
    let mut found = Vec::new();
    while let Some((header, behind)) = rest.split_at_checked(12) {
        let length = u32::from_le_bytes(header[4..8].try_into().ok()?);
        let (payload, behind) = behind.split_at_checked(usize::try_from(length).ok()?)?;
        if header[0] == 0 {
            return Some(found);
        }
        found.push((header[0], payload));
        rest = behind;
    }
    None
}

fn seal(frames: &[(u8, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), Format::Archive).expect("memory");
    for (kind, payload) in frames {
        writer.frame(*kind, &[payload]).expect("memory");
    }
    writer.finish().expect("memory").0
}

fn damage(sample: &[u8], into: &mut Vec<u8>, chance: &mut Chance) {
    into.clear();
    into.extend_from_slice(sample);
    // Half of them get right checksums again, so that what lies behind those is reached.
    let reseal = chance.below(2) == 0;
    let (from, until) = if reseal { (12, sample.len() - 44) } else { (0, sample.len()) };
    for _ in 0..=chance.below(4) {
        let at = from + chance.below((until - from) as u64) as usize;
        if at >= into.len() {
            continue;
        }
        match chance.below(6) {
            0 => into[at] ^= 1 << chance.below(8),
            1 => into[at] = chance.below(256) as u8,
            2 => into[at] = [0, 0xff, 0x7f, 0x80][chance.below(4) as usize],
            3 => into.truncate(at),
            4 => drop(into.remove(at)),
            _ => into.insert(at, chance.below(256) as u8),
        }
    }
    if reseal {
        let mut frames = frames(into).unwrap_or_default();
        if frames.len() > 1 && chance.below(4) == 0 {
            let (one, other) =
                (chance.below(frames.len() as u64), chance.below(frames.len() as u64));
            frames.swap(one as usize, other as usize);
        }
        *into = seal(&frames);
    }
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

/// xorshift64: the same numbers for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end.max(1)
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }
}
