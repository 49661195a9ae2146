//! Commands that move blocks: READ, WRITE, VERIFY, COMPARE AND WRITE, ORWRITE, SYNCHRONIZE CACHE,
//! PRE-FETCH.

use bytes::Bytes;

use super::{
    answer::Answer,
    block_limits::STEP,
    gate::Way,
    logical::Logical,
    operation::{Comparison, Extent},
    pieces,
};
use crate::{medium::BLOCK, sense::Sense, task::Completion};

/// READ (SBC-3 5.11 to 5.14), as far as the initiator has room: what it pays for in its transport
/// is all that is read.
pub(super) async fn read(unit: &Logical, extent: Extent, room: usize) -> Answer {
    unit.within(extent.lba, extent.blocks.into())?;
    unit.readable()?;
    let room = u32::try_from(room.div_ceil(BLOCK as usize)).unwrap_or(u32::MAX);
    let part = Extent { blocks: extent.blocks.min(room), ..extent };
    let left_out = usize::try_from(extent.bytes() - part.bytes()).unwrap_or(usize::MAX);
    if part.blocks == 0 {
        return Ok(Completion { left_out, ..Completion::good() });
    }
    let _turn = unit.turn(Way::Read, part.lba, part.blocks.into()).await?;
    let data_in = unit.medium.read(part.lba, part.blocks).await?;
    Ok(Completion { data_in, left_out, ..Completion::good() })
}

/// WRITE (SBC-3 5.36 to 5.39). An initiator that offers less than the CDB says gets the whole
/// blocks of that written; its transport tells it what was left out.
pub(super) async fn write(
    unit: &Logical,
    extent: Extent,
    durable: bool,
    data: Vec<Bytes>,
) -> Answer {
    let Some((extent, data)) = offered(unit, extent, data)? else {
        return Ok(Completion::good());
    };
    let _turn = unit.turn(Way::Write, extent.lba, extent.blocks.into()).await?;
    let durable = durable || unit.writes_through();
    unit.medium.write(extent.lba, data, durable).await?;
    Ok(Completion::good())
}

/// WRITE AND VERIFY (SBC-3 5.40 to 5.42): what is read back comes from the medium, not from a
/// cache in front of it.
pub(super) async fn write_and_verify(
    unit: &Logical,
    extent: Extent,
    compare: bool,
    data: Vec<Bytes>,
) -> Answer {
    unit.readable()?;
    let Some((extent, data)) = offered(unit, extent, data)? else {
        return Ok(Completion::good());
    };
    let _turn = unit.turn(Way::Write, extent.lba, extent.blocks.into()).await?;
    unit.medium.write(extent.lba, data.clone(), true).await?;
    compare_steps(unit, extent, if compare { in_turn(data) } else { nothing() }).await
}

/// The whole blocks that came for an extent; `None` where there are none to write.
fn offered(
    unit: &Logical,
    mut extent: Extent,
    data: Vec<Bytes>,
) -> Result<Option<(Extent, Vec<Bytes>)>, Sense> {
    unit.within(extent.lba, extent.blocks.into())?;
    unit.writable()?;
    let came = pieces::length(&data) / u64::from(BLOCK);
    extent.blocks = extent.blocks.min(u32::try_from(came).unwrap_or(u32::MAX));
    let (data, _) = pieces::split(data, extent.bytes());
    Ok((extent.blocks > 0).then_some((extent, data)))
}

/// VERIFY (SBC-3 5.33 to 5.35).
pub(super) async fn verify(
    unit: &Logical,
    extent: Extent,
    comparison: Comparison,
    data: Vec<Bytes>,
) -> Answer {
    unit.within(extent.lba, extent.blocks.into())?;
    unit.readable()?;
    if extent.blocks == 0 {
        return Ok(Completion::good());
    }
    let expected = match comparison {
        Comparison::None => nothing(),
        Comparison::Each => in_turn(exactly(data, extent.bytes())?),
        Comparison::Same => {
            let block = pieces::whole(exactly(data, BLOCK.into())?);
            Box::new(move |blocks| (0..blocks).map(|_| block.clone()).collect())
        }
    };
    let _turn = unit.turn(Way::Read, extent.lba, extent.blocks.into()).await?;
    compare_steps(unit, extent, expected).await
}

