//! Both sides of volumes: the rows of this instance, and those of the remote one.

use std::sync::Arc;

use model::{CciError, Code, DevName, Mode, PairEnd};
use protocol::{
    horcm::{Reply, Request, Row, Selection},
    orders::EndStatus,
};
use tokio::task::JoinSet;

use crate::{
    batch,
    catalog::{Group, Member},
    daemon::Daemon,
    protection, room, selection,
};

/// How many questions to a peer are under way at once.
const AT_ONCE: usize = 8;

/// What rows tell beside how a volume stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Details {
    /// The guards.
    pub guards: bool,
    /// The device files.
    pub devices: bool,
}

/// The LDEV and mirror of a volume.
///
/// # Errors
/// EX_ENODEV for a volume of HORCM_DEV at whose path no LU was found.
pub fn end_of(group: &Group, member: &Member, selection: &Selection) -> Result<PairEnd, CciError> {
    let volume = member.volume().ok_or_else(|| {
        let path = member.path().map(|path| format!("no LU at {path}"));
        CciError::new(Code::ExEnodev)
            .object(group.object(&member.name, None))
            .cause(path.unwrap_or_default())
            .advice("correct Port#, TargetID and LU# in HORCM_DEV (raidscan shows what is there)")
    })?;
    Ok(batch::end(volume, selection::mu_of(member, selection.mirror)))
}

/// The rows of this instance. In a mode in which a volume has no mirror it shows as SMPL. Of a
/// volume that this host may not use nothing is told but that.
///
/// # Errors
/// EX_ENODEV, EX_INVMUN for a `-FMRCF` mirror that cannot be, EX_CMDIOE.
pub async fn local(
    daemon: &Daemon,
    group: &Group,
    members: &[&Member],
    selection: &Selection,
    details: Details,
) -> Result<Vec<Row>, CciError> {
    protection::settled(daemon).await;
    if details.devices {
        daemon.devices.settled().await;
    }
    let mut ends = Vec::with_capacity(members.len());
    let mut asked = Vec::with_capacity(members.len());
    for member in members {
        let end = end_of(group, member, selection)?;
        let mirrors = daemon.mirrors(end);
        let paired = selection::has_mirror(member, selection, mirrors);
        if !paired && selection.mode == Mode::Homrcf && selection.mirror.is_some() && mirrors > 0 {
            return Err(selection::bad_mu(group, member, selection, mirrors));
        }
        // Mirror 0 always exists: it tells whether the LDEV does.
        let mu = if paired { end.mu } else { model::MuNumber::default() };
        asked.push(batch::end(end.volume, mu));
        ends.push((end, paired));
    }
    let statuses = batch::statuses(&daemon.units, &asked).await?;
    let guards = if details.guards {
        let volumes: Vec<_> = asked.iter().map(|end| end.volume).collect();
        batch::guards(&daemon.units, &volumes).await?
    } else {
        vec![None; members.len()]
    };
    let mut rows = Vec::with_capacity(members.len());
    for (((member, (end, paired)), status), guard) in
        members.iter().zip(ends).zip(statuses).zip(guards)
    {
        let device = details.devices.then(|| daemon.devices.device_of(end.volume, member.path()));
        let row = Row {
            path: member.path(),
            volume: end.volume,
            mu: end.mu,
            device: device.flatten(),
            permitted: true,
            status: status.map(|status| if paired { status } else { EndStatus::SMPL }),
            guard,
        };
        rows.push(if daemon.permits(end.volume) { row } else { protection::hidden(&row) });
    }
    Ok(rows)
}

/// The rows of the remote instance, by name; `None` for a volume it does not have.
///
/// # Errors
/// EX_ENORMT, or what the remote instance refuses.
pub async fn remote(
    daemon: &Arc<Daemon>,
    group: &Group,
    names: &[DevName],
    selection: &Selection,
    details: Details,
) -> Result<Vec<Option<Row>>, CciError> {
    let each = room::rows(daemon.peers.room(group), details.devices);
    let mut rows = vec![None; names.len()];
    let mut under_way = JoinSet::new();
    let mut parts = names.chunks(each).enumerate();
    loop {
        while under_way.len() < AT_ONCE
            && let Some((number, names)) = parts.next()
        {
            let request = Request::Partners {
                group: group.name.clone(),
                mode: selection.mode,
                mirror: selection.mirror,
                guards: details.guards,
                devices: details.devices,
                names: names.to_vec(),
            };
            let (daemon, group, count) = (daemon.clone(), group.name.clone(), names.len());
            under_way.spawn(async move {
                let group = daemon.catalog.group(&group)?;
                let answer = daemon.peers.ask(group, &daemon.logins, &request).await;
                match answer.map_err(|error| of_the_peer(error, group))? {
                    Reply::Partners(list) if list.len() == count => Ok((number * each, list)),
                    _ => Err(misunderstood(group)),
                }
            });
        }
        match under_way.join_next().await {
            None => return Ok(rows),
            Some(Ok(part)) => {
                let (start, list) = part?;
                rows[start..start + list.len()].clone_from_slice(&list);
            }
            Some(Err(_)) => return Err(misunderstood(group)),
        }
    }
}

/// A peer's refusal, told so that nobody looks for its cause on this side. Its EX_ENOGRP would
/// say that there is no such group here, and callers expect no rows with that code (`cci` 8).
fn of_the_peer(error: CciError, group: &Group) -> CciError {
    if error.code != Code::ExEnogrp {
        return error;
    }
    CciError::new(Code::ExEnormt)
        .object(group.name.to_string())
        .cause("the configuration of the remote instance has no such dev_group")
        .advice("add the group there and restart that instance")
}

/// The remote instance has the group and not the volume.
pub fn no_partner(group: &Group, name: &model::DevName) -> CciError {
    CciError::new(Code::ExEnormt)
        .object(format!("{}/{name}", group.name))
        .cause("the configuration of the remote instance has no such dev_name in the group")
        .advice("add the volume there and restart that instance")
}

/// The refusal of an answer that does not fit its question.
fn misunderstood(group: &Group) -> CciError {
    CciError::new(Code::ExEnormt)
        .object(group.name.to_string())
        .cause("the remote instance's answer does not fit the question: another version?")
        .advice("run the same version of horcmd on both hosts")
}
