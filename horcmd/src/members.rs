//! `pairdisplay` and what a peer asks for it: volumes with both sides, page by page.

use std::sync::Arc;

use model::DevName;
use protocol::{
    codec,
    horcm::{Answer, Member, Reply, Selection},
};

use crate::{
    answer::shorten,
    catalog,
    daemon::Daemon,
    room,
    selection::{self, Chosen},
    sides::{self, Details},
};

/// Answers `Members`: the page of the selection that begins at `from` and fits into `room` bytes.
///
/// Both sides are asked at the same time. A remote side that does not answer is told beside the
/// local rows.
///
/// # Errors
/// EX_ENOGRP, EX_ENODEV, EX_INVMUN, EX_CMDIOE.
pub async fn members(
    daemon: &Arc<Daemon>,
    selection: &Selection,
    remote: bool,
    details: Details,
    from: u32,
    room: usize,
) -> Answer {
    let chosen = selection::choose(&daemon.catalog, &selection.target)?;
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    let (page, next) = page(&chosen, from, room, if remote { 2 } else { 1 }, details.devices);
    let page: Vec<_> = page.iter().collect();
    let names: Vec<DevName> = page.iter().map(|member| member.name.clone()).collect();
    let ask = remote && !names.is_empty();
    let (local, remote) =
        tokio::join!(sides::local(daemon, chosen.group, &page, selection, details), async {
            if ask {
                sides::remote(daemon, chosen.group, &names, selection, details).await
            } else {
                Ok(vec![None; names.len()])
            }
        });
    let local = local?;
    let (remote, remote_error) = match remote {
        Ok(rows) => {
            let missing = rows.iter().position(Option::is_none).filter(|_| ask);
            let error = missing.map(|at| sides::no_partner(chosen.group, &names[at]));
            (rows, error)
        }
        Err(error) => (vec![None; names.len()], Some(error)),
    };
    let members = names.into_iter().zip(local).zip(remote);
    let members = members.map(|((name, local), remote)| Member { name, local, remote });
    let mut reply = Reply::Members {
        group: chosen.group.name.clone(),
        members: members.collect(),
        next,
        remote_error: None,
    };
    if let Some(error) = remote_error {
        // The missing remote rows leave room for the reason they are missing.
        let used = codec::encode(&reply).len() + 2;
        if let Reply::Members { remote_error, .. } = &mut reply {
            *remote_error = Some(shorten(error, room.saturating_sub(used)));
        }
    }
    Ok(reply)
}

/// The volumes from the `from`th of the selection on that fit, at least one, and where the next
/// page begins.
fn page<'a>(
    chosen: &Chosen<'a>,
    from: usize,
    room: usize,
    sides: usize,
    devices: bool,
) -> (&'a [catalog::Member], Option<u32>) {
    let all = chosen.members();
    let rest = all.get(from..).unwrap_or_default();
    let mut left = room.saturating_sub(room::MEMBERS_AROUND);
    let fitting = rest.iter().take_while(|member| {
        let size = room::member(&member.name, sides, devices);
        let fits = size <= left;
        left = left.saturating_sub(size);
        fits
    });
    let count = fitting.count().max(1);
    let page = rest.get(..count).unwrap_or(rest);
    let end = from.saturating_add(page.len());
    let next = u32::try_from(end).ok().filter(|_| end < all.len());
    (page, next)
}

/// Answers a peer's `Partners`: the rows of these volumes in their order.
///
/// # Errors
/// EX_ENOGRP, EX_ENODEV, EX_INVMUN, EX_CMDIOE.
pub async fn partners(
    daemon: &Daemon,
    group: &model::GroupName,
    selection: &Selection,
    details: Details,
    names: &[DevName],
) -> Answer {
    let group = daemon.catalog.group(group)?;
    let positions: Vec<_> = names.iter().map(|name| group.position(name)).collect();
    let known = positions.iter().flatten().map(|at| &group.members[*at]);
    let known: Vec<_> = known.collect();
    let mut found = sides::local(daemon, group, &known, selection, details).await?.into_iter();
    let row = |position: Option<usize>| position.and_then(|_| found.next());
    Ok(Reply::Partners(positions.into_iter().map(row).collect()))
}

#[cfg(test)]
mod tests {
    use protocol::horcm::Target;

    use super::*;
    use crate::catalog::tests::catalog;

    #[test]
    fn pages_follow_each_other_without_gap_and_fit() {
        let names: Vec<_> = (0..500).map(|n| format!("volume{n}")).collect();
        let rows: Vec<_> = names.iter().map(|n| ("g", n.as_str(), 1, "0")).collect();
        let catalog = catalog(&rows);
        let target = Target::Group { group: "g".parse().unwrap(), volume: None };
        let chosen = selection::choose(&catalog, &target).unwrap();
        for room in [0, room::NETWORK, 4_000, room::LOOPBACK] {
            let (mut from, mut seen) = (0, 0);
            loop {
                let (page, next) = page(&chosen, from, room, 2, true);
                assert_eq!(page[0].name.as_str(), format!("volume{from}"));
                let sizes = page.iter().map(|member| room::member(&member.name, 2, true));
                assert!(page.len() == 1 || sizes.sum::<usize>() < room);
                seen += page.len();
                match next {
                    None => break,
                    Some(next) => from = next as usize,
                }
                assert_eq!(from, seen);
            }
            assert_eq!(seen, 500);
        }
    }

    #[test]
    fn a_page_behind_the_end_is_empty() {
        let catalog = catalog(&[("g", "v", 1, "0")]);
        let target = Target::Group { group: "g".parse().unwrap(), volume: None };
        let chosen = selection::choose(&catalog, &target).unwrap();
        for from in [1, 2, usize::MAX] {
            let (page, next) = page(&chosen, from, 1_200, 1, false);
            assert_eq!((page.len(), next), (0, None));
        }
    }
}
