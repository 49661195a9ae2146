//! Ports, host groups and LUN paths.

use std::collections::{HashMap, HashSet};

use model::{LdevId, LuPath, Lun, PortAddress, PortName, TargetId};

use super::{
    ConfigError, bad, check_address, check_name,
    file::{ChapSection, File, HostGroupSection, LunSection},
    storage::{ldev_range, range},
};
use crate::{
    hosts::groups::{self, Chap, Credentials, HostGroup, Portal},
    inventory::Ldev,
    ports::canonical,
};

pub(super) fn portal(file: &File) -> Result<Option<Portal>, ConfigError> {
    let Some(section) = &file.iscsi else {
        return Ok(None);
    };
    check_address("iscsi.listen", &section.listen, "0.0.0.0:3260")?;
    Ok(Some(Portal { listen: section.listen.clone() }))
}

/// The ports and host groups, each port with its host group 0.
pub(super) fn host_groups(file: &File) -> Result<Vec<HostGroup>, ConfigError> {
    let mut groups: Vec<HostGroup> = Vec::new();
    for (n, section) in file.port.iter().enumerate() {
        let key = format!("port[{}]", n + 1);
        let port = section
            .name
            .parse::<PortName>()
            .map_err(|error| bad(format!("{key}.name"), error.to_string()))?;
        if groups.iter().any(|group| group.port == port) {
            return Err(bad(format!("{key}.name"), format!("{port} is described twice")));
        }
        let mut named = HashSet::new();
        let mut initiators = HashSet::new();
        for (m, section) in section.host_group.iter().enumerate() {
            let key = format!("{key}.host_group[{}]", m + 1);
            if section.number > 254 || !named.insert(section.number) {
                let problem = format!("{} is above 254 or described twice", section.number);
                return Err(bad(format!("{key}.number"), problem));
            }
            let group = host_group(&key, port, section)?;
            if let Some(name) =
                group.initiators.iter().find(|name| !initiators.insert((*name).clone()))
            {
                let problem = format!("{name} is in another host group of {port} already");
                return Err(bad(format!("{key}.initiators"), problem));
            }
            groups.push(group);
        }
        if !named.contains(&0) {
            let (name, initiators) = (group_name(port, 0), Vec::new());
            groups.push(HostGroup { port, number: 0, name, initiators, chap: None });
        }
    }
    Ok(groups)
}

/// As the field names them: `2C-G00`.
fn group_name(port: PortName, number: u8) -> String {
    format!("{}-G{number:02}", port.to_string().replace("CL", "").replace('-', ""))
}

fn host_group(
    key: &str,
    port: PortName,
    section: &HostGroupSection,
) -> Result<HostGroup, ConfigError> {
    check_name(&format!("{key}.name"), section.name.as_ref())?;
    let initiators: Vec<String> =
        section.initiators.iter().map(|name| name.to_ascii_lowercase()).collect();
    if initiators.len() > groups::MAX_INITIATORS {
        let problem = format!("a host group has at most {} initiators", groups::MAX_INITIATORS);
        return Err(bad(format!("{key}.initiators"), problem));
    }
    let is_name = |name: &&String| *name == groups::ANYBODY || groups::is_iscsi_name(name);
    if let Some(name) = initiators.iter().find(|name| !is_name(name)) {
        let problem = format!(
            "{name:?} is neither an iSCSI name, such as iqn.1993-08.org.debian:01:host, nor \"*\" for anybody"
        );
        return Err(bad(format!("{key}.initiators"), problem));
    }
    let chap = section.chap.as_ref().map(|chap| self::chap(&format!("{key}.chap"), chap));
    let name = section.name.clone().unwrap_or_else(|| group_name(port, section.number));
    Ok(HostGroup { port, number: section.number, name, initiators, chap: chap.transpose()? })
}

fn chap(key: &str, section: &ChapSection) -> Result<Chap, ConfigError> {
    let credentials = |user_key: &str, user: &String, secret_key: &str, secret: &String| {
        let user_fits =
            (1..=groups::LONGEST_NAME).contains(&user.len()) && !user.chars().any(char::is_control);
        if !user_fits {
            return Err(bad(format!("{key}.{user_key}"), "expected 1 to 223 printable bytes"));
        }
        if !groups::SECRET.contains(&secret.len()) {
            return Err(bad(format!("{key}.{secret_key}"), "a CHAP secret has 12 to 64 bytes"));
        }
        Ok(Credentials { user: user.clone(), secret: secret.clone() })
    };
    let initiator = credentials("user", &section.user, "secret", &section.secret)?;
    let target = match (&section.target_user, &section.target_secret) {
        (None, None) => None,
        (Some(user), Some(secret)) => {
            Some(credentials("target_user", user, "target_secret", secret)?)
        }
        _ => return Err(bad(key, "mutual CHAP needs target_user and target_secret")),
    };
    if target.as_ref().is_some_and(|target| target.secret == initiator.secret) {
        return Err(bad(key, "the two secrets of mutual CHAP must differ (RFC 7143, 12.1.3)"));
    }
    Ok(Chap { initiator, target })
}

pub(super) fn add_paths(
    key: &str,
    section: &LunSection,
    groups: &HashSet<(PortName, u8)>,
    ldevs: &HashMap<LdevId, Ldev>,
    paths: &mut HashMap<LuPath, LdevId>,
) -> Result<(), ConfigError> {
    let (first, last) = ldev_range(key, &section.ldev)?;
    let port = section
        .port
        .parse::<PortAddress>()
        .map_err(|error| bad(format!("{key}.port"), error.to_string()))?;
    if !groups.contains(&(port.port, port.host_group.unwrap_or(0))) {
        let problem = format!("no [[port]] describes {port}");
        return Err(bad(format!("{key}.port"), problem));
    }
    let per_target = section.luns_per_target.unwrap_or(2048);
    if per_target == 0 || section.lun >= per_target {
        let problem = format!("LUN {} is not below luns_per_target, {per_target}", section.lun);
        return Err(bad(format!("{key}.lun"), problem));
    }
    for (n, id) in (0..).zip(range(first, last)) {
        if !ldevs.contains_key(&id) {
            return Err(bad(format!("{key}.ldev"), format!("no [[ldev]] describes LDEV {id}")));
        }
        let position = section.lun + n;
        let target = section.target.saturating_add(position / per_target);
        let (target, lun) = (TargetId::new(target), Lun::new(position % per_target));
        let Some((target, lun)) = target.zip(lun) else {
            let problem = format!("target and LUN of LDEV {id} go beyond {}", Lun::MAX);
            return Err(bad(key, problem));
        };
        let path = canonical(LuPath { port, target, lun });
        if let Some(other) = paths.insert(path, id) {
            return Err(bad(key, format!("LDEV {other} stands at {path} already")));
        }
    }
    Ok(())
}
