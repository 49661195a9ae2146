//! `paircreate`, `pairsplit`, `pairresync`, `raidvchkset`: orders that change.
//!
//! The request id of the command goes along to the storage system, which carries out each id
//! once. Nothing here looks at pair states: a resend must lead to the same order, so that the
//! storage system can recognise it, and the state machine is there alone.

use std::sync::Arc;

use model::{CciError, Code, DevName, Guard, LdevId, Mode, PairEnd, Serial, Side};
use protocol::{
    RequestId,
    horcm::{Answer, Reply, Selection},
    orders::{Order, OrderError, PairChange},
};

use crate::{
    batch,
    catalog::Member,
    daemon::Daemon,
    plan::{self, Part, UnitPlan},
    protection,
    selection::{self, Chosen},
    sides::{self, Details},
    summary,
};

/// The most pairs of one change (`Order::Change`).
const MAX_PAIRS: usize = 65_536;

/// Carries out a change of the pairs of a selection: one order for each storage system.
///
/// # Errors
/// EX_ENOSUP in HORC mode; EX_ENOGRP, EX_ENODEV, EX_ENLDEV, EX_INVMUN, EX_EVOLCE, EX_ENQSER,
/// EX_EXTCTG, EX_ENOUNT for volumes; EX_ENORMT, EX_CMDIOE when somebody does not answer; what
/// the storage system refuses, with the volume it refused.
pub async fn change(
    daemon: &Arc<Daemon>,
    id: RequestId,
    selection: &Selection,
    change: PairChange,
    primary: Option<Side>,
    local_only: bool,
) -> Answer {
    if selection.mode == Mode::Horc {
        return Err(CciError::new(Code::ExEnosup)
            .cause("remote copy (HORC mode) is not there yet")
            .advice("for local copies set HORCC_MRCF=1, or say -IM"));
    }
    let mut parts = Vec::new();
    for chosen in permitted(daemon, selection).await? {
        parts.extend(parts_of(daemon, &chosen, selection, local_only).await?);
        if parts.len() > MAX_PAIRS {
            return Err(CciError::new(Code::ExErange)
                .object(chosen.group.name.to_string())
                .cause(format!("that makes more than {MAX_PAIRS} volumes"))
                .advice("divide the group"));
        }
    }
    let plans = plan::plan(&parts, &change, primary)?;
    check_units(daemon, &parts, &plans).await?;
    let mut done: Vec<Serial> = Vec::new();
    for plan in plans {
        let unit = daemon.units.by_serial(plan.serial)?;
        let order = Order::Change { change, pairs: plan.pairs };
        let answer = unit.order(id, &order).await;
        let part = |at: u32| parts.get(*plan.parts.get(usize::try_from(at).ok()?)?);
        let object = |at| part(at).map(Part::object);
        answer.map_err(|refused| told(refused, object, &done))?;
        done.push(plan.serial);
    }
    Ok(Reply::Done)
}

/// The volumes that are to change, every one of which this host may use.
///
/// # Errors
/// As [`selection::choose_all`] and [`protection::check`].
async fn permitted<'a>(
    daemon: &'a Daemon,
    selection: &Selection,
) -> Result<Vec<Chosen<'a>>, CciError> {
    let all = selection::choose_all(&daemon.catalog, &selection.target)?;
    for chosen in &all {
        let members: Vec<&Member> = chosen.members().iter().collect();
        protection::check(daemon, chosen.group, &members).await?;
    }
    Ok(all)
}

/// The volumes of one group with their partners.
async fn parts_of<'a>(
    daemon: &Arc<Daemon>,
    chosen: &Chosen<'a>,
    selection: &Selection,
    local_only: bool,
) -> Result<Vec<Part<'a>>, CciError> {
    let group = chosen.group;
    let members: Vec<&Member> = chosen.members().iter().collect();
    summary::check_mirrors(daemon, group, &members, selection)?;
    let locals = members
        .iter()
        .map(|member| Ok((member.name.clone(), sides::end_of(group, member, selection)?)))
        .collect::<Result<Vec<_>, CciError>>()?;
    let remotes = if local_only {
        None
    } else {
        let names: Vec<DevName> = locals.iter().map(|(name, _)| name.clone()).collect();
        Some(sides::remote(daemon, group, &names, selection, Details::default()).await?)
    };
    plan::join(group, locals, remotes)
}

