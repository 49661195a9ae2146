//! READ CAPACITY (SBC-3 5.15 and 5.16) and GET LBA STATUS (SBC-3 5.5).

use super::{
    answer::{Answer, parameters},
    logical::Logical,
};
use crate::{medium::BLOCK, sense::Sense};

/// Descriptors that one GET LBA STATUS looks for.
const STATUSES: usize = 64;

/// The address of the last block. SCSI has no word for no block at all: with guard `sz0` the last
/// block is block 0.
fn last(unit: &Logical) -> u64 {
    unit.capacity().saturating_sub(1)
}

/// READ CAPACITY (10), 8 bytes: the last block, or FFFFFFFFh where (16) is needed; the length of a
/// block.
pub(super) fn ten(unit: &Logical) -> Answer {
    let last = u32::try_from(last(unit)).unwrap_or(u32::MAX);
    parameters([last.to_be_bytes(), BLOCK.to_be_bytes()].concat(), 8)
}

/// READ CAPACITY (16), 32 bytes:
///
/// | byte | what |
/// |---|---|
/// | 0-7 | the last block |
/// | 8-11 | bytes of a block |
/// | 13 | 3: eight blocks are a physical one, as the store's checksums are of 4 KiB |
/// | 14 | LBPME (bit 7) and LBPRZ (bit 6) where it is thin |
pub(super) fn sixteen(unit: &Logical, allocation: usize) -> Answer {
    let mut bytes = vec![0; 32];
    bytes[..8].copy_from_slice(&last(unit).to_be_bytes());
    bytes[8..12].copy_from_slice(&BLOCK.to_be_bytes());
    bytes[13] = 3;
    bytes[14] = if unit.medium.identity().thin { 0xc0 } else { 0 };
    parameters(bytes, allocation)
}

/// GET LBA STATUS:
///
/// | byte | what |
/// |---|---|
/// | 0-3 | bytes behind these |
/// | +0-7 | the first block |
/// | +8-11 | how many |
/// | +12 | 0 mapped, 1 deallocated |
pub(super) async fn status(unit: &Logical, lba: u64, allocation: usize) -> Answer {
    let blocks = unit.medium.blocks();
    if lba >= blocks {
        return Err(Sense::LBA_OUT_OF_RANGE.into());
    }
    let wanted = (allocation.saturating_sub(8) / 16).clamp(1, STATUSES);
    let (mut bytes, mut at) = (vec![0; 8], lba);
    for _ in 0..wanted {
        if at >= blocks {
            break;
        }
        let (mapped, more) = unit.medium.mapped(at).await?;
        let count = u32::try_from(more.clamp(1, blocks - at)).unwrap_or(u32::MAX);
        bytes.extend(at.to_be_bytes());
        bytes.extend(count.to_be_bytes());
        bytes.extend([u8::from(!mapped), 0, 0, 0]);
        at += u64::from(count);
    }
    let length = u32::try_from(bytes.len() - 4).unwrap_or(u32::MAX);
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    parameters(bytes, allocation)
}