/// COMPARE AND WRITE (SBC-3 5.3): nothing else is written to the blocks in between.
pub(super) async fn compare_and_write(
    unit: &Logical,
    extent: Extent,
    durable: bool,
    data: Vec<Bytes>,
) -> Answer {
    unit.within(extent.lba, extent.blocks.into())?;
    unit.readable()?;
    unit.writable()?;
    let data = exactly(data, 2 * extent.bytes())?;
    if extent.blocks == 0 {
        return Ok(Completion::good());
    }
    let (expected, new) = pieces::split(data, extent.bytes());
    let _turn = unit.turn(Way::Write, extent.lba, extent.blocks.into()).await?;
    let read = unit.medium.read(extent.lba, extent.blocks).await?;
    let answer = same(&read, &expected)?;
    unit.going()?;
    unit.medium.write(extent.lba, new, durable || unit.writes_through()).await?;
    Ok(answer)
}

/// ORWRITE (16) (SBC-3 5.7): nothing else is written to the blocks in between.
pub(super) async fn or_write(
    unit: &Logical,
    extent: Extent,
    durable: bool,
    data: Vec<Bytes>,
) -> Answer {
    unit.readable()?;
    let Some((extent, data)) = offered(unit, extent, data)? else {
        return Ok(Completion::good());
    };
    let _turn = unit.turn(Way::Write, extent.lba, extent.blocks.into()).await?;
    let durable = durable || unit.writes_through();
    let mut data = in_turn(data);
    for step in steps(extent) {
        let mut bits = pieces::whole(unit.medium.read(step.lba, step.blocks).await?).to_vec();
        unit.going()?;
        let new = data(step.blocks);
        bits.iter_mut().zip(new.iter().flatten()).for_each(|(bit, new)| *bit |= new);
        unit.medium.write(step.lba, vec![bits.into()], durable).await?;
    }
    Ok(Completion::good())
}

/// SYNCHRONIZE CACHE (SBC-3 5.28 and 5.29): all that was written, whatever the extent; IMMED is
/// answered when it is done all the same.
pub(super) async fn synchronize(unit: &Logical, extent: Extent) -> Answer {
    unit.within(extent.lba, extent.blocks.into())?;
    unit.medium.flush().await?;
    Ok(Completion::good())
}

/// PRE-FETCH (SBC-3 5.8 and 5.9): the store caches as it sees fit.
pub(super) fn prefetch(unit: &Logical, extent: Extent) -> Answer {
    unit.within(extent.lba, extent.blocks.into())?;
    unit.readable()?;
    Ok(Completion::good())
}

/// Data that has to be all there.
pub(super) fn exactly(data: Vec<Bytes>, bytes: u64) -> Result<Vec<Bytes>, Sense> {
    if pieces::length(&data) == bytes { Ok(data) } else { Err(Sense::INVALID_FIELD_IN_CDB) }
}

/// The same blocks, as many as are read at a time.
fn steps(extent: Extent) -> impl Iterator<Item = Extent> {
    (0..extent.blocks).step_by(STEP as usize).map(move |done| Extent {
        lba: extent.lba + u64::from(done),
        blocks: STEP.min(extent.blocks - done),
    })
}

/// What is expected of as many blocks as are asked for, after those before.
type Expected = Box<dyn FnMut(u32) -> Vec<Bytes> + Send>;

fn nothing() -> Expected {
    Box::new(|_| Vec::new())
}

/// Data, piece by piece.
fn in_turn(data: Vec<Bytes>) -> Expected {
    let mut rest = data;
    Box::new(move |blocks| {
        let bytes = u64::from(blocks) * u64::from(BLOCK);
        let (front, back) = pieces::split(std::mem::take(&mut rest), bytes);
        rest = back;
        front
    })
}

/// Reads blocks and compares them with what is expected.
async fn compare_steps(unit: &Logical, extent: Extent, mut expected: Expected) -> Answer {
    for step in steps(extent) {
        unit.going()?;
        let read = unit.medium.read(step.lba, step.blocks).await?;
        if let Some(at) = pieces::difference(&read, &expected(step.blocks)) {
            let before = (step.lba - extent.lba) * u64::from(BLOCK);
            return Err(Sense::MISCOMPARE.with_information(before + at).into());
        }
    }
    Ok(Completion::good())
}

/// GOOD where both are the same, else MISCOMPARE with the first byte that is not.
fn same(read: &[Bytes], expected: &[Bytes]) -> Answer {
    match pieces::difference(read, expected) {
        None => Ok(Completion::good()),
        Some(at) => Err(Sense::MISCOMPARE.with_information(at).into()),
    }
}
