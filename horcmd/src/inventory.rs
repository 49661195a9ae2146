//! `raidqry` and `raidscan`: storage systems, groups, LUs.

use std::sync::Arc;

use model::{CciError, GroupName, Serial, VolumeId, version};
use protocol::{
    RequestId, codec,
    horcm::{Answer, GroupInfo, Reply, Request},
    orders::{self, Order, ScanFilter, ScanRow},
};

use crate::daemon::Daemon;

/// Answers `Units`: asks each storage system who it is now; `None` for one that does not answer.
///
/// # Errors
/// None: what does not answer is part of the answer.
pub async fn units(daemon: &Daemon) -> Answer {
    let mut asked = tokio::task::JoinSet::new();
    for (index, unit) in daemon.units.all().iter().cloned().enumerate() {
        asked.spawn(async move {
            let answer = unit.order(RequestId::random(), &Order::Identify).await;
            (index, answer)
        });
    }
    let mut units = vec![None; daemon.units.all().len()];
    while let Some(joined) = asked.join_next().await {
        if let Ok((index, Ok(orders::Reply::Identity(identity)))) = joined {
            units[index] = Some(identity);
        }
    }
    Ok(Reply::Units { host: daemon.host.clone(), version: version(), units })
}

/// Answers `RemoteUnits` with what the group's remote instance says of itself.
///
/// # Errors
/// EX_ENOGRP, EX_ENORMT.
pub async fn remote_units(daemon: &Daemon, group: &GroupName) -> Answer {
    let group = daemon.catalog.group(group)?;
    daemon.peers.ask(group, &daemon.logins, &Request::Units).await
}

/// Answers `Groups`: those from the `from`th on that fit.
///
/// # Errors
/// None.
pub fn groups(daemon: &Daemon, from: u32, room: usize) -> Answer {
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    let all = daemon.catalog.groups();
    let mut left = room.saturating_sub(16);
    let mut page = Vec::new();
    for group in all.iter().skip(from) {
        let serial = group.members.first().and_then(|member| member.volume());
        let serial = serial.map(|volume| volume.serial).or_else(|| {
            // A path nobody has found: most likely it was meant for the first unit.
            daemon.units.all().first()?.serial()
        });
        let serial = serial.unwrap_or_default();
        let identity = daemon.units.by_serial(serial).ok().and_then(|unit| unit.identity());
        let info = GroupInfo {
            group: group.name.clone(),
            volumes: u32::try_from(group.members.len()).unwrap_or(u32::MAX),
            serial,
            raid_type: identity.map(|identity| identity.model).unwrap_or_default(),
        };
        let size = codec::encode(&info).len();
        if size > left && !page.is_empty() {
            break;
        }
        left = left.saturating_sub(size);
        page.push(info);
    }
    let end = from.saturating_add(page.len());
    let next = u32::try_from(end).ok().filter(|_| end < all.len());
    Ok(Reply::Groups { groups: page, next })
}

/// Answers `Scan`: LUs of one storage system from the `from`th on that fit.
///
/// # Errors
/// EX_ENOUNT for an unknown serial number, EX_CMDIOE, what the storage system refuses.
pub async fn scan(
    daemon: &Daemon,
    serial: Option<Serial>,
    filter: ScanFilter,
    devices: bool,
    from: u32,
    room: usize,
) -> Answer {
    if devices {
        daemon.devices.settled().await;
    }
    let unit: &Arc<_> = match serial {
        Some(serial) => daemon.units.by_serial(serial)?,
        None => daemon.units.get(0)?,
    };
    let order = Order::Scan { filter, from };
    let reply = unit.order(RequestId::random(), &order).await;
    let (rows, next) = match reply.map_err(|refused| refused.error)? {
        orders::Reply::Scanned { rows, next } => (rows, next),
        _ => return Err(CciError::new(model::Code::ExCmdioe).object(unit.command_device())),
    };
    let serial = unit.serial().unwrap_or_default();
    let device = |row: &ScanRow| {
        let volume = VolumeId { serial, ldev: row.ldev };
        daemon.devices.device_of(volume, Some(row.path))
    };
    let mut names = Vec::new();
    if devices {
        names.extend(rows.iter().map(device));
    }
    let mut left = room.saturating_sub(24);
    let fitting = rows.iter().enumerate().take_while(|(n, row)| {
        let size = codec::encode(row).len() + names.get(*n).map_or(0, |d| codec::encode(d).len());
        let fits = size <= left;
        left = left.saturating_sub(size);
        fits
    });
    let count = fitting.count().max(1);
    let cut = u32::try_from(count).ok().map(|count| from.saturating_add(count));
    let next = if count < rows.len() { cut } else { next };
    names.truncate(count);
    Ok(Reply::Scanned {
        serial,
        rows: rows.into_iter().take(count).collect(),
        devices: names,
        next,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_has_ccis_shape() {
        let version = super::version();
        let digits: Vec<_> = version.split(['-', '/']).map(str::len).collect();
        assert_eq!(digits, [2, 2, 2, 2], "{version}");
    }
}
