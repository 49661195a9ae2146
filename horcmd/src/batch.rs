//! Long questions to storage systems, cut into orders that fit a datagram and sent several at a
//! time.

use std::{collections::HashMap, sync::Arc};

use model::{CciError, Code, LdevId, LuPath, MuNumber, PairEnd, Serial, VolumeId};
use protocol::{
    RequestId,
    orders::{EndStatus, GuardState, LdevInfo, LocalEnd, Order, OrderError, Reply, Sighting},
};
use tokio::task::JoinSet;

use crate::{
    room,
    units::{Unit, Units},
};

/// How many orders of one question are under way at once.
const AT_ONCE: usize = 8;

/// Which LDEVs stand at these paths of a unit.
///
/// # Errors
/// Those of [`Unit::order`].
pub async fn locate(unit: &Arc<Unit>, paths: Vec<LuPath>) -> Answers<LdevId> {
    let open = |reply| match reply {
        Reply::Located(list) => Some(list),
        _ => None,
    };
    ask(unit, paths, room::located(unit.room()), Order::Locate, open).await
}

/// At which paths of a unit these LUs are seen.
///
/// # Errors
/// Those of [`Unit::order`].
pub async fn trace(unit: &Arc<Unit>, seen: Vec<Sighting>) -> Answers<LuPath> {
    let open = |reply| match reply {
        Reply::Traced(list) => Some(list),
        _ => None,
    };
    ask(unit, seen, room::traced(unit.room()), Order::Trace, open).await
}

/// What these LDEVs of a unit are.
///
/// # Errors
/// Those of [`Unit::order`].
pub async fn describe(unit: &Arc<Unit>, ldevs: Vec<LdevId>) -> Answers<LdevInfo> {
    let open = |reply| match reply {
        Reply::Described(list) => Some(list),
        _ => None,
    };
    let each = room::described(unit.room());
    ask(unit, ldevs, each, Order::Describe, open).await
}

/// How these pair ends stand, whichever units they belong to; `None` for an LDEV that its unit
/// does not have, and for those of units nobody knows.
///
/// # Errors
/// Those of [`Unit::order`].
pub async fn statuses(units: &Units, ends: &[PairEnd]) -> Result<Vec<Option<EndStatus>>, CciError> {
    let local = |end: &PairEnd| LocalEnd { ldev: end.volume.ldev, mu: end.mu };
    let open = |reply| match reply {
        Reply::Status(list) => Some(list),
        _ => None,
    };
    let serial = |end: &PairEnd| end.volume.serial;
    let parts = Split::new(units, ends, serial, local);
    parts.ask(room::statuses, Order::Status, open).await
}

/// The guards of these volumes, `None` where there is no such LDEV.
///
/// # Errors
/// Those of [`Unit::order`].
pub async fn guards(
    units: &Units,
    volumes: &[VolumeId],
) -> Result<Vec<Option<GuardState>>, CciError> {
    let open = |reply| match reply {
        Reply::Guards(list) => Some(list),
        _ => None,
    };
    let parts = Split::new(units, volumes, |v| v.serial, |v| v.ldev);
    parts.ask(room::guards, Order::Guards, open).await
}

/// One answer for each thing asked.
type Answers<R> = Result<Vec<Option<R>>, OrderError>;

/// Asks one unit in orders of at most `each` items.
async fn ask<T, R>(
    unit: &Arc<Unit>,
    items: Vec<T>,
    each: usize,
    order: fn(Vec<T>) -> Order,
    open: fn(Reply) -> Option<Vec<Option<R>>>,
) -> Answers<R>
where
    T: Clone,
    R: Clone + Send + 'static,
{
    let mut answers = vec![None; items.len()];
    let mut under_way = JoinSet::new();
    let mut parts = items.chunks(each).enumerate();
    loop {
        while under_way.len() < AT_ONCE
            && let Some((number, part)) = parts.next()
        {
            let (unit, order, count) = (unit.clone(), order(part.to_vec()), part.len());
            under_way.spawn(async move {
                let reply = unit.order(RequestId::random(), &order).await?;
                let list = open(reply).filter(|list| list.len() == count);
                let list = list.ok_or_else(|| OrderError::from(misunderstood(&unit)))?;
                Ok::<_, OrderError>((number * each, list))
            });
        }
        match under_way.join_next().await {
            None => return Ok(answers),
            Some(Ok(part)) => {
                let (start, list) = part?;
                answers[start..start + list.len()].clone_from_slice(&list);
            }
            Some(Err(_)) => return Err(misunderstood(unit).into()),
        }
    }
}

/// The refusal of an answer that does not fit its order.
fn misunderstood(unit: &Unit) -> CciError {
    CciError::new(Code::ExCmdioe)
        .object(unit.command_device())
        .cause("the storage system's answer does not fit the order: another version?")
        .advice("run the same version of horcmd and of the storage system")
}

/// A question to several units, with the way back of each part's answers.
struct Split<T> {
    parts: Vec<(Arc<Unit>, Vec<T>, Vec<usize>)>,
    count: usize,
}

impl<T: Clone> Split<T> {
    fn new<S>(
        units: &Units,
        all: &[S],
        serial: impl Fn(&S) -> Serial,
        item: impl Fn(&S) -> T,
    ) -> Self {
        let mut parts: Vec<(Arc<Unit>, Vec<T>, Vec<usize>)> = Vec::new();
        let mut part_of: HashMap<Serial, Option<usize>> = HashMap::new();
        for (position, one) in all.iter().enumerate() {
            let part = *part_of.entry(serial(one)).or_insert_with_key(|serial| {
                let unit = units.by_serial(*serial).ok()?;
                parts.push((unit.clone(), Vec::new(), Vec::new()));
                Some(parts.len() - 1)
            });
            if let Some(part) = part {
                parts[part].1.push(item(one));
                parts[part].2.push(position);
            }
        }
        Self { parts, count: all.len() }
    }

    async fn ask<R: Clone + Send + 'static>(
        self,
        each: fn(usize) -> usize,
        order: fn(Vec<T>) -> Order,
        open: fn(Reply) -> Option<Vec<Option<R>>>,
    ) -> Result<Vec<Option<R>>, CciError> {
        let mut answers = vec![None; self.count];
        for (unit, items, positions) in self.parts {
            let list = ask(&unit, items, each(unit.room()), order, open).await;
            let list = list.map_err(|refused| refused.error)?;
            for (position, answer) in positions.into_iter().zip(list) {
                answers[position] = answer;
            }
        }
        Ok(answers)
    }
}

/// The end of a volume's mirror.
#[must_use]
pub const fn end(volume: VolumeId, mu: MuNumber) -> PairEnd {
    PairEnd { volume, mu }
}
