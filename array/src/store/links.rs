//! Links between volumes: which bits a write or a change touches. Pure bookkeeping without I/O.
//!
//! Three bitmaps a link, over the slots of its volumes:
//! * `to_target`: the target has yet to fetch the slot; it holds what the source holds.
//! * `to_source`: the source has yet to fetch the slot; it holds what the target holds.
//! * `changed`: the slot was changed on either side since the target was fixed.
//!
//! No slot is in two of them. Before what a volume holds in a slot changes, everyone who still
//! has to fetch that slot from it does so: that is [`Links::before_write`].

use std::collections::{BTreeSet, HashMap};

use model::LdevId;

use super::{LinkChange, bits::Bits};

/// Names a link, and the pair it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);

/// What a link does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Both volumes hold the same; the source leads.
    Follow,
    /// The target is fixed at a point in time.
    Fixed,
    /// Suspended; both volumes hold what their files hold.
    Detached,
}

/// Which bitmap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Map {
    ToTarget,
    ToSource,
    Changed,
}

impl Map {
    pub(super) const ALL: [Self; 3] = [Self::ToTarget, Self::ToSource, Self::Changed];

    /// Its number in the key of a stored piece.
    pub(super) const fn number(self) -> u64 {
        match self {
            Self::ToTarget => 0,
            Self::ToSource => 1,
            Self::Changed => 2,
        }
    }
}

/// A link and its bitmaps.
#[derive(Debug, Clone)]
pub struct Link {
    /// The volume that is copied.
    pub source: LdevId,
    /// The copy.
    pub target: LdevId,
    /// What it does.
    pub flow: Flow,
    /// Whether hosts may write to the target while it is fixed.
    pub writable: bool,
    pub(super) to_target: Bits,
    pub(super) to_source: Bits,
    pub(super) changed: Bits,
}

impl Link {
    /// A link without differences, over volumes of `slots` slots.
    #[must_use]
    pub const fn new(
        source: LdevId,
        target: LdevId,
        flow: Flow,
        writable: bool,
        slots: u64,
    ) -> Self {
        Self {
            source,
            target,
            flow,
            writable,
            to_target: Bits::empty(slots),
            to_source: Bits::empty(slots),
            changed: Bits::empty(slots),
        }
    }

    pub(super) const fn map(&self, map: Map) -> &Bits {
        match map {
            Map::ToTarget => &self.to_target,
            Map::ToSource => &self.to_source,
            Map::Changed => &self.changed,
        }
    }

    pub(super) const fn map_mut(&mut self, map: Map) -> &mut Bits {
        match map {
            Map::ToTarget => &mut self.to_target,
            Map::ToSource => &mut self.to_source,
            Map::Changed => &mut self.changed,
        }
    }

    const fn is_busy(&self) -> bool {
        !self.to_target.is_empty() || !self.to_source.is_empty()
    }

    /// That no slot is in two bitmaps, and that only a split link notes changes.
    pub(super) fn is_sound(&self) -> bool {
        let apart = !self.to_target.meets(&self.to_source)
            && !self.changed.meets(&self.to_target)
            && !self.changed.meets(&self.to_source);
        apart
            && match self.flow {
                Flow::Follow => self.changed.is_empty(),
                Flow::Fixed => true,
                Flow::Detached => !self.is_busy(),
            }
    }
}

/// One slot to be fetched, and one bit to be changed with or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fetch {
    pub(super) link: LinkId,
    /// [`Map::ToTarget`] or [`Map::ToSource`].
    pub(super) map: Map,
    pub(super) slot: u64,
}

/// One bit to be set or cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flip {
    pub(super) link: LinkId,
    pub(super) map: Map,
    pub(super) slot: u64,
    pub(super) on: bool,
}

/// What must be done before a write.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Fetched first, onto the disk. Their order does not matter: fetching changes no content.
    pub(super) fetches: Vec<Fetch>,
    /// Made durable next, all at once.
    pub(super) flips: Vec<Flip>,
}

/// All links of an array.
#[derive(Debug, Default)]
pub(super) struct Links {
    by_id: HashMap<LinkId, Link>,
    into: HashMap<LdevId, LinkId>,
    out: HashMap<LdevId, Vec<LinkId>>,
    busy: BTreeSet<LinkId>,
}

impl Links {
    pub(super) fn get(&self, id: LinkId) -> Option<&Link> {
        self.by_id.get(&id)
    }

