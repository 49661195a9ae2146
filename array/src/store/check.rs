//! Verifying all of a store: that records, pages and their accounts agree, and that every block
//! matches its checksum.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, PoisonError},
};

use super::{
    StoreError,
    engine::PoolStore,
    leaf::{BLOCK, BLOCKS, Generation, LEAF, Leaf, PAGE, PageId, Piece},
    records::LeafKey,
    run::Slice,
    space::{SEGMENT, SegmentId},
    volume::VolumeNumber,
};

/// Findings listed at most; the others are counted.
const LISTED: usize = 1000;

/// How far a check has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Pages verified.
    pub pages: u64,
    /// Pages there are.
    pub of: u64,
}

/// What a check found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Leaf records.
    pub leaves: u64,
    /// Pages that volumes and their copies refer to.
    pub pages: u64,
    /// Blocks that match their checksums.
    pub blocks: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What is wrong beyond what is listed.
    pub more: u64,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A block that does not match its checksum.
    Block {
        /// The pool.
        pool: u16,
        /// The page.
        page: PageId,
        /// The block of it.
        block: usize,
        /// Where it stands: volumes, and the byte of each.
        volumes: Vec<(VolumeNumber, u64)>,
    },
    /// Records that contradict each other, or are none.
    Records(String),
    /// A page that is marked as in use, but that no record has.
    Leak {
        /// The pool.
        pool: u16,
        /// The page.
        page: PageId,
    },
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Block { pool, page, block, volumes } => {
                write!(f, "pool {pool}: block {block} of page {page:?} is damaged")?;
                for (volume, offset) in volumes {
                    write!(f, "; it is byte {offset} of LDEV {volume}")?;
                }
                Ok(())
            }
            Self::Records(what) => write!(f, "meta.redb: {what}"),
            Self::Leak { pool, page } => {
                write!(
                    f,
                    "pool {pool}: page {page:?} is marked as in use, but nothing refers to it"
                )
            }
        }
    }
}

impl Report {
    fn add(&mut self, finding: Finding) {
        if self.findings.len() < LISTED {
            self.findings.push(finding);
        } else {
            self.more += 1;
        }
    }

    /// Whether everything is as it should be.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Where pages stand: volumes, and the byte of each.
type Places = BTreeMap<(u16, PageId), Vec<(VolumeNumber, u64)>>;

/// Who has a page: its birth, by page, for each member of each pool. 0 is nobody.
type Births = BTreeMap<(u16, u8), Vec<Generation>>;

impl PoolStore {
    /// Verifies everything. Nothing else may use the store meanwhile.
    ///
    /// # Errors
    /// When the records cannot be read at all.
    pub fn check(&self, see: &mut dyn FnMut(Progress)) -> Result<Report, StoreError> {
        self.flush_all()?;
        let mut report = Report::default();
        let mut births: Births = BTreeMap::new();
        for pool in self.pools().values() {
            for (member, segments) in pool.space().members() {
                let pages = segments as usize * SEGMENT as usize;
                births.insert((pool.id(), member), vec![0; pages]);
            }
        }
        let keys = self.check_owners(&mut report, &mut births)?;
        self.check_index(&mut report, &keys)?;
        self.check_references(&mut report, &births)?;
        self.check_space(&mut report, &births);
        self.check_blocks(&mut report, see)?;
        Ok(report)
    }

    fn check_owners(
        &self,
        report: &mut Report,
        births: &mut Births,
    ) -> Result<HashSet<LeafKey>, StoreError> {
        let branches = self.branches.read().unwrap_or_else(PoisonError::into_inner);
        let next = self.next.load(std::sync::atomic::Ordering::SeqCst);
        let mut keys = HashSet::new();
        self.records.each_leaf(&mut |key, leaf| {
            report.leaves += 1;
            keys.insert(key);
            let name = format!(
                "leaf {} of branch {}, generation {}",
                key.leaf, key.branch, key.generation
            );
            let (Some(row), leaf) = (branches.get(key.branch), leaf) else {
                report.add(Finding::Records(format!("{name}: there is no such branch")));
                return Ok(());
            };
            let leaf = match leaf {
                Ok(leaf) => leaf,
                Err(error) => {
                    report.add(Finding::Records(error.to_string()));
                    return Ok(());
                }
            };
            if leaf.since > key.generation || key.generation > next {
                report.add(Finding::Records(format!("{name}: its generations are impossible")));
            }
            for (at, piece) in leaf.owned() {
                let member = births.get_mut(&(row.pool, piece.page.member()));
                let place = member.and_then(|pages| pages.get_mut(piece.page.number() as usize));
                match place {
                    Some(birth) if *birth == 0 => *birth = piece.birth,
                    Some(_) => report.add(Finding::Records(format!(
                        "{name}: page {:?} of entry {at} belongs to another record too",
                        piece.page
                    ))),
                    None => report.add(Finding::Records(format!(
                        "{name}: the pool has no page {:?}",
                        piece.page
                    ))),
                }
            }
            Ok(())
        })?;
        Ok(keys)
    }

