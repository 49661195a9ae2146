//! What volumes may hold. A few slots of 4 KiB are watched, in eight sectors each; a sector holds
//! one number, 64 times.

use std::collections::BTreeMap;

use crate::array::Array;

/// The LDEVs.
pub const VOLUMES: [u32; 7] = [17, 18, 19, 20, 21, 22, 23];
/// The pairs: P-VOL, its MU#, S-VOL. The first two are a consistency group; the last one goes to
/// another pool.
pub const PAIRS: [(u32, u32, u32); 5] =
    [(17, 0, 18), (19, 0, 20), (17, 1, 21), (18, 1, 22), (17, 2, 23)];
/// Sectors of a slot.
pub const SECTORS: usize = 8;
/// Bytes of a sector.
pub const SECTOR: usize = 512;
/// Bytes of a slot.
pub const SLOT: usize = SECTORS * SECTOR;

/// Pages and blocks that are watched: neighbours, both sides of leaves' borders, a far one.
const PAGES: [u64; 7] = [0, 1, 2, 255, 256, 257, 600];
const BLOCKS: [u64; 3] = [0, 1, 15];

/// The bytes at which the slots begin.
pub fn slots() -> impl Iterator<Item = u64> {
    PAGES.iter().flat_map(|page| BLOCKS.iter().map(move |block| page * 65_536 + block * 4096))
}

/// A sector that holds `number`.
#[must_use]
pub fn sector(number: u64) -> [u8; SECTOR] {
    let mut bytes = [0; SECTOR];
    bytes.chunks_exact_mut(8).for_each(|word| word.copy_from_slice(&number.to_le_bytes()));
    bytes
}

/// What a sector holds; `None` when it is torn within.
fn number(bytes: &[u8]) -> Option<u64> {
    let mut words = bytes.chunks_exact(8);
    let first = words.next()?;
    words.all(|word| word == first).then(|| first.try_into().map(u64::from_le_bytes))?.ok()
}

/// What a crash may show of a sector; the last one is what it holds without a crash.
type Options = Vec<u64>;

/// The volumes, by sector of each watched slot.
#[derive(Debug, Clone)]
pub struct Volumes(BTreeMap<u32, Vec<Options>>);

impl Volumes {
    /// Zeros.
    pub fn new() -> Self {
        let sectors = slots().count() * SECTORS;
        Self(VOLUMES.iter().map(|volume| (*volume, vec![vec![0]; sectors])).collect())
    }

    /// Someone writes `number` to all sectors between two bytes.
    pub fn write(&mut self, volume: u32, from: u64, to: u64, number: u64) {
        let Some(sectors) = self.0.get_mut(&volume) else {
            return;
        };
        for (slot, start) in slots().enumerate() {
            for n in 0..SECTORS {
                let at = start + (n * SECTOR) as u64;
                if (from..to).contains(&at) {
                    let options = &mut sectors[slot * SECTORS + n];
                    options.retain(|other| *other != number);
                    options.push(number);
                }
            }
        }
    }

    /// Everything that was written is durable.
    pub fn flushed(&mut self) {
        for options in self.0.values_mut().flatten() {
            options.drain(..options.len() - 1);
        }
    }

    /// One volume holds what another holds.
    pub fn copy(&mut self, from: u32, to: u32) {
        if let Some(sectors) = self.0.get(&from).cloned() {
            self.0.insert(to, sectors);
        }
    }

    /// One volume is as it is in others.
    pub fn take(&mut self, others: &Self, volume: u32) {
        if let Some(sectors) = others.0.get(&volume) {
            self.0.insert(volume, sectors.clone());
        }
    }

    /// Compares the volumes that do not follow another one.
    pub fn compare(
        &self,
        array: &Array,
        follows: impl Fn(u32) -> Option<u32>,
    ) -> Result<(), String> {
        for volume in VOLUMES {
            let found = read(array, volume)?;
            if let Some(source) = follows(volume) {
                if found != read(array, source)? {
                    return Err(format!("LDEV {volume} does not hold what LDEV {source} holds"));
                }
                continue;
            }
            for (n, bytes) in found.chunks_exact(SECTOR).enumerate() {
                let options = &self.0[&volume][n];
                let found = number(bytes);
                if !found.is_some_and(|found| options.contains(&found)) {
                    let at = slots().nth(n / SECTORS).unwrap_or(0) + (n % SECTORS * SECTOR) as u64;
                    return Err(format!(
                        "LDEV {volume} byte {at}: {found:?} where one of {options:?} belongs"
                    ));
                }
            }
        }
        Ok(())
    }
}

fn read(array: &Array, volume: u32) -> Result<Vec<u8>, String> {
    let ldev = model::LdevId::new(volume).unwrap_or_default();
    let mut bytes = vec![0; slots().count() * SLOT];
    for (slot, buffer) in slots().zip(bytes.chunks_exact_mut(SLOT)) {
        let found = array.read(ldev, slot, buffer);
        found.map_err(|error| format!("LDEV {volume} byte {slot}: {error}"))?;
    }
    Ok(bytes)
}