    pub(super) const fn busy(&self) -> &BTreeSet<LinkId> {
        &self.busy
    }

    /// Puts a link in or in place of its older self; `None` takes it out.
    pub(super) fn put(&mut self, id: LinkId, link: Option<Link>) {
        if let Some(old) = self.by_id.remove(&id) {
            self.into.remove(&old.target);
            if let Some(out) = self.out.get_mut(&old.source) {
                out.retain(|other| *other != id);
                if out.is_empty() {
                    self.out.remove(&old.source);
                }
            }
            self.busy.remove(&id);
        }
        if let Some(link) = link {
            self.into.insert(link.target, id);
            self.out.entry(link.source).or_default().push(id);
            if link.is_busy() {
                self.busy.insert(id);
            }
            self.by_id.insert(id, link);
        }
    }

    /// Changes one bit.
    pub(super) fn flip(&mut self, flip: Flip) {
        if let Some(link) = self.by_id.get_mut(&flip.link) {
            link.map_mut(flip.map).put(flip.slot, flip.on);
            if link.is_busy() {
                self.busy.insert(flip.link);
            } else {
                self.busy.remove(&flip.link);
            }
        }
    }

    /// The link whose target the volume is.
    pub(super) fn incoming(&self, ldev: LdevId) -> Option<(LinkId, &Link)> {
        let id = *self.into.get(&ldev)?;
        Some((id, self.by_id.get(&id)?))
    }

    /// The links whose source the volume is.
    pub(super) fn outgoing(&self, ldev: LdevId) -> impl Iterator<Item = (LinkId, &Link)> {
        let ids = self.out.get(&ldev).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| Some((*id, self.by_id.get(id)?)))
    }

    /// Whether hosts may write to the volume.
    pub(super) fn takes_writes(&self, ldev: LdevId) -> bool {
        self.incoming(ldev).is_none_or(|(_, link)| link.flow == Flow::Fixed && link.writable)
    }

    /// The volume whose file has what `ldev` holds in `slot`.
    ///
    /// The walk ends: a slot is never to be fetched in both directions of a link, and the links
    /// of a volume form a tree.
    pub(super) fn resolve(&self, ldev: LdevId, slot: u64) -> LdevId {
        let mut at = ldev;
        for _ in 0..=self.by_id.len() {
            let above = self.incoming(at).filter(|(_, link)| link.to_target.get(slot));
            let below = || self.outgoing(at).find(|(_, link)| link.to_source.get(slot));
            at = match above {
                Some((_, link)) => link.source,
                None => match below() {
                    Some((_, link)) => link.target,
                    None => return at,
                },
            };
        }
        at
    }

    /// What must be done before a host's write to `slot` of `ldev`, added to `plan`.
    pub(super) fn before_write(&self, ldev: LdevId, slot: u64, plan: &mut Plan) {
        if let Some((id, link)) = self.incoming(ldev) {
            self.settle(id, link, slot, plan);
            note(id, link, slot, plan);
        }
        self.spread(ldev, slot, plan);
    }

    /// The same for the links below a volume whose content changes.
    fn spread(&self, ldev: LdevId, slot: u64, plan: &mut Plan) {
        for (id, link) in self.outgoing(ldev) {
            match link.flow {
                Flow::Follow => {
                    if link.to_source.get(slot) {
                        fetch(id, Map::ToSource, slot, plan);
                    }
                    self.spread(link.target, slot, plan);
                    if !link.to_target.get(slot) {
                        plan.flips.push(Flip { link: id, map: Map::ToTarget, slot, on: true });
                    }
                }
                Flow::Fixed | Flow::Detached => {
                    self.settle(id, link, slot, plan);
                    note(id, link, slot, plan);
                }
            }
        }
    }

    /// Fetches a slot in whichever direction it is still to go.
    #[expect(clippy::unused_self, reason = "reads as one family with its callers")]
    fn settle(&self, id: LinkId, link: &Link, slot: u64, plan: &mut Plan) {
        for map in [Map::ToTarget, Map::ToSource] {
            if link.map(map).get(slot) {
                fetch(id, map, slot, plan);
            }
        }
    }

    /// The links as they are after `changes`; only those that differ are listed. `slots` tells
    /// the slots of a volume.
    pub(super) fn after(
        &self,
        changes: &[(LinkId, LinkChange)],
        slots: impl Fn(LdevId) -> u64,
    ) -> HashMap<LinkId, Option<Link>> {
        let mut next = Next {
            links: self,
            staged: HashMap::with_capacity(changes.len()),
            fresh: HashMap::new(),
        };
        for (id, change) in changes {
            next.apply(*id, *change, &slots);
        }
        next.staged
    }
}

