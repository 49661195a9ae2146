//! Which volumes a request is about (`cci` 2.0: `-g`, `-d`, `-d[g] seq# LDEV# [MU#]`).

use std::{collections::HashSet, ops::Range};

use confparse::Mirror;
use model::{CciError, Code, Mode, MuNumber, VolumeId};
use protocol::horcm::{Selection, Target};

use crate::catalog::{Catalog, Group, Member};

/// The volumes chosen: a range of one group.
#[derive(Debug)]
pub struct Chosen<'a> {
    /// The group.
    pub group: &'a Group,
    /// Which of its volumes; never empty.
    pub range: Range<usize>,
}

impl<'a> Chosen<'a> {
    /// The volumes.
    #[must_use]
    pub fn members(&self) -> &'a [Member] {
        self.group.slice(self.range.clone())
    }
}

/// Finds the volumes a target names.
///
/// # Errors
/// EX_ENOGRP for an unknown group, EX_ENODEV for an unknown volume or device.
pub fn choose<'a>(catalog: &'a Catalog, target: &Target) -> Result<Chosen<'a>, CciError> {
    match target {
        Target::Group { group, volume } => {
            let group = catalog.group(group)?;
            let range = match volume {
                None => 0..group.members.len(),
                Some(name) => one(group.position(name).ok_or_else(|| {
                    CciError::new(Code::ExEnodev)
                        .object(group.object(name, None))
                        .cause("the group has no volume of this name")
                        .advice("list its volumes with pairdisplay -g")
                })?),
            };
            Ok(Chosen { group, range })
        }
        Target::Ldev { volume, mu, whole_group } => first_with(catalog, *volume, *mu, *whole_group),
        Target::Volumes(volumes) => Err(CciError::new(Code::ExInvarg)
            .object(format!("a list of {} volumes", volumes.len()))
            .cause("only changes and guards take volumes of several groups")
            .advice("ask for each group")),
        Target::Device { path, .. } => Err(no_device(path)),
    }
}

/// The refusal of a device file that is no LU of a storage system. [`crate::finding::selection`]
/// turns every other into its LDEV.
#[must_use]
pub fn no_device(path: &str) -> CciError {
    CciError::new(Code::ExEnodev)
        .object(path)
        .cause("this host has no such disk, or it is no LU of a storage system")
        .advice("look with raidscan -find, or name the volume with -g and -d")
}

/// Finds the volumes of a change, which may name some of several groups.
///
/// # Errors
/// As [`choose`]; EX_INVARG for an empty list, or one that names a volume twice.
pub fn choose_all<'a>(catalog: &'a Catalog, target: &Target) -> Result<Vec<Chosen<'a>>, CciError> {
    let Target::Volumes(volumes) = target else {
        return Ok(vec![choose(catalog, target)?]);
    };
    let refuse = |object: String, cause| CciError::new(Code::ExInvarg).object(object).cause(cause);
    if volumes.is_empty() {
        return Err(refuse("a list of volumes".to_owned(), "it is empty"));
    }
    let mut seen = HashSet::new();
    let mut all = Vec::with_capacity(volumes.len());
    for (group, name) in volumes {
        if !seen.insert((group, name)) {
            return Err(refuse(format!("{group}/{name}"), "the list names it twice"));
        }
        let volume = Some(name.clone());
        all.push(choose(catalog, &Target::Group { group: group.clone(), volume })?);
    }
    Ok(all)
}

const fn one(position: usize) -> Range<usize> {
    position..position + 1
}

/// The first group that holds the LDEV; with this MU#, if one is given.
fn first_with(
    catalog: &Catalog,
    volume: VolumeId,
    mu: Option<MuNumber>,
    whole_group: bool,
) -> Result<Chosen<'_>, CciError> {
    let fits =
        |member: &Member| member.volume() == Some(volume) && mu.is_none_or(|mu| member.mu() == mu);
    let found = catalog.groups().iter().find_map(|group| {
        let position = group.members.iter().position(fits)?;
        let range = if whole_group { 0..group.members.len() } else { one(position) };
        Some(Chosen { group, range })
    });
    found.ok_or_else(|| {
        let object = mu.map_or(volume.to_string(), |mu| format!("{volume} MU# {mu}"));
        CciError::new(Code::ExEnodev)
            .object(object)
            .cause("no group of this instance's configuration holds it")
            .advice("add it to HORCM_LDEV and start the instance again")
    })
}

/// On which mirror of a volume a request works: `-FMRCF`'s, or the configured one.
#[must_use]
pub fn mu_of(member: &Member, mirror: Option<MuNumber>) -> MuNumber {
    mirror.unwrap_or_else(|| member.mu())
}

/// Whether a volume can have a pair in this mode: local copies know the mirrors 0 to
/// `mirrors` - 1, and never `h0` to `h3`. Remote copy is not there yet, so in HORC mode nothing
/// is paired.
#[must_use]
pub fn has_mirror(member: &Member, selection: &Selection, mirrors: u16) -> bool {
    let local = selection.mirror.is_some() || matches!(member.mirror, Mirror::Local(_));
    let mu = mu_of(member, selection.mirror);
    selection.mode == Mode::Homrcf && local && mu.get() < mirrors
}

