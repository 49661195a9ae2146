//! From a change of a group to the orders that make it: which end each pair is named by, and one
//! order a storage system.

use model::{CciError, Code, DevName, PairEnd, Serial, Side};
use protocol::{
    horcm::Row,
    orders::{CtgRequest, LocalEnd, PairChange, PairTarget},
};

use crate::{catalog::Group, protection, summary};

/// A volume that takes part in a change.
#[derive(Debug, Clone)]
pub struct Part<'a> {
    /// Its group.
    pub group: &'a Group,
    /// Its name.
    pub name: DevName,
    /// This instance's end.
    pub local: PairEnd,
    /// The remote instance's end; `None` with `-l`.
    pub remote: Option<PairEnd>,
}

impl Part<'_> {
    /// How messages name it.
    #[must_use]
    pub fn object(&self) -> String {
        self.group.object(&self.name, Some(self.local))
    }
}

/// One order: all pairs of one storage system.
#[derive(Debug, PartialEq, Eq)]
pub struct UnitPlan {
    /// The storage system.
    pub serial: Serial,
    /// What the order lists.
    pub pairs: Vec<PairTarget>,
    /// For each listed pair, which part it is.
    pub parts: Vec<usize>,
}

/// Joins the volumes of a selection with their partners.
///
/// # Errors
/// EX_ENODEV for a volume the remote instance does not have, EX_ENLDEV for one whose LDEV is
/// gone there, EX_ENPERM for one that the remote host may not use, EX_EVOLCE for a volume that would be its own partner.
pub fn join(
    group: &Group,
    locals: Vec<(DevName, PairEnd)>,
    remotes: Option<Vec<Option<Row>>>,
) -> Result<Vec<Part<'_>>, CciError> {
    let Some(remotes) = remotes else {
        let alone = |(name, local)| Part { group, name, local, remote: None };
        return Ok(locals.into_iter().map(alone).collect());
    };
    let pairs = locals.into_iter().zip(remotes);
    pairs
        .map(|((name, local), remote)| {
            let row = remote.ok_or_else(|| summary::no_partner(group, &name))?;
            protection::check_partner(group, &name, &row)?;
            if row.status.is_none() {
                return Err(summary::no_ldev(group, &name, &row));
            }
            let remote = PairEnd { volume: row.volume, mu: row.mu };
            if remote.volume == local.volume {
                return Err(CciError::new(Code::ExEvolce)
                    .object(group.object(&name, Some(local)))
                    .cause("both instances name the same LDEV: a volume cannot be its own partner")
                    .advice("correct the volume in one of the two configurations"));
            }
            Ok(Part { group, name, local, remote: Some(remote) })
        })
        .collect()
}

/// The orders of a change.
///
/// `paircreate` lists the P-VOL first, which is on the side `primary`; everything else is said of
/// this instance's end.
///
/// # Errors
/// EX_REQARG for a creation without a side, EX_OPTINV for one without the remote side,
/// EX_ENQSER for partners in two storage systems, EX_EXTCTG for a consistency group across them.
pub fn plan(
    parts: &[Part<'_>],
    change: &PairChange,
    primary: Option<Side>,
) -> Result<Vec<UnitPlan>, CciError> {
    let mut plans: Vec<UnitPlan> = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let (end, partner) = match change {
            PairChange::Create(_) => creation(part, primary)?,
            _ => (part.local, part.remote),
        };
        let serial = end.volume.serial;
        let target = PairTarget { end: LocalEnd { ldev: end.volume.ldev, mu: end.mu }, partner };
        let position = plans.iter().position(|plan| plan.serial == serial);
        let position = position.unwrap_or_else(|| {
            plans.push(UnitPlan { serial, pairs: Vec::new(), parts: Vec::new() });
            plans.len() - 1
        });
        plans[position].pairs.push(target);
        plans[position].parts.push(index);
    }
    if let PairChange::Create(options) = change
        && let Some(request) = options.group
        && let [first, second, ..] = plans.as_slice()
    {
        let ctg = match request {
            CtgRequest::Any => String::new(),
            CtgRequest::Id(id) => format!(" {id}"),
        };
        let group = parts.first().map(|part| part.group.name.as_str()).unwrap_or_default();
        return Err(CciError::new(Code::ExExtctg)
            .object(format!("{group} consistency group{ctg}"))
            .cause(format!(
                "its P-VOLs are in Serial# {} and in Serial# {}",
                first.serial, second.serial
            ))
            .advice("make one group for each storage system"));
    }
    Ok(plans)
}

/// P-VOL and S-VOL of a pair to be made.
fn creation(
    part: &Part<'_>,
    primary: Option<Side>,
) -> Result<(PairEnd, Option<PairEnd>), CciError> {
    let refuse = |code| CciError::new(code).object(part.object());
    let side = primary.ok_or_else(|| {
        refuse(Code::ExReqarg)
            .cause("paircreate has to know which side's volumes are the P-VOLs")
            .advice("say -vl (local) or -vr (remote)")
    })?;
    let remote = part.remote.ok_or_else(|| {
        refuse(Code::ExOptinv)
            .cause("a pair cannot be made without the remote instance, which names the partner")
            .advice("leave -l away")
    })?;
    if remote.volume.serial != part.local.volume.serial {
        return Err(refuse(Code::ExEnqser)
            .cause(format!(
                "its partner is in Serial# {}: a local copy stays in one storage system",
                remote.volume.serial
            ))
            .advice("choose both volumes from one storage system"));
    }
    Ok(match side {
        Side::Local => (part.local, Some(remote)),
        Side::Remote => (remote, Some(part.local)),
    })
}

