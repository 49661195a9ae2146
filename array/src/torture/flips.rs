//! Bits that rot, anywhere in the files of an array at rest: each is noticed, or lies where
//! nothing is stored; and never are other bytes returned.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use model::LdevId;

use super::{
    Mutation,
    model::VOLUMES,
    session::{DIR, Session},
};
use crate::{
    array::Array,
    clock::SystemClock,
    store::disk::{Bytes, Dice, Loss, Memory},
};

/// Bytes of each volume.
const SIZE: usize = 40 << 20;
/// Bytes of one read.
const STEP: usize = 1 << 20;

/// What came of flipped bits.
#[derive(Debug, Clone, Default)]
pub struct Flips {
    /// The array did not open, and said why.
    pub refused: u64,
    /// The check found something.
    pub found: u64,
    /// Nothing is stored there.
    pub nothing: u64,
    /// Where other bytes were returned, or the process would have died: none, one hopes.
    pub wrong: Vec<String>,
}

impl Flips {
    /// All of them.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.refused + self.found + self.nothing + self.wrong.len() as u64
    }

    /// Takes those of another session in.
    pub fn add(&mut self, other: Self) {
        self.refused += other.refused;
        self.found += other.found;
        self.nothing += other.nothing;
        self.wrong.extend(other.wrong);
    }
}

/// An array at rest, and what its volumes hold.
struct Rested {
    files: BTreeMap<PathBuf, Bytes>,
    volumes: Vec<Vec<u8>>,
}

/// Plays the session of a seed to its end, and flips so many bits one by one.
///
/// # Panics
/// When the array fails without a flipped bit.
#[must_use]
pub fn flip(seed: u64, flips: usize) -> Flips {
    let rested = rest(seed);
    let files: Vec<(&PathBuf, &Bytes, Vec<u64>)> = rested
        .files
        .iter()
        .map(|(path, bytes)| (path, bytes, bytes.written()))
        .filter(|(_, _, written)| !written.is_empty())
        .collect();
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut outcome = Flips::default();
    while outcome.count() < flips as u64 {
        let (path, bytes, written) = &files[dice.below(files.len() as u64) as usize];
        let chunk = written[dice.below(written.len() as u64) as usize];
        let (byte, bit) = (chunk + dice.below(4096), dice.below(8) as u8);
        let mut changed: Bytes = (*bytes).clone();
        if !changed.flip(byte, bit) {
            continue;
        }
        let damaged = Memory::of(rested.files.clone());
        damaged.put(path, changed);
        judge(&rested, damaged, &mut outcome, || {
            format!("session {seed}, bit {bit} of byte {byte} of {}", path.display())
        });
    }
    outcome
}

fn open(media: Memory) -> Result<Array, String> {
    let opened = Array::open_on(Arc::new(media), DIR.as_ref(), Box::new(SystemClock));
    opened.map_err(|error| error.to_string())
}

fn rest(seed: u64) -> Rested {
    let session = Session::play(seed, Mutation::None);
    let (_, end) = session.range();
    let media = session.replay().crash(end, Loss::Nothing);
    {
        let array = open(media.clone()).expect("nothing is lost");
        array.store.resum().expect("memory does not fail");
    }
    let files = media.contents();
    let array = open(media).expect("it was closed in good order");
    let whole = |volume| {
        let mut bytes = vec![0; SIZE];
        let number = LdevId::new(volume).unwrap_or_default();
        for (n, bytes) in bytes.chunks_mut(STEP).enumerate() {
            array.read(number, (n * STEP) as u64, bytes).expect("nothing is damaged");
        }
        bytes
    };
    Rested { volumes: VOLUMES.into_iter().map(whole).collect(), files }
}

fn judge(rested: &Rested, media: Memory, outcome: &mut Flips, name: impl Fn() -> String) {
    let Ok(array) = open(media) else {
        outcome.refused += 1;
        return;
    };
    let mut buffer = vec![0; STEP];
    for (volume, wanted) in VOLUMES.into_iter().zip(&rested.volumes) {
        let number = LdevId::new(volume).unwrap_or_default();
        for (n, wanted) in wanted.chunks(STEP).enumerate() {
            let offset = (n * STEP) as u64;
            // An error is what is wanted of a damaged block; other bytes are not.
            let read = array.read(number, offset, &mut buffer);
            if read.is_ok() && buffer != wanted {
                outcome.wrong.push(format!("{}: LDEV {volume} near byte {offset}", name()));
                return;
            }
        }
    }
    match array.check(&mut |_| {}) {
        Ok(report) if report.is_clean() => outcome.nothing += 1,
        _ => outcome.found += 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_is_detected_or_lies_where_nothing_is_stored() {
        let outcome = flip(1, 600);
        assert_eq!(outcome.wrong, Vec::<String>::new());
        assert!(outcome.refused > 5 && outcome.found > 50, "it looks at nothing: {outcome:?}");
    }
}