/// The refusal of a MU# that is no mirror of local copies.
#[must_use]
pub fn bad_mu(group: &Group, member: &Member, selection: &Selection, mirrors: u16) -> CciError {
    let cause = match (selection.mirror, member.mirror) {
        (None, Mirror::Remote(n)) => format!("h{n} is a mirror of remote copy (HORC)"),
        _ => format!(
            "MU# {} is none of the mirrors of this storage system: 0 to {}",
            mu_of(member, selection.mirror),
            mirrors.saturating_sub(1)
        ),
    };
    CciError::new(Code::ExInvmun)
        .object(group.object(&member.name, None))
        .cause(cause)
        .advice("correct MU# in the configuration, or choose the mode with -IH or -IM")
}

#[cfg(test)]
mod tests {
    use model::{LdevId, Serial};

    use super::*;
    use crate::catalog::tests::catalog;

    fn by_group(group: &str, volume: Option<&str>) -> Target {
        Target::Group {
            group: group.parse().unwrap(),
            volume: volume.map(|name| name.parse().unwrap()),
        }
    }

    fn by_ldev(ldev: u32, mu: Option<u32>, whole_group: bool) -> Target {
        Target::Ldev {
            volume: VolumeId {
                serial: Serial::new(62496).unwrap(),
                ldev: LdevId::new(ldev).unwrap(),
            },
            mu: mu.and_then(MuNumber::new),
            whole_group,
        }
    }

    const ROWS: [(&str, &str, u32, &str); 4] =
        [("a", "v1", 1, "0"), ("a", "v2", 2, "1"), ("b", "w1", 2, "2"), ("b", "w2", 3, "h1")];

    #[test]
    fn groups_and_volumes_are_found_by_name() {
        let catalog = catalog(&ROWS);
        let chosen = choose(&catalog, &by_group("a", None)).unwrap();
        assert_eq!(chosen.members().len(), 2);
        let chosen = choose(&catalog, &by_group("b", Some("w2"))).unwrap();
        assert_eq!(chosen.members()[0].name.as_str(), "w2");
        let code = |target| choose(&catalog, &target).unwrap_err().code;
        assert_eq!(code(by_group("c", None)), Code::ExEnogrp);
        assert_eq!(code(by_group("a", Some("w1"))), Code::ExEnodev);
    }

    #[test]
    fn an_ldev_leads_to_the_first_group_that_holds_it() {
        let catalog = catalog(&ROWS);
        let name = |target| {
            let chosen = choose(&catalog, &target).unwrap();
            (chosen.group.name.to_string(), chosen.range)
        };
        assert_eq!(name(by_ldev(2, None, false)), ("a".into(), 1..2));
        assert_eq!(name(by_ldev(2, Some(2), false)), ("b".into(), 0..1));
        assert_eq!(name(by_ldev(2, Some(2), true)), ("b".into(), 0..2));
        let error = choose(&catalog, &by_ldev(2, Some(3), false)).unwrap_err();
        assert_eq!(error.code, Code::ExEnodev);
        assert!(error.to_string().contains("LDEV 2 of Serial# 62496 MU# 3"));
    }

    #[test]
    fn a_list_names_volumes_of_several_groups_each_once() {
        let catalog = catalog(&ROWS);
        let list = |names: &[(&str, &str)]| {
            let volume = |(g, v): &(&str, &str)| (g.parse().unwrap(), v.parse().unwrap());
            Target::Volumes(names.iter().map(volume).collect())
        };
        let chosen = choose_all(&catalog, &list(&[("b", "w1"), ("a", "v2")])).unwrap();
        let names: Vec<_> = chosen
            .iter()
            .flat_map(|one| {
                one.members().iter().map(|m| (one.group.name.as_str(), m.name.as_str()))
            })
            .collect();
        assert_eq!(names, [("b", "w1"), ("a", "v2")]);
        let code = |target| choose_all(&catalog, &target).unwrap_err().code;
        assert_eq!(code(list(&[])), Code::ExInvarg);
        assert_eq!(code(list(&[("a", "v1"), ("b", "w1"), ("a", "v1")])), Code::ExInvarg);
        assert_eq!(code(list(&[("a", "v1"), ("c", "v1")])), Code::ExEnogrp);
        assert_eq!(code(list(&[("a", "v1"), ("b", "v1")])), Code::ExEnodev);
        assert_eq!(choose(&catalog, &list(&[("a", "v1")])).unwrap_err().code, Code::ExInvarg);
    }

    #[test]
    fn a_device_file_that_is_no_lu_is_no_volume() {
        let target = Target::Device { path: "/dev/sdb".into(), mu: None, whole_group: false };
        let error = choose(&catalog(&ROWS), &target).unwrap_err();
        assert_eq!(error.code, Code::ExEnodev);
    }

    #[test]
    fn remote_mirrors_and_high_numbers_have_no_local_copies() {
        let catalog = catalog(&ROWS);
        let selection = |mode, mirror: Option<u32>| Selection {
            target: by_group("b", None),
            mode,
            mirror: mirror.and_then(MuNumber::new),
        };
        let members = &catalog.group(&"b".parse().unwrap()).unwrap().members;
        let homrcf = selection(Mode::Homrcf, None);
        assert!(has_mirror(&members[0], &homrcf, 3));
        assert!(!has_mirror(&members[0], &homrcf, 2));
        assert!(!has_mirror(&members[1], &homrcf, 3));
        assert!(has_mirror(&members[1], &selection(Mode::Homrcf, Some(1)), 3));
        assert!(!has_mirror(&members[0], &selection(Mode::Homrcf, Some(3)), 3));
        assert!(!has_mirror(&members[0], &selection(Mode::Horc, None), 3));
    }
}
