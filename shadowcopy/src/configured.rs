//! The pairs that the instance of the P-VOLs names, and the mirrors that all volumes of a set have.

use std::time::Duration;

use model::{CciResult, DevName, GroupName, Instance, Mode, MuNumber, VolumeId};
use protocol::{
    Attached, Home,
    attached::unexpected,
    horcm::{Reply, Request, Selection, Target},
};

use crate::{
    failure::{Checked, Failure},
    message,
};

/// How long a daemon may be silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// A volume of the configuration, as the daemon lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defined {
    /// `dev_group`.
    pub group: GroupName,
    /// `dev_name`.
    pub name: DevName,
    /// The volume.
    pub volume: VolumeId,
    /// Its mirror.
    pub mirror: MuNumber,
}

/// Every volume that an instance names, in the order of its configuration.
///
/// # Errors
/// EX_ATTHOR, EX_COMERR; what the daemon says.
pub fn defined(home: &Home, instance: Instance) -> CciResult<Vec<Defined>> {
    let mut daemon = Attached::new(home, instance, PATIENCE)?;
    let mut groups = Vec::new();
    let mut from = Some(0);
    while let Some(first) = from {
        let Reply::Groups { groups: page, next } = daemon.ask(&Request::Groups { from: first })?
        else {
            return Err(unexpected(instance));
        };
        groups.extend(page.into_iter().map(|info| info.group));
        from = next;
    }
    let mut defined = Vec::new();
    for group in groups {
        let target = Target::Group { group: group.clone(), volume: None };
        let mut from = Some(0);
        while let Some(first) = from {
            let selection = Selection { target: target.clone(), mode: Mode::Homrcf, mirror: None };
            let request = Request::Members {
                selection,
                remote: false,
                guards: false,
                devices: false,
                from: first,
            };
            let Reply::Members { members, next, .. } = daemon.ask(&request)? else {
                return Err(unexpected(instance));
            };
            defined.extend(members.into_iter().map(|member| Defined {
                group: group.clone(),
                name: member.name,
                volume: member.local.volume,
                mirror: member.local.mu,
            }));
            from = next;
        }
    }
    Ok(defined)
}

/// The mirrors that all of these volumes have, in the order of the configuration.
///
/// # Errors
/// KAVX0101-E naming a volume without any, or where they have none in common.
pub fn common(
    defined: &[Defined],
    volumes: &[VolumeId],
    instance: Instance,
) -> Checked<Vec<MuNumber>> {
    let has = |volume: VolumeId, mirror: MuNumber| {
        defined.iter().any(|known| known.volume == volume && known.mirror == mirror)
    };
    let mut mirrors: Vec<MuNumber> = Vec::new();
    for known in defined.iter().filter(|known| volumes.contains(&known.volume)) {
        if !mirrors.contains(&known.mirror) {
            mirrors.push(known.mirror);
        }
    }
    let advice = format!(
        "give every volume of the backup a line with the same MU# in HORCM_DEV of HORCM {instance}"
    );
    for volume in volumes {
        if !mirrors.iter().any(|mirror| has(*volume, *mirror)) {
            return Err(Failure::new(message::GENERATION)
                .object(volume.to_string())
                .cause(format!("the configuration of HORCM {instance} names no pair of it"))
                .action(advice)
                .into());
        }
    }
    let shown = mirrors.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    mirrors.retain(|mirror| volumes.iter().all(|volume| has(*volume, *mirror)));
    if mirrors.is_empty() {
        return Err(Failure::new(message::GENERATION)
            .object(format!("MU# {shown}"))
            .cause("no mirror is configured for all volumes of the backup")
            .action(advice)
            .into());
    }
    Ok(mirrors)
}

#[cfg(test)]
mod tests {
    use model::{LdevId, Serial};

    use super::*;

    fn volume(ldev: u32) -> VolumeId {
        VolumeId { serial: Serial::new(62496).unwrap(), ldev: LdevId::new(ldev).unwrap() }
    }

    fn common_of(rows: &[(u32, u16)], volumes: &[u32]) -> Checked<Vec<u16>> {
        let row = |(ldev, mu): &(u32, u16)| Defined {
            group: "snap".parse().unwrap(),
            name: format!("dev{ldev}_{mu}").parse().unwrap(),
            volume: volume(*ldev),
            mirror: MuNumber::new((*mu).into()).unwrap(),
        };
        let rows: Vec<Defined> = rows.iter().map(row).collect();
        let volumes: Vec<VolumeId> = volumes.iter().map(|ldev| volume(*ldev)).collect();
        let found = common(&rows, &volumes, Instance::numbered(50).unwrap())?;
        Ok(found.into_iter().map(MuNumber::get).collect())
    }

    #[test]
    fn a_generation_is_a_mirror_of_all_volumes() {
        let rows = [(18, 2), (18, 0), (20, 0), (18, 1), (20, 1), (22, 2)];
        assert_eq!(common_of(&rows, &[18]).unwrap(), [2, 0, 1], "as they are configured");
        assert_eq!(common_of(&rows, &[18, 20]).unwrap(), [0, 1]);
        let refused = common_of(&rows, &[20, 22]).unwrap_err();
        assert_eq!(refused.object.as_deref(), Some("MU# 0, 1, 2"));
    }

    #[test]
    fn a_volume_without_a_pair_is_named() {
        let refused = common_of(&[(18, 0)], &[18, 30]).unwrap_err();
        assert!(refused.object.unwrap().contains("LDEV 30"));
    }
}
