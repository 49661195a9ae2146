//! Pools and LDEVs.

use std::collections::{HashMap, HashSet};

use model::{Blocks, Emulation, LdevId};

use super::{
    ConfigError, bad, check_name,
    file::{File, LdevSection, MemberSection, Word},
};
use crate::{
    inventory::{Ldev, MemberPlan, PoolPlan},
    size::parse_size,
};

/// Percent from which on a pool counts as short of space, where nothing is said.
const THRESHOLD: u8 = 80;
/// What a pool has beyond its LDEVs where its file is not described.
const SPARE: u64 = 256 << 20;

pub(super) fn pools(file: &File) -> Result<Vec<PoolPlan>, ConfigError> {
    let mut pools: Vec<PoolPlan> = Vec::new();
    for (n, pool) in file.pool.iter().enumerate() {
        let key = format!("pool[{}]", n + 1);
        check_name(&format!("{key}.name"), pool.name.as_ref())?;
        if pool.id > 127 || pools.iter().any(|other| other.id == pool.id) {
            let problem = format!("pool {} is above 127 or described twice", pool.id);
            return Err(bad(format!("{key}.id"), problem));
        }
        let threshold = pool.threshold.unwrap_or(THRESHOLD);
        if !(1..=95).contains(&threshold) {
            return Err(bad(format!("{key}.threshold"), "expected 1 to 95 percent"));
        }
        if pool.file.len() > 64 {
            return Err(bad(format!("{key}.file"), "a pool has at most 64 files"));
        }
        let mut members = Vec::new();
        for (m, member) in pool.file.iter().enumerate() {
            members.push(member_plan(&format!("{key}.file[{}]", m + 1), member)?);
        }
        let name = pool.name.clone().unwrap_or_else(|| format!("pool{}", pool.id));
        pools.push(PoolPlan { id: pool.id, name, threshold, members });
    }
    if pools.is_empty() {
        let (name, members) = ("pool0".into(), Vec::new());
        pools.push(PoolPlan { id: 0, name, threshold: THRESHOLD, members });
    }
    let mut paths = HashSet::new();
    for member in pools.iter().flat_map(|pool| &pool.members) {
        if !paths.insert(&member.path) {
            return Err(bad("pool.file.path", format!("{} is described twice", member.path)));
        }
    }
    Ok(pools)
}

fn member_plan(key: &str, member: &MemberSection) -> Result<MemberPlan, ConfigError> {
    if member.path.is_empty() || member.path.chars().any(char::is_control) {
        return Err(bad(format!("{key}.path"), "expected the path of a file or block device"));
    }
    let bytes = match &member.size {
        None => None,
        Some(Word::Number(blocks)) => Some(blocks.saturating_mul(Blocks::SIZE)),
        Some(Word::Text(text)) => {
            let blocks = parse_size(text).map_err(|problem| bad(format!("{key}.size"), problem))?;
            Some(blocks.bytes())
        }
    };
    if bytes.is_some_and(|bytes| crate::store::segments_in(bytes) == 0) {
        return Err(bad(format!("{key}.size"), "a file of a pool has at least 66 MiB"));
    }
    Ok(MemberPlan { path: member.path.clone(), bytes, preallocate: member.preallocate })
}

/// Gives pools without a described file one that can hold all of their LDEVs.
pub(super) fn complete(
    pools: &mut [PoolPlan],
    ldevs: &HashMap<LdevId, Ldev>,
) -> Result<(), ConfigError> {
    for pool in pools.iter_mut().filter(|pool| pool.members.is_empty()) {
        let of = ldevs.values().filter(|ldev| ldev.pool == pool.id && !ldev.command_device);
        let page = crate::store::PAGE as u64;
        let bytes: u64 = of.map(|ldev| ldev.size.bytes().next_multiple_of(page)).sum();
        // A segment's checksums, and the part of one that is left over.
        let bytes = bytes + bytes / 100 + SPARE;
        if bytes > 1 << 50 {
            let problem = "its LDEVs are larger than 1 PiB together; describe its files";
            return Err(bad(format!("pool {}", pool.id), problem));
        }
        let path = format!("pool-{}.data", pool.id);
        pool.members.push(MemberPlan { path, bytes: Some(bytes), preallocate: false });
    }
    Ok(())
}

/// One LDEV, or `FIRST-LAST`.
pub(super) fn ldev_range(key: &str, word: &Word) -> Result<(LdevId, LdevId), ConfigError> {
    let fail = |problem: String| bad(format!("{key}.ldev"), problem);
    let one = |word: &str| word.trim().parse::<LdevId>().map_err(|e| fail(e.to_string()));
    let (first, last) = match word {
        Word::Number(number) => {
            let id = u32::try_from(*number).ok().and_then(LdevId::new);
            let id = id.ok_or_else(|| fail(format!("{number} is above {}", LdevId::MAX)))?;
            (id, id)
        }
        Word::Text(text) => match text.split_once('-') {
            Some((first, last)) => (one(first)?, one(last)?),
            None => (one(text)?, one(text)?),
        },
    };
    if first > last {
        return Err(fail(format!("the range {first}-{last} runs backwards")));
    }
    Ok((first, last))
}

pub(super) fn range(first: LdevId, last: LdevId) -> impl Iterator<Item = LdevId> {
    (first.get()..=last.get()).filter_map(LdevId::new)
}

pub(super) fn add_ldevs(
    key: &str,
    section: &LdevSection,
    pools: &[PoolPlan],
    ldevs: &mut HashMap<LdevId, Ldev>,
) -> Result<(), ConfigError> {
    let (first, last) = ldev_range(key, &section.ldev)?;
    let emulation = section
        .emulation
        .parse::<Emulation>()
        .map_err(|error| bad(format!("{key}.emulation"), error.to_string()))?;
    let size = match (&section.size, emulation.fixed_size()) {
        (None, Some(fixed)) => fixed,
        (None, None) => {
            return Err(bad(format!("{key}.size"), format!("{emulation} needs a size")));
        }
        (Some(Word::Number(blocks)), _) => Blocks(*blocks),
        (Some(Word::Text(text)), _) => {
            parse_size(text).map_err(|problem| bad(format!("{key}.size"), problem))?
        }
    };
    // 60 TiB, the largest LDEV of the field; it also keeps every offset well within 63 bits.
    const LARGEST: u64 = (60 << 40) / Blocks::SIZE;
    if !(1..=LARGEST).contains(&size.0) {
        let problem = format!("{size} blocks; expected 1 to {LARGEST} blocks of 512 bytes");
        return Err(bad(format!("{key}.size"), problem));
    }
    let pool = section.pool.or_else(|| pools.first().map(|pool| pool.id)).unwrap_or(0);
    if !pools.iter().any(|known| known.id == pool) {
        return Err(bad(format!("{key}.pool"), format!("there is no pool {pool}")));
    }
    for id in range(first, last) {
        let ldev = Ldev { size, emulation, command_device: section.command_device, pool };
        if ldevs.insert(id, ldev).is_some() {
            return Err(bad(format!("{key}.ldev"), format!("LDEV {id} is described twice")));
        }
    }
    Ok(())
}
