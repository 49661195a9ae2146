//! An order over many pairs: everything is checked first, then all of it happens or nothing.

use std::collections::{BTreeSet, HashMap, HashSet};

use model::{CciError, Code, LdevId, PairEnd, Role, Serial, VolumeId};
use protocol::orders::{CtgRequest, LocalEnd, OrderError, PairChange, PairTarget};

use super::{
    create::Taken,
    pair::Pair,
    registry::Registry,
    table::{Effect, Phase, Step, decide, word},
};
use crate::{
    guards::GuardRecord,
    inventory::Ldev,
    store::{Flow, Lack, LinkChange, LinkId},
};

/// The most pairs in one order.
pub const MAX_PAIRS: usize = 65_536;
/// The largest CTGID.
pub const MAX_CTG: u16 = 2047;
/// The most pairs of a consistency group (SVOS 9.8).
pub const MAX_GROUP: usize = 8_192;

/// A refusal on its way up.
pub type Refused = Box<CciError>;

/// Everything that decides about an order.
pub struct View<'a> {
    /// The storage system.
    pub serial: Serial,
    /// The LDEVs.
    pub ldevs: &'a HashMap<LdevId, Ldev>,
    /// The guards that are set.
    pub guards: &'a HashMap<LdevId, GuardRecord>,
    /// The pairs.
    pub registry: &'a Registry,
    /// What a pair has still to fetch.
    pub lack: &'a dyn Fn(LinkId) -> Lack,
}

/// What an order does to one pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The pair.
    pub id: LinkId,
    /// As it is afterwards; `None` when it is dissolved.
    pub pair: Option<Pair>,
    /// What that means for its volumes.
    pub changes: Vec<LinkChange>,
}

/// One pair of an order, found.
struct Member {
    at: u32,
    end: LocalEnd,
    found: Option<(LinkId, Pair)>,
    /// The S-VOL to be, for paircreate.
    svol: Option<LocalEnd>,
}

impl Member {
    fn phase(&self) -> Option<Phase> {
        self.found.map(|(_, pair)| pair.phase)
    }

    fn role(&self) -> Role {
        self.found.map_or(Role::Smpl, |(_, pair)| pair.role(self.end))
    }
}

