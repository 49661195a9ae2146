//! What a CDB asks, typed.

use super::block_limits::{COPIES, STEP};
use crate::medium::BLOCK;

/// Logical blocks, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// The first.
    pub lba: u64,
    /// How many.
    pub blocks: u32,
}

impl Extent {
    /// Their bytes; at most 2 TiB.
    pub const fn bytes(self) -> u64 {
        self.blocks as u64 * BLOCK as u64
    }
}

/// What VERIFY compares blocks with (SBC-3 5.33, BYTCHK).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    /// Nothing: they are only read.
    None,
    /// As many blocks that come with the command.
    Each,
    /// One block that comes with the command.
    Same,
}

/// WRITE SAME (SBC-3 5.48).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Same {
    /// Where; no blocks stand for all to the end.
    pub extent: Extent,
    /// Space may be given back.
    pub unmap: bool,
    /// Zeros: no block comes with the command.
    pub no_data: bool,
}

/// MODE SENSE (SPC-4 6.13 and 6.14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ModeSense {
    /// Of ten bytes, or of six.
    pub ten: bool,
    /// Without block descriptors (DBD).
    pub no_descriptors: bool,
    /// Long block descriptors are welcome (LLBAA).
    pub long: bool,
    /// PC: current, changeable, default, saved.
    pub control: u8,
    /// The page.
    pub page: u8,
    /// Its subpage.
    pub subpage: u8,
    /// ALLOCATION LENGTH.
    pub allocation: usize,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// TEST UNIT READY.
    TestUnitReady,
    /// REQUEST SENSE.
    RequestSense { descriptors: bool, allocation: usize },
    /// INQUIRY: the standard data, or a VPD page.
    Inquiry { page: Option<u8>, allocation: usize },
    /// REPORT LUNS.
    ReportLuns { select: u8, allocation: usize },
    /// READ.
    Read { extent: Extent },
    /// WRITE.
    Write { extent: Extent, durable: bool },
    /// ORWRITE.
    OrWrite { extent: Extent, durable: bool },
    /// WRITE AND VERIFY.
    WriteAndVerify { extent: Extent, compare: bool },
    /// VERIFY.
    Verify { extent: Extent, comparison: Comparison },
    /// COMPARE AND WRITE.
    CompareAndWrite { extent: Extent, durable: bool },
    /// WRITE SAME.
    WriteSame(Same),
    /// UNMAP.
    Unmap { length: usize },
    /// SYNCHRONIZE CACHE.
    SynchronizeCache { extent: Extent },
    /// PRE-FETCH.
    PreFetch { extent: Extent },
    /// READ CAPACITY (10).
    ReadCapacity10,
    /// READ CAPACITY (16).
    ReadCapacity16 { allocation: usize },
    /// GET LBA STATUS.
    GetLbaStatus { lba: u64, allocation: usize },
    /// MODE SENSE.
    ModeSense(ModeSense),
    /// MODE SELECT.
    ModeSelect { ten: bool, length: usize },
    /// PERSISTENT RESERVE IN.
    ReserveIn { action: u8, allocation: usize },
    /// PERSISTENT RESERVE OUT.
    ReserveOut { action: u8, scope: u8, kind: u8, length: usize },
    /// RESERVE.
    Reserve,
    /// RELEASE.
    Release,
    /// REPORT TARGET PORT GROUPS.
    ReportTargetPortGroups { extended: bool, allocation: usize },
    /// REPORT SUPPORTED OPERATION CODES.
    ReportOpcodes { timeouts: bool, option: u8, opcode: u8, action: u16, allocation: usize },
    /// REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS.
    ReportManagement { extended: bool, allocation: usize },
    /// START STOP UNIT.
    StartStop { start: bool, flush: bool },
    /// PREVENT ALLOW MEDIUM REMOVAL with nothing prevented.
    AllowRemoval,
    /// SEND DIAGNOSTIC: the self-test.
    SendDiagnostic,
    /// RECEIVE DIAGNOSTIC RESULTS: the list of pages.
    ReceiveDiagnostic { allocation: usize },
}

impl Operation {
    /// How many bytes it reads for itself at a time, or makes.
    pub fn scratch(&self) -> usize {
        let step = |extent: Extent| extent.blocks.min(STEP);
        let blocks = match *self {
            Self::Verify { extent, .. } | Self::WriteAndVerify { extent, .. } => step(extent),
            // What it reads, and what it makes of that.
            Self::OrWrite { extent, .. } => 2 * step(extent),
            Self::CompareAndWrite { extent, .. } => extent.blocks,
            Self::WriteSame(Same { no_data: false, .. }) => COPIES,
            _ => 0,
        };
        blocks as usize * BLOCK as usize
    }

    /// How many bytes come with it.
    pub fn takes(&self) -> usize {
        let bytes = match *self {
            Self::Write { extent, .. }
            | Self::OrWrite { extent, .. }
            | Self::WriteAndVerify { extent, .. }
            | Self::Verify { extent, comparison: Comparison::Each } => extent.bytes(),
            Self::CompareAndWrite { extent, .. } => 2 * extent.bytes(),
            Self::Verify { extent, comparison: Comparison::Same } if extent.blocks > 0 => {
                u64::from(BLOCK)
            }
            Self::WriteSame(Same { no_data: false, .. }) => u64::from(BLOCK),
            Self::Unmap { length }
            | Self::ModeSelect { length, .. }
            | Self::ReserveOut { length, .. } => return length,
            _ => 0,
        };
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}