/// Every storage system must be known; and when there are several, each must answer for its
/// volumes before the first one changes: one order cannot span them.
async fn check_units(
    daemon: &Daemon,
    parts: &[Part<'_>],
    plans: &[UnitPlan],
) -> Result<(), CciError> {
    for plan in plans {
        daemon.units.by_serial(plan.serial)?;
    }
    if plans.len() < 2 {
        return Ok(());
    }
    let ends: Vec<PairEnd> = parts.iter().map(|part| part.local).collect();
    let statuses = batch::statuses(&daemon.units, &ends).await?;
    for (part, status) in parts.iter().zip(statuses) {
        if status.is_none() {
            return Err(CciError::new(Code::ExEnldev)
                .object(part.object())
                .cause("its storage system has no such LDEV")
                .advice("correct the configuration and start the instance again"));
        }
    }
    Ok(())
}

/// Sets or clears the guard of this side's volumes.
///
/// # Errors
/// EX_ENOGRP, EX_ENODEV, EX_ENOUNT, EX_CMDIOE; what the storage system refuses.
pub async fn set_guard(
    daemon: &Daemon,
    id: RequestId,
    selection: &Selection,
    guard: Guard,
    retention_days: Option<u32>,
) -> Answer {
    let all = permitted(daemon, selection).await?;
    let members =
        all.iter().flat_map(|chosen| chosen.members().iter().map(|member| (chosen.group, member)));
    let mut units: Vec<(Serial, Vec<LdevId>, Vec<String>)> = Vec::new();
    for (group, member) in members {
        let end = sides::end_of(group, member, selection)?;
        daemon.units.by_serial(end.volume.serial)?;
        let position = units.iter().position(|unit| unit.0 == end.volume.serial);
        let position = position.unwrap_or_else(|| {
            units.push((end.volume.serial, Vec::new(), Vec::new()));
            units.len() - 1
        });
        units[position].1.push(end.volume.ldev);
        units[position].2.push(group.object(&member.name, Some(end)));
    }
    let mut done = Vec::new();
    for (serial, ldevs, names) in units {
        let order = Order::SetGuard { ldevs, guard, retention_days };
        let answer = daemon.units.by_serial(serial)?.order(id, &order).await;
        let object = |at| names.get(usize::try_from(at).ok()?).cloned();
        answer.map_err(|refused| told(refused, object, &done))?;
        done.push(serial);
    }
    Ok(Reply::Done)
}

/// A refusal in the words of the configuration, and what had changed before it.
fn told(refused: OrderError, object: impl Fn(u32) -> Option<String>, done: &[Serial]) -> CciError {
    let mut error = refused.error;
    if let Some(member) = refused.at.and_then(object) {
        error.object = Some(match error.object.take() {
            // The array may speak of the other volume of the pair: then that is the object.
            Some(volume) if !member.contains(&volume) => {
                let name = member.split(" (").next().unwrap_or(&member);
                format!("{name}: {volume}")
            }
            _ => member,
        });
    }
    if !done.is_empty() {
        let done: Vec<_> = done.iter().map(ToString::to_string).collect();
        let before = format!("Serial# {} had carried it out before", done.join(", "));
        let cause = error.cause.map(|cause| format!("{cause}; {before}"));
        error.cause = Some(cause.unwrap_or(before));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_volume_and_what_was_done_before() {
        let refused = OrderError {
            at: Some(1),
            error: CciError::new(Code::ExInvstp).object("LDEV 2 of Serial# 7").cause("SMPL"),
        };
        let names = ["g/a".to_owned(), "g/b (LDEV 2 of Serial# 7 MU# 0)".to_owned()];
        let object = |at: u32| names.get(at as usize).cloned();
        let error = told(refused.clone(), object, &[Serial::new(7).unwrap()]);
        assert_eq!(error.object.as_deref(), Some("g/b (LDEV 2 of Serial# 7 MU# 0)"));
        let cause = error.cause.unwrap();
        assert_eq!(cause, "SMPL; Serial# 7 had carried it out before");
        let elsewhere = OrderError { at: Some(9), ..refused };
        assert_eq!(told(elsewhere, object, &[]).object.as_deref(), Some("LDEV 2 of Serial# 7"));
    }

    #[test]
    fn a_refusal_about_the_other_volume_of_the_pair_names_that_volume() {
        let error = CciError::new(Code::ExEnqsiz).object("LDEV 30 of Serial# 7");
        let refused = OrderError { at: Some(0), error };
        let object = |_| Some("bs/x (LDEV 22 of Serial# 7 MU# 1)".to_owned());
        let error = told(refused, object, &[]);
        assert_eq!(error.object.as_deref(), Some("bs/x: LDEV 30 of Serial# 7"));
    }
}
