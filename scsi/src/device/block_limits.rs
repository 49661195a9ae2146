//! The limits that the Block Limits VPD page (B0h) names, in logical blocks.

use crate::medium::{BLOCK, MAX_TRANSFER};

/// Blocks that a command which only looks at them reads at a time, or fills at a time: 1 MiB, so
/// that it needs little memory and an abort is not late.
pub(super) const STEP: u32 = 2048;
/// Copies of a block that WRITE SAME makes; the rest are references to them.
pub(super) const COPIES: u32 = 128;

/// The most that one command moves.
pub(super) const MAX_BLOCKS: u32 = {
    assert!(MAX_TRANSFER / (BLOCK as usize) <= u32::MAX as usize);
    (MAX_TRANSFER / BLOCK as usize) as u32
};
/// The most that COMPARE AND WRITE compares.
pub(super) const MAX_COMPARE: u8 = 255;
/// The most that one WRITE SAME fills: what is not zeros is really written.
pub(super) const MAX_SAME: u32 = 1 << 20;
/// The most that one UNMAP gives back, over all its descriptors.
pub(super) const MAX_UNMAP: u32 = 1 << 20;
/// Descriptors of one UNMAP.
pub(super) const MAX_UNMAP_DESCRIPTORS: u16 = 256;
/// Blocks of a store's checksum: transfers are best multiples of it.
pub(super) const GRANULARITY: u16 = 8;
/// What one command moves best.
pub(super) const OPTIMAL: u32 = 2048;
/// A store's page, which is what UNMAP gives back.
pub(super) const UNMAP_GRANULARITY: u32 = 128;
