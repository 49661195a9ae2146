//! `pairvolchk` and `pairevtwait`: the states of a selection, in one pass.

use std::sync::Arc;

use model::{CciError, Code, DevName, Mode};
use protocol::horcm::{Answer, Row, Selection};

use crate::{
    catalog::{Group, Member},
    daemon::Daemon,
    protection, selection,
    sides::{self, Details},
    tally::Tally,
};

/// How many volumes are looked at together: bounds the memory of one request.
const STEP: usize = 4096;

/// Answers `Summary`.
///
/// # Errors
/// EX_ENOGRP, EX_ENODEV, EX_ENLDEV, EX_INVMUN, EX_CMDIOE; EX_ENORMT when the remote side was
/// asked for and does not answer.
pub async fn summary(
    daemon: &Arc<Daemon>,
    selection: &Selection,
    remote: bool,
    room: usize,
) -> Answer {
    let chosen = selection::choose(&daemon.catalog, &selection.target)?;
    let group = chosen.group;
    let mut tally = Tally::default();
    for members in chosen.members().chunks(STEP) {
        let members: Vec<&Member> = members.iter().collect();
        check_mirrors(daemon, group, &members, selection)?;
        protection::check(daemon, group, &members).await?;
        let names: Vec<DevName> = members.iter().map(|member| member.name.clone()).collect();
        let (locals, remotes) = tokio::join!(
            sides::local(daemon, group, &members, selection, Details::default()),
            async {
                if remote {
                    sides::remote(daemon, group, &names, selection, Details::default()).await
                } else {
                    Ok(Vec::new())
                }
            }
        );
        let (locals, remotes) = (locals?, remotes?);
        for (name, row) in names.iter().zip(&locals) {
            tally.local(name, &status(group, name, row)?);
        }
        for ((name, local), remote) in names.iter().zip(&locals).zip(remotes) {
            let remote = remote.ok_or_else(|| no_partner(group, name))?;
            protection::check_partner(group, name, &remote)?;
            tally.remote(name, &status(group, name, &remote)?);
            tally.compare(local, &remote);
        }
    }
    Ok(tally.reply(group.name.clone(), room))
}

/// Refuses volumes whose MU# is no mirror of local copies, in HOMRCF mode.
///
/// # Errors
/// EX_INVMUN.
pub fn check_mirrors(
    daemon: &Daemon,
    group: &Group,
    members: &[&Member],
    selection: &Selection,
) -> Result<(), CciError> {
    if selection.mode != Mode::Homrcf {
        return Ok(());
    }
    for member in members {
        let end = sides::end_of(group, member, selection)?;
        let mirrors = daemon.mirrors(end);
        if mirrors > 0 && !selection::has_mirror(member, selection, mirrors) {
            return Err(selection::bad_mu(group, member, selection, mirrors));
        }
    }
    Ok(())
}

fn status(
    group: &Group,
    name: &DevName,
    row: &Row,
) -> Result<protocol::orders::EndStatus, CciError> {
    row.status.ok_or_else(|| no_ldev(group, name, row))
}

/// The refusal of a volume whose LDEV is not there.
#[must_use]
pub fn no_ldev(group: &Group, name: &DevName, row: &Row) -> CciError {
    CciError::new(Code::ExEnldev)
        .object(group.object(name, Some(crate::batch::end(row.volume, row.mu))))
        .cause("the storage system has no such LDEV, or no command device leads to it")
        .advice("correct HORCM_DEV, HORCM_LDEV or HORCM_CMD and start the instance again")
}

/// The refusal of a volume that the remote instance does not have.
#[must_use]
pub fn no_partner(group: &Group, name: &DevName) -> CciError {
    CciError::new(Code::ExEnodev)
        .object(group.object(name, None))
        .cause("the remote instance's configuration has no volume of this name in the group")
        .advice("use the same dev_group and dev_name in both configurations")
}