    fn check_index(&self, report: &mut Report, keys: &HashSet<LeafKey>) -> Result<(), StoreError> {
        let mut indexed = 0;
        self.records.each_indexed(&mut |key| {
            indexed += 1;
            if !keys.contains(&key) {
                report
                    .add(Finding::Records(format!("the index names {key:?}, which is not there")));
            }
        })?;
        if indexed < keys.len() {
            let missing = keys.len() - indexed;
            report.add(Finding::Records(format!("the index lacks {missing} records")));
        }
        Ok(())
    }

    /// Every page that a record refers to has the birth that its owner says.
    fn check_references(&self, report: &mut Report, births: &Births) -> Result<(), StoreError> {
        let branches = self.branches.read().unwrap_or_else(PoisonError::into_inner);
        self.records.each_leaf(&mut |key, leaf| {
            let (Some(row), Ok(leaf)) = (branches.get(key.branch), leaf) else {
                return Ok(());
            };
            let pieces = || leaf.entries.iter().flat_map(|entry| entry.pieces());
            let lost = pieces().filter(Piece::is_lost).count();
            if lost > 0 {
                report.add(Finding::Records(format!(
                    "leaf {} of branch {}, generation {}: {lost} pages are lost",
                    key.leaf, key.branch, key.generation
                )));
            }
            for piece in pieces().filter(|piece| !piece.is_lost()) {
                let member = births.get(&(row.pool, piece.page.member()));
                let birth = member.and_then(|pages| pages.get(piece.page.number() as usize));
                if birth != Some(&piece.birth) {
                    report.add(Finding::Records(format!(
                        "{key:?} refers to page {:?} of generation {}, which nobody has",
                        piece.page, piece.birth
                    )));
                }
            }
            Ok(())
        })
    }

    fn check_space(&self, report: &mut Report, births: &Births) {
        for ((pool, member), pages) in births {
            let Some(found) = self.pools().get(pool) else {
                continue;
            };
            for (number, pages) in (0u32..).zip(pages.chunks(SEGMENT as usize)) {
                let segment = SegmentId { member: *member, number };
                let bits = found.space().bits(segment).unwrap_or_default();
                for (n, birth) in (0u32..).zip(pages) {
                    let mapped = bits[n as usize / 64] >> (n % 64) & 1 == 1;
                    let page = PageId::new(*member, number * SEGMENT + n);
                    report.pages += u64::from(*birth > 0);
                    match (mapped, *birth > 0) {
                        (true, false) => report.add(Finding::Leak { pool: *pool, page }),
                        (false, true) => report.add(Finding::Records(format!(
                            "page {page:?} of pool {pool} is in use, but marked as free"
                        ))),
                        _ => {}
                    }
                }
            }
        }
    }

    fn check_blocks(
        &self,
        report: &mut Report,
        see: &mut dyn FnMut(Progress),
    ) -> Result<(), StoreError> {
        let mut progress = Progress { pages: 0, of: report.pages };
        let mut damaged: Vec<(u16, PageId, usize)> = Vec::new();
        let pools: BTreeMap<u32, u16> = {
            let branches = self.branches.read().unwrap_or_else(PoisonError::into_inner);
            branches.iter().map(|(id, row)| (id, row.pool)).collect()
        };
        let mut blocks = 0;
        self.records.each_leaf(&mut |key, leaf| {
            let pool = pools.get(&key.branch).and_then(|pool| self.pools().get(pool));
            let (Some(pool), Ok(leaf)) = (pool, leaf) else {
                return Ok(());
            };
            for (_, piece) in leaf.owned() {
                let bad = verify(pool, piece);
                blocks += u64::from(piece.mask.count_ones()) - bad.len() as u64;
                damaged.extend(bad.into_iter().map(|block| (pool.id(), piece.page, block)));
                progress.pages += 1;
                if progress.pages.is_multiple_of(1024) {
                    see(progress);
                }
            }
            Ok(())
        })?;
        see(progress);
        report.blocks = blocks;
        let places =
            self.places(&damaged.iter().map(|(pool, page, _)| (*pool, *page)).collect())?;
        for (pool, page, block) in damaged {
            let volumes = places.get(&(pool, page)).into_iter().flatten();
            let offset = (block * BLOCK) as u64;
            let volumes = volumes.map(|(volume, at)| (*volume, at + offset)).collect();
            report.add(Finding::Block { pool, page, block, volumes });
        }
        Ok(())
    }