impl View<'_> {
    /// Works out an order.
    ///
    /// # Errors
    /// The refusal and which target it is about. A single pair, or a group all in one state, is
    /// refused with EX_INVSTP; a group of different roles with EX_ENQVOL; one of different
    /// states with EX_INCSTG.
    pub fn plan(
        &self,
        change: &PairChange,
        targets: &[PairTarget],
    ) -> Result<Vec<Planned>, OrderError> {
        if targets.is_empty() || targets.len() > MAX_PAIRS {
            return Err(CciError::new(Code::ExInvarg)
                .cause(format!("an order takes 1 to {MAX_PAIRS} pairs, not {}", targets.len()))
                .advice("divide the group")
                .into());
        }
        let members = self.find(change, targets)?;
        let steps = self.decide_all(change, &members)?;
        let ctg = self.consistency_group(change, &members)?;
        let mut taken = Taken::default();
        let mut next_id = self.registry.next_id().0;
        let mut planned = Vec::with_capacity(members.len());
        for (member, step) in members.iter().zip(steps) {
            let Step::Go(phase, effects) = step else {
                continue;
            };
            self.check(change, member, &mut taken).map_err(|error| at(member.at, *error))?;
            let id = member.found.map_or_else(
                || {
                    next_id = next_id.saturating_add(1);
                    LinkId(next_id - 1)
                },
                |(id, _)| id,
            );
            planned.push(Self::planned(id, member, change, phase, &effects, ctg));
        }
        Ok(planned)
    }

    fn find(&self, change: &PairChange, targets: &[PairTarget]) -> Result<Vec<Member>, OrderError> {
        let mut seen = HashSet::new();
        let mut members = Vec::with_capacity(targets.len());
        for (n, target) in targets.iter().enumerate() {
            let n = u32::try_from(n).unwrap_or(u32::MAX);
            let member = self.member(n, change, target).map_err(|error| at(n, *error))?;
            // Both ends of one pair in one order mean that pair once.
            if member.found.is_none_or(|(id, _)| seen.insert(id)) {
                members.push(member);
            }
        }
        Ok(members)
    }

    fn member(&self, n: u32, change: &PairChange, target: &PairTarget) -> Result<Member, Refused> {
        let end = target.end;
        self.check_end(end)?;
        let mut found = self.registry.at(end).map(|(id, pair)| (id, *pair));
        let mut svol = None;
        if let PairChange::Create(_) = change {
            let wanted = self.svol(target.partner, end)?;
            svol = Some(wanted);
            // Any other pair at this end is in the way, which the checks of a new pair say.
            found =
                found.filter(|(_, pair)| pair.primary == end && pair.secondary.ldev == wanted.ldev);
        } else if let (Some((_, pair)), Some(partner)) = (&found, target.partner) {
            let actual = pair.partner(end);
            if self.volume(actual.ldev) != partner.volume {
                return Err(self
                    .about(Code::ExEvolce, end)
                    .state(pair.phase.status(pair.role(end)).word())
                    .cause(format!("its partner is LDEV {}, not {}", actual.ldev, partner.volume))
                    .advice("make both instances name the two volumes of one pair")
                    .into());
            }
        }
        Ok(Member { at: n, end, found, svol })
    }

    fn decide_all(&self, change: &PairChange, members: &[Member]) -> Result<Vec<Step>, OrderError> {
        let mut steps = Vec::with_capacity(members.len());
        let mut refused = None;
        for member in members {
            let settled = member.found.is_none_or(|(id, _)| !(self.lack)(id).is_any());
            let snapshot = match &member.found {
                Some((_, pair)) => pair.snapshot,
                None => snapshot_of(change),
            };
            match decide(member.phase(), change, settled, snapshot.is_some()) {
                Ok(step) => steps.push(step),
                Err(error) => {
                    refused.get_or_insert((member, error));
                }
            }
        }
        let Some((member, mut error)) = refused else {
            return Ok(steps);
        };
        let roles: BTreeSet<Role> = members.iter().map(Member::role).collect();
        let states: BTreeSet<&str> = members.iter().map(|m| word(m.phase())).collect();
        if roles.len() > 1 {
            error.code = Code::ExEnqvol;
        } else if states.len() > 1 {
            error.code = Code::ExIncstg;
        }
        error.object = Some(self.end(member.end).to_string());
        Err(at(member.at, *error))
    }

    /// The consistency group of new pairs; and that a split takes all of one group and nothing
    /// else.
    fn consistency_group(
        &self,
        change: &PairChange,
        members: &[Member],
    ) -> Result<Option<u16>, OrderError> {
        let ctgs: BTreeSet<Option<u16>> =
            members.iter().filter_map(|m| m.found.map(|(_, pair)| pair.ctg)).collect();
        let mixed = |member: &Member, cause: String| {
            let error = self
                .about(Code::ExEnqctg, member.end)
                .cause(cause)
                .advice("keep the pairs of one consistency group in one group of horcm.conf, and change the whole group");
            at(member.at, error)
        };
        match change {
            PairChange::Split(_) => {
                let mut ctgs = ctgs.into_iter();
                let (first, other) = (ctgs.next().flatten(), ctgs.next());
                let Some(member) = members.first() else {
                    return Ok(None);
                };
                if other.is_some() {
                    return Err(mixed(
                        member,
                        "the pairs belong to different consistency groups".into(),
                    ));
                }
                let Some(ctg) = first else {
                    return Ok(None);
                };
                let whole = self.registry.group_size(ctg);
                if whole > members.len() {
                    return Err(mixed(
                        member,
                        format!("CTGID {ctg} has {whole} pairs, the order names {}", members.len()),
                    ));
                }
                Ok(None)
            }
            PairChange::Create(options) => {
                let wanted = match options.group {
                    None => return Ok(None),
                    Some(CtgRequest::Id(id)) if id > MAX_CTG => {
                        return Err(CciError::new(Code::ExErange)
                            .object(format!("CTGID {id}"))
                            .cause(format!("CTGIDs go from 0 to {MAX_CTG}, not to {id}"))
                            .advice("choose another CTGID, or leave it out")
                            .into());
                    }
                    Some(CtgRequest::Id(id)) => id,
                    Some(CtgRequest::Any) => match ctgs.iter().flatten().next() {
                        Some(ctg) => *ctg,
                        None => (0..=MAX_CTG)
                            .find(|ctg| self.registry.group_size(*ctg) == 0)
                            .ok_or_else(|| {
                                CciError::new(Code::ExEnxctg)
                                    .cause(format!("all {} are in use", MAX_CTG + 1))
                                    .advice("name the CTGID of a group that the pairs may join")
                            })?,
                    },
                };
                let other = members
                    .iter()
                    .find(|m| m.found.is_some_and(|(_, pair)| pair.ctg != Some(wanted)));
                match other {
                    Some(member) => Err(mixed(
                        member,
                        format!("the pair exists already and is not in CTGID {wanted}"),
                    )),
                    None => self.check_room(wanted, members).map(|()| Some(wanted)),
                }
            }
            PairChange::Fail | PairChange::Dissolve | PairChange::Resync(_) => Ok(None),
        }
    }

    /// That a consistency group has room for the pairs of an order that are new.
    fn check_room(&self, ctg: u16, members: &[Member]) -> Result<(), OrderError> {
        let (there, new) = (self.registry.group_size(ctg), members.iter());
        let new = new.filter(|member| member.found.is_none()).count();
        if there + new <= MAX_GROUP {
            return Ok(());
        }
        Err(CciError::new(Code::ExErange)
            .object(format!("CTGID {ctg}"))
            .state(format!("{there} pairs"))
            .cause(format!("with {new} more it would have more than {MAX_GROUP}"))
            .advice("divide the group over several CTGIDs")
            .into())
    }

    /// Whether the volumes' other pairs allow what the table allows to this one.
    fn check(
        &self,
        change: &PairChange,
        member: &Member,
        taken: &mut Taken,
    ) -> Result<(), Refused> {
        let Some((id, pair)) = member.found else {
            return match member.svol {
                Some(svol) => {
                    let snapshot = snapshot_of(change);
                    self.check_new(member.end, svol, snapshot, taken)
                }
                None => Ok(()),
            };
        };
        let guarded = |end: LocalEnd| self.guards.get(&end.ldev).is_some_and(|g| g.guard.svol);
        match change {
            PairChange::Resync(options) if options.restore => {
                if guarded(pair.primary) {
                    return Err(self.svol_guarded(pair.primary));
                }
                self.check_restore(id, &pair)
            }
            PairChange::Resync(_) => {
                if guarded(pair.secondary) {
                    return Err(self.svol_guarded(pair.secondary));
                }
                self.check_content(pair.primary.ldev, pair.secondary.ldev, Some(id))
            }
            PairChange::Fail | PairChange::Dissolve => self.check_giving_up(id, &pair),
            PairChange::Create(_) | PairChange::Split(_) => Ok(()),
        }
    }

    /// Before the S-VOL becomes what the P-VOL is: nobody restores either of them, and nobody is
    /// still fetching an older state of the S-VOL.
    pub(super) fn check_content(
        &self,
        pvol: LdevId,
        svol: LdevId,
        this: Option<LinkId>,
    ) -> Result<(), Refused> {
        let others = |ldev| self.registry.of(ldev).filter(move |(id, _)| Some(*id) != this);
        for ldev in [pvol, svol] {
            if let Some((_, pair)) = others(ldev).find(|(id, pair)| self.is_restoring(*id, pair)) {
                return Err(self.in_the_way(ldev, pair, "it is being restored from its S-VOL"));
            }
        }
        let fetching = others(svol).find(|(id, pair)| {
            pair.primary.ldev == svol && pair.flow() == Flow::Fixed && (self.lack)(*id).is_any()
        });
        fetching.map_or(Ok(()), |(_, pair)| {
            Err(self.in_the_way(svol, pair, "its own split copy is still being made"))
        })
    }

    /// Before the P-VOL becomes what the S-VOL is: its other mirrors are split and complete.
    fn check_restore(&self, this: LinkId, restored: &Pair) -> Result<(), Refused> {
        let pvol = restored.primary.ldev;
        for (id, pair) in self.registry.of(pvol).filter(|(id, _)| *id != this) {
            if pair.phase != Phase::Split || (self.lack)(id).is_any() {
                let cause = "a restore needs the other mirrors of the P-VOL in SMPL or PSUS, with their copies complete";
                return Err(self.in_the_way(pvol, pair, cause));
            }
        }
        let svol = restored.secondary.ldev;
        let other =
            self.registry.of(svol).find(|(id, pair)| *id != this && self.is_restoring(*id, pair));
        other.map_or(Ok(()), |(_, pair)| {
            Err(self.in_the_way(svol, pair, "it is being restored from its own S-VOL"))
        })
    }

    /// Before what the S-VOL lacks is given up: nobody waits for it.
    fn check_giving_up(&self, this: LinkId, ended: &Pair) -> Result<(), Refused> {
        if (self.lack)(this).to_target == 0 {
            return Ok(());
        }
        let svol = ended.secondary.ldev;
        let waiting = self
            .registry
            .as_pvol(svol)
            .find(|(id, pair)| pair.flow() == Flow::Fixed && (self.lack)(*id).is_any());
        waiting.map_or(Ok(()), |(_, pair)| {
            Err(self.in_the_way(svol, pair, "its own split copy still takes bytes from this pair"))
        })
    }

    fn is_restoring(&self, id: LinkId, pair: &Pair) -> bool {
        pair.phase == Phase::Restoring || (self.lack)(id).to_source > 0
    }

    fn in_the_way(&self, ldev: LdevId, pair: &Pair, cause: &str) -> Refused {
        CciError::new(Code::ExInvvol)
            .object(self.volume(ldev).to_string())
            .state(format!(
                "{} in its pair of LDEV {} and LDEV {}",
                word(Some(pair.phase)),
                pair.primary.ldev,
                pair.secondary.ldev
            ))
            .cause(cause)
            .advice("wait for that pair with pairevtwait, split it, or dissolve it")
            .into()
    }

    fn planned(
        id: LinkId,
        member: &Member,
        change: &PairChange,
        phase: Option<Phase>,
        effects: &[Effect],
        ctg: Option<u16>,
    ) -> Planned {
        let before = member.found.map(|(_, pair)| pair);
        let (primary, secondary) = match (before, member.svol) {
            (Some(pair), _) => (pair.primary, pair.secondary),
            (None, Some(svol)) => (member.end, svol),
            (None, None) => (member.end, member.end),
        };
        let changes = effects
            .iter()
            .map(|effect| match *effect {
                Effect::Share { equal } => {
                    LinkChange::Share { source: primary.ldev, target: secondary.ldev, equal }
                }
                Effect::Mark { writable } => LinkChange::Mark { writable },
                Effect::Follow => LinkChange::Follow,
                Effect::Restore => LinkChange::Restore,
                Effect::Detach => LinkChange::Detach,
                Effect::Release => LinkChange::Release,
                Effect::Discard => LinkChange::Discard,
            })
            .collect();
        let pair = phase.map(|phase| {
            let mut pair = before.unwrap_or(Pair {
                primary,
                secondary,
                phase,
                pace: model::CopyPace::default(),
                noread: false,
                writable: false,
                ctg,
                snapshot: snapshot_of(change),
            });
            pair.phase = phase;
            match change {
                PairChange::Create(options) => {
                    if before.is_none() {
                        pair.pace = options.pace;
                        pair.noread = options.noread;
                    }
                    pair.writable = options.split.is_some();
                }
                PairChange::Split(options) => {
                    pair.writable = options.writable;
                    pair.pace = options.pace.unwrap_or(pair.pace);
                }
                PairChange::Resync(options) => {
                    pair.pace = options.pace.unwrap_or(pair.pace);
                    pair.noread = options.noread.unwrap_or(pair.noread);
                }
                PairChange::Fail | PairChange::Dissolve => {}
            }
            pair
        });
        Planned { id, pair, changes }
    }

    pub(super) const fn volume(&self, ldev: LdevId) -> VolumeId {
        VolumeId { serial: self.serial, ldev }
    }

    pub(super) const fn end(&self, end: LocalEnd) -> PairEnd {
        PairEnd { volume: self.volume(end.ldev), mu: end.mu }
    }

    /// An error about an end.
    pub(super) fn about(&self, code: Code, end: LocalEnd) -> CciError {
        CciError::new(code).object(self.end(end).to_string())
    }
}

/// The pool of the snapshots that a change makes.
const fn snapshot_of(change: &PairChange) -> Option<u16> {
    match change {
        PairChange::Create(options) => options.pool,
        _ => None,
    }
}

const fn at(n: u32, error: CciError) -> OrderError {
    OrderError { at: Some(n), error }
}
