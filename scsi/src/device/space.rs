//! Commands that give space back or fill it: UNMAP and WRITE SAME.

use bytes::Bytes;

use super::{
    answer::Answer,
    block_limits::{COPIES, MAX_SAME, MAX_UNMAP, MAX_UNMAP_DESCRIPTORS, STEP},
    blocks::exactly,
    gate::Way,
    logical::Logical,
    operation::Same,
    pieces,
};
use crate::{medium::BLOCK, sense::Sense, task::Completion};

/// UNMAP (SBC-3 5.32). Its parameter list:
///
/// | byte | what |
/// |---|---|
/// | 2-3 | bytes of descriptors |
/// | 8- | descriptors of 16 bytes: at 0-7 the first block, at 8-11 how many |
pub(super) async fn unmap(unit: &Logical, length: usize, data: Vec<Bytes>) -> Answer {
    if !unit.medium.identity().thin {
        return Err(Sense::INVALID_OPCODE.into());
    }
    if length == 0 {
        return Ok(Completion::good());
    }
    let list = pieces::whole(data);
    let Some((head, rest)) = list.split_at_checked(8).filter(|_| list.len() == length) else {
        return Err(Sense::DATA_LENGTH.into());
    };
    let said = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let rest = &rest[..said.min(rest.len())];
    let number = |bytes: &[u8]| bytes.iter().fold(0, |n: u64, byte| n << 8 | u64::from(*byte));
    let extents: Vec<_> =
        rest.chunks_exact(16).map(|one| (number(&one[..8]), number(&one[8..12]))).collect();
    let total: u64 = extents.iter().map(|(_, blocks)| blocks).sum();
    if extents.len() > usize::from(MAX_UNMAP_DESCRIPTORS) || total > u64::from(MAX_UNMAP) {
        return Err(Sense::INVALID_FIELD_IN_DATA.in_data(2, None).into());
    }
    for (lba, blocks) in &extents {
        unit.within(*lba, *blocks)?;
    }
    unit.writable()?;
    // All now: what comes while the first is zeroed comes after the last, too.
    let extents = extents.into_iter().filter(|(_, blocks)| *blocks > 0);
    let extents: Vec<_> =
        extents.map(|(lba, blocks)| (unit.arrive(Way::Write, lba, blocks), lba, blocks)).collect();
    for (mut turn, lba, blocks) in extents {
        unit.wait(turn.enter()).await?;
        unit.medium.zero(lba, blocks).await?;
    }
    if unit.writes_through() {
        unit.medium.flush().await?;
    }
    Ok(Completion::good())
}

/// WRITE SAME (SBC-3 5.48 and 5.49). Zeros take no space, asked for (UNMAP) or not: they read the
/// same.
pub(super) async fn same(unit: &Logical, same: Same, data: Vec<Bytes>) -> Answer {
    let lba = same.extent.lba;
    unit.within(lba, same.extent.blocks.into())?;
    let blocks = match same.extent.blocks {
        0 => unit.medium.blocks().saturating_sub(lba),
        blocks => blocks.into(),
    };
    if blocks > u64::from(MAX_SAME) {
        return Err(Sense::INVALID_FIELD_IN_CDB.into());
    }
    if same.unmap && !unit.medium.identity().thin {
        return Err(Sense::INVALID_FIELD_IN_CDB.in_cdb(1, Some(3)).into());
    }
    let block =
        if same.no_data { Bytes::new() } else { pieces::whole(exactly(data, BLOCK.into())?) };
    unit.writable()?;
    if blocks == 0 {
        return Ok(Completion::good());
    }
    let _turn = unit.turn(Way::Write, lba, blocks).await?;
    if block.iter().all(|byte| *byte == 0) {
        unit.medium.zero(lba, blocks).await?;
    } else {
        let copies = Bytes::from(block.repeat(COPIES as usize));
        let mut done = 0;
        while done < blocks {
            unit.going()?;
            let count = u64::from(STEP).min(blocks - done);
            let all = (0..count).step_by(COPIES as usize).map(|_| copies.clone()).collect();
            let (pattern, _) = pieces::split(all, count * u64::from(BLOCK));
            unit.medium.write(lba + done, pattern, false).await?;
            done += count;
        }
    }
    if unit.writes_through() {
        unit.medium.flush().await?;
    }
    Ok(Completion::good())
}