fn fetch(link: LinkId, map: Map, slot: u64, plan: &mut Plan) {
    plan.fetches.push(Fetch { link, map, slot });
    plan.flips.push(Flip { link, map, slot, on: false });
}

fn note(id: LinkId, link: &Link, slot: u64, plan: &mut Plan) {
    if !link.changed.get(slot) {
        plan.flips.push(Flip { link: id, map: Map::Changed, slot, on: true });
    }
}

/// Links while a batch of changes is being worked out.
struct Next<'a> {
    links: &'a Links,
    staged: HashMap<LinkId, Option<Link>>,
    /// Links that the batch makes, by their source.
    fresh: HashMap<LdevId, Vec<LinkId>>,
}

impl Next<'_> {
    fn get(&self, id: LinkId) -> Option<&Link> {
        match self.staged.get(&id) {
            Some(staged) => staged.as_ref(),
            None => self.links.get(id),
        }
    }

    fn apply(&mut self, id: LinkId, change: LinkChange, slots: impl Fn(LdevId) -> u64) {
        if let LinkChange::Share { source, target, equal } = change {
            let mut link = Link::new(source, target, Flow::Follow, false, slots(source));
            if !equal {
                link.to_target = Bits::full(link.to_target.slots());
            }
            let gone = Bits::full(link.to_target.slots());
            self.staged.insert(id, Some(link));
            self.fresh.entry(source).or_default().push(id);
            self.content_changed(target, &gone, id);
            return;
        }
        let Some(mut link) = self.get(id).cloned() else {
            return;
        };
        let slots = link.changed.slots();
        let changed = std::mem::replace(&mut link.changed, Bits::empty(slots));
        match change {
            LinkChange::Share { .. } => {}
            LinkChange::Mark { writable } => {
                link.changed = changed;
                link.flow = Flow::Fixed;
                link.writable = writable;
                self.staged.insert(id, Some(link));
            }
            LinkChange::Follow => {
                link.flow = Flow::Follow;
                link.to_target.add(&changed);
                let target = link.target;
                self.staged.insert(id, Some(link));
                self.content_changed(target, &changed, id);
            }
            LinkChange::Restore => {
                link.flow = Flow::Follow;
                link.to_source.add(&changed);
                let source = link.source;
                self.staged.insert(id, Some(link));
                self.content_changed(source, &changed, id);
            }
            LinkChange::Detach | LinkChange::Release => {
                let to_target = std::mem::replace(&mut link.to_target, Bits::empty(slots));
                let to_source = std::mem::replace(&mut link.to_source, Bits::empty(slots));
                let (source, target) = (link.source, link.target);
                link.changed = changed;
                link.changed.add(&to_target);
                link.changed.add(&to_source);
                link.flow = Flow::Detached;
                let left = (change == LinkChange::Detach).then_some(link);
                self.staged.insert(id, left);
                self.content_changed(target, &to_target, id);
                self.content_changed(source, &to_source, id);
            }
        }
    }

    /// What `ldev` holds in `slots` is another thing from now on, by an act on `actor`. The layer
    /// above has seen to it that nobody still has to fetch one of them from it for keeps.
    fn content_changed(&mut self, ldev: LdevId, slots: &Bits, actor: LinkId) {
        if slots.is_empty() {
            return;
        }
        let above = self.links.incoming(ldev).map(|(id, _)| id);
        let below: Vec<LinkId> = self
            .links
            .outgoing(ldev)
            .map(|(id, _)| id)
            .chain(self.fresh.get(&ldev).into_iter().flatten().copied())
            .collect();
        for id in below.into_iter().chain(above) {
            let Some(mut link) = self.get(id).filter(|_| id != actor).cloned() else {
                continue;
            };
            let mut news = slots.clone();
            news.subtract(&link.to_source);
            if link.flow == Flow::Follow && link.source == ldev {
                link.to_target.add(&news);
                let target = link.target;
                self.staged.insert(id, Some(link));
                self.content_changed(target, slots, id);
            } else {
                news.subtract(&link.to_target);
                link.changed.add(&news);
                self.staged.insert(id, Some(link));
            }
        }
    }
}