    /// Which volumes hold these pages, and at which byte each.
    pub(super) fn places(&self, pages: &HashSet<(u16, PageId)>) -> Result<Places, StoreError> {
        let mut places = Places::new();
        if pages.is_empty() {
            return Ok(places);
        }
        let mut volumes: Vec<_> = self.volumes().values().cloned().collect();
        volumes.sort_by_key(|volume| volume.number);
        for volume in volumes {
            let holds = volume.gate.read().unwrap_or_else(PoisonError::into_inner).clone();
            let Some(head) = holds.head() else {
                continue;
            };
            for leaf in self.leaves_of(head.branch, volume.pages())? {
                let cell = self.cell(head, leaf)?;
                let state = cell.state.read().unwrap_or_else(PoisonError::into_inner);
                for (at, entry) in (0u64..).zip(state.leaf.entries.iter()) {
                    for piece in entry.pieces() {
                        if pages.contains(&(head.pool.id(), piece.page)) {
                            let page = u64::from(leaf) * LEAF as u64 + at;
                            let place = (volume.number, page * PAGE as u64);
                            places.entry((head.pool.id(), piece.page)).or_default().push(place);
                        }
                    }
                }
            }
        }
        Ok(places)
    }

    /// The leaves that a branch, or one that it comes from, has records of.
    fn leaves_of(&self, branch: u32, pages: u64) -> Result<Vec<u32>, StoreError> {
        let path: Vec<_> = {
            let branches = self.branches.read().unwrap_or_else(PoisonError::into_inner);
            branches.path(branch).collect()
        };
        let mut leaves = HashSet::new();
        for (id, limit) in path {
            let found = self.records.changed(id, (0, 0), limit, usize::MAX)?;
            leaves.extend(found.into_iter().map(|(_, leaf)| leaf));
        }
        let last = pages.div_ceil(LEAF as u64);
        let mut leaves: Vec<u32> =
            leaves.into_iter().filter(|leaf| u64::from(*leaf) < last).collect();
        leaves.sort_unstable();
        Ok(leaves)
    }

    /// Looks through the segments that a crash left with writes in flight, so that their blocks
    /// have checksums that mean something again.
    ///
    /// # Errors
    /// The disk's answer.
    pub fn resum(&self) -> Result<(), StoreError> {
        let mut suspects = HashSet::new();
        for pool in self.pools().values() {
            for (number, member) in pool.members() {
                let of = |segment| (pool.id(), SegmentId { member: number, number: segment });
                suspects.extend(member.intent().suspects().into_iter().map(of));
            }
        }
        if suspects.is_empty() {
            return Ok(());
        }
        let pools: BTreeMap<u32, u16> = {
            let branches = self.branches.read().unwrap_or_else(PoisonError::into_inner);
            branches.iter().map(|(id, row)| (id, row.pool)).collect()
        };
        let mut pieces: Vec<(u16, Piece)> = Vec::new();
        self.records.each_leaf(&mut |key, leaf: Result<Leaf, StoreError>| {
            if let (Some(pool), Ok(leaf)) = (pools.get(&key.branch), leaf) {
                let owned = leaf.owned().map(|(_, piece)| (*pool, piece));
                pieces.extend(
                    owned.filter(|(pool, p)| suspects.contains(&(*pool, SegmentId::of(p.page)))),
                );
            }
            Ok(())
        })?;
        for (pool, piece) in pieces {
            if let Some(pool) = self.pools().get(&pool) {
                // A block that does not match gets the checksum of what is there. One that the
                // disk does not give stays as it is.
                verify(pool, piece);
            }
        }
        self.flush_all()?;
        for (pool, segment) in suspects {
            let member = self.pools().get(&pool).map(|pool| pool.members()).unwrap_or_default();
            if let Some((_, member)) = member.iter().find(|(number, _)| *number == segment.member) {
                member.intent().clear(segment.number);
            }
        }
        Ok(())
    }
}

/// The blocks of a piece that do not match their checksums.
pub(super) fn verify(pool: &Arc<super::pool::Pool>, piece: Piece) -> Vec<usize> {
    let mut bytes = vec![0; PAGE];
    let whole = Slice::new(piece.page, piece.birth, &(0..BLOCKS), 0);
    if piece.mask == super::leaf::WHOLE && pool.read(&[whole], &mut bytes).is_ok() {
        return Vec::new();
    }
    let blocks = (0..BLOCKS).filter(|block| piece.has(*block));
    blocks.filter(|block| pool.read_block(piece, *block, &mut bytes[..BLOCK]).is_err()).collect()
}