#[cfg(test)]
mod tests {
    use model::{LdevId, MuNumber, VolumeId};
    use protocol::orders::{CreateOptions, EndStatus, SplitOptions};

    use super::*;
    use crate::catalog::tests::catalog;

    fn end(serial: u32, ldev: u32, mu: u32) -> PairEnd {
        PairEnd {
            volume: VolumeId {
                serial: Serial::new(serial).unwrap(),
                ldev: LdevId::new(ldev).unwrap(),
            },
            mu: MuNumber::new(mu).unwrap(),
        }
    }

    type Ends = (PairEnd, Option<PairEnd>);

    fn part(local: PairEnd, remote: Option<PairEnd>) -> Ends {
        (local, remote)
    }

    fn create(group: Option<CtgRequest>) -> PairChange {
        PairChange::Create(CreateOptions { group, ..CreateOptions::default() })
    }

    fn run(
        ends: &[Ends],
        change: PairChange,
        primary: Option<Side>,
    ) -> Result<Vec<UnitPlan>, Code> {
        let catalog = catalog(&[("g", "v", 1, "0")]);
        let group = &catalog.groups()[0];
        let part = |(local, remote): &Ends| {
            let name = "v".parse().unwrap();
            Part { group, name, local: *local, remote: *remote }
        };
        let parts: Vec<_> = ends.iter().map(part).collect();
        plan(&parts, &change, primary).map_err(|e| e.code)
    }

    #[test]
    fn the_p_vol_of_a_creation_is_on_the_side_named() {
        let parts = [part(end(1, 19, 0), Some(end(1, 18, 2)))];
        let first = |side| run(&parts, create(None), Some(side)).unwrap()[0].pairs[0];
        let right = first(Side::Remote);
        assert_eq!((right.end.ldev.get(), right.end.mu.get()), (18, 2));
        assert_eq!(right.partner, Some(end(1, 19, 0)));
        let left = first(Side::Local);
        assert_eq!((left.end.ldev.get(), left.partner), (19, Some(end(1, 18, 2))));
    }

    #[test]
    fn creations_that_cannot_be_are_refused() {
        let whole = [part(end(1, 1, 0), Some(end(1, 2, 0)))];
        assert_eq!(run(&whole, create(None), None), Err(Code::ExReqarg));
        let alone = [part(end(1, 1, 0), None)];
        let left = Some(Side::Local);
        assert_eq!(run(&alone, create(None), left), Err(Code::ExOptinv));
        let apart = [part(end(1, 1, 0), Some(end(2, 2, 0)))];
        assert_eq!(run(&apart, create(None), left), Err(Code::ExEnqser));
        let two = [part(end(1, 1, 0), Some(end(1, 2, 0))), part(end(2, 1, 0), Some(end(2, 2, 0)))];
        let grp = create(Some(CtgRequest::Any));
        assert_eq!(run(&two, grp, left), Err(Code::ExExtctg));
    }

    #[test]
    fn each_storage_system_gets_one_order() {
        let parts = [part(end(1, 1, 0), None), part(end(2, 1, 0), None), part(end(1, 3, 1), None)];
        let split = PairChange::Split(SplitOptions::default());
        let plans = run(&parts, split, None).unwrap();
        assert_eq!(plans.len(), 2);
        assert_eq!(plans[0].parts, [0, 2]);
        assert_eq!(plans[1].parts, [1]);
        assert_eq!(plans[0].pairs[1].end.ldev.get(), 3);
    }

    #[test]
    fn partners_that_are_missing_or_the_same_are_refused() {
        let catalog = catalog(&[("g", "v", 1, "0")]);
        let join = |remote| {
            let locals = vec![("v".parse().unwrap(), end(1, 1, 0))];
            let joined = join(&catalog.groups()[0], locals, Some(vec![remote]));
            joined.map(|parts| parts[0].remote).map_err(|e| e.code)
        };
        let row = |ldev, status| Row {
            path: None,
            volume: end(1, ldev, 0).volume,
            mu: MuNumber::default(),
            device: None,
            permitted: true,
            status,
            guard: None,
        };
        assert_eq!(join(None), Err(Code::ExEnodev));
        let hidden = protection::hidden(&row(2, Some(EndStatus::SMPL)));
        assert_eq!(join(Some(hidden)), Err(Code::ExEnperm));
        assert_eq!(join(Some(row(2, None))), Err(Code::ExEnldev));
        let smpl = Some(EndStatus::SMPL);
        assert_eq!(join(Some(row(1, smpl))), Err(Code::ExEvolce));
        assert_eq!(join(Some(row(2, smpl))), Ok(Some(end(1, 2, 0))));
    }
}
