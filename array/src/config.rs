//! The TOML file that describes a storage system for `arrayd init` (`docs/array.md`).
//!
//! What serde reads is plain text and numbers; this turns it into the model's words and says
//! which key is wrong where one is.

use std::{
    collections::{HashMap, HashSet},
    net::ToSocketAddrs,
};

use model::{Blocks, Emulation, LdevId, LuPath, Lun, PortAddress, PortName, Serial, TargetId};
use protocol::orders::Security;
use serde::Deserialize;

use crate::{
    hosts::groups::{self, Chap, Credentials, HostGroup, Portal},
    inventory::{Head, Inventory, Ldev, MemberPlan, PoolPlan},
    labels::{self, Labels},
    ports::canonical,
    size::parse_size,
    users::{Authority, User, UserRole, password},
};

/// A file that does not describe a storage system: the key, and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML, or a key that is unknown, missing or of another type.
    #[error("{0}")]
    Toml(Box<toml::de::Error>),
    /// A value that cannot be.
    #[error("{key}: {problem}")]
    Value {
        /// Such as `ldev[2].size`, counted from 1.
        key: String,
        /// What is wrong with it and what was expected.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    serial: u32,
    #[serde(default = "default_model")]
    model: String,
    #[serde(default = "default_microcode")]
    microcode: String,
    #[serde(default = "default_cache")]
    cache_mb: u32,
    ssid: Option<String>,
    #[serde(default)]
    ipcmd: IpcmdSection,
    iscsi: Option<IscsiSection>,
    #[serde(default)]
    pool: Vec<PoolSection>,
    #[serde(default)]
    port: Vec<PortSection>,
    #[serde(default)]
    ldev: Vec<LdevSection>,
    #[serde(default)]
    lun: Vec<LunSection>,
    #[serde(default)]
    user: Vec<UserSection>,
}

fn default_model() -> String {
    "9980V".into()
}

fn default_microcode() -> String {
    "21-14-02/00".into()
}

const fn default_cache() -> u32 {
    16_384
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IpcmdSection {
    #[serde(default = "default_listen")]
    listen: String,
    #[serde(default)]
    security: SecuritySection,
}

fn default_listen() -> String {
    "127.0.0.1:31001".into()
}

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(deny_unknown_fields)]
struct SecuritySection {
    #[serde(default)]
    protection: bool,
    #[serde(default)]
    user_authentication: bool,
    #[serde(default)]
    device_groups: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserSection {
    name: String,
    password_hash: String,
    #[serde(default)]
    roles: Vec<UserRole>,
}

impl Default for IpcmdSection {
    fn default() -> Self {
        Self { listen: default_listen(), security: SecuritySection::default() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IscsiSection {
    listen: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PoolSection {
    id: u16,
    name: Option<String>,
    threshold: Option<u8>,
    raid_group: Option<String>,
    #[serde(default)]
    file: Vec<MemberSection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberSection {
    path: String,
    size: Option<Word>,
    #[serde(default)]
    preallocate: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PortSection {
    name: String,
    #[serde(default)]
    host_group: Vec<HostGroupSection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostGroupSection {
    number: u8,
    name: Option<String>,
    #[serde(default)]
    initiators: Vec<String>,
    chap: Option<ChapSection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChapSection {
    user: String,
    secret: String,
    target_user: Option<String>,
    target_secret: Option<String>,
}

/// A number, or text in one of the field's notations.
#[derive(Deserialize, Clone)]
#[serde(untagged)]
enum Word {
    Number(u64),
    Text(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LdevSection {
    ldev: Word,
    emulation: String,
    size: Option<Word>,
    #[serde(default)]
    command_device: bool,
    security: Option<SecuritySection>,
    pool: Option<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LunSection {
    port: String,
    target: u32,
    lun: u32,
    ldev: Word,
    luns_per_target: Option<u32>,
}

/// Reads a description.
///
/// # Errors
/// The first key that is wrong.
pub fn parse(text: &str) -> Result<Inventory, ConfigError> {
    let file: File = toml::from_str(text).map_err(|error| ConfigError::Toml(Box::new(error)))?;
    let head = head(&file)?;
    let mut pools = pools(&file)?;
    let groups = host_groups(&file)?;
    let numbers: HashSet<_> = groups.iter().map(|group| (group.port, group.number)).collect();
    let portal = portal(&file)?;
    let mut ldevs = HashMap::new();
    for (n, section) in file.ldev.iter().enumerate() {
        add_ldevs(&format!("ldev[{}]", n + 1), section, &pools, &mut ldevs)?;
    }
    complete(&mut pools, &ldevs)?;
    if ldevs.is_empty() {
        return Err(bad("ldev", "a storage system has at least one LDEV"));
    }
    let mut paths = HashMap::new();
    for (n, section) in file.lun.iter().enumerate() {
        add_paths(&format!("lun[{}]", n + 1), section, &numbers, &ldevs, &mut paths)?;
    }
    let mut paths: Vec<(LuPath, LdevId)> = paths.into_iter().collect();
    paths.sort_unstable();
    let labels = labels(&file)?;
    let authority = authority(&file)?;
    Ok(Inventory { head, pools, ldevs, paths, portal, groups, labels, authority })
}

fn bad(key: impl Into<String>, problem: impl Into<String>) -> ConfigError {
    ConfigError::Value { key: key.into(), problem: problem.into() }
}

fn head(file: &File) -> Result<Head, ConfigError> {
    let serial = Serial::new(file.serial).ok_or_else(|| bad("serial", "not a serial number"))?;
    for (key, text) in [("model", &file.model), ("microcode", &file.microcode)] {
        let fits =
            (1..=32).contains(&text.chars().count()) && text.chars().all(|c| c.is_ascii_graphic());
        if !fits {
            return Err(bad(key, "expected 1 to 32 printable characters without blanks"));
        }
    }
    let listen = file.ipcmd.listen.clone();
    check_address("ipcmd.listen", &listen, "127.0.0.1:31001")?;
    Ok(Head {
        serial,
        model: file.model.clone(),
        microcode: file.microcode.clone(),
        cache_mb: file.cache_mb,
        listen,
    })
}

/// What hosts are told of where LDEVs are.
fn labels(file: &File) -> Result<Labels, ConfigError> {
    let mut labels = Labels::default();
    if let Some(text) = &file.ssid {
        let digits = (1..=4).contains(&text.len()).then(|| u16::from_str_radix(text, 16).ok());
        let ssid = digits.flatten().filter(|_| !text.starts_with('+'));
        labels.ssid =
            ssid.ok_or_else(|| bad("ssid", "expected hexadecimal digits such as \"0004\""))?;
    }
    for (n, pool) in file.pool.iter().enumerate() {
        let Some(group) = &pool.raid_group else { continue };
        let fits = (1..=labels::LONGEST).contains(&group.len())
            && group.chars().all(|c| c.is_ascii_graphic());
        if !fits {
            let key = format!("pool[{}].raid_group", n + 1);
            return Err(bad(key, "expected 1 to 8 printable characters, such as \"5:01-04\""));
        }
        labels.raid_groups.insert(pool.id, group.clone());
    }
    Ok(labels)
}

/// The attributes of command devices, and the users.
fn authority(file: &File) -> Result<Authority, ConfigError> {
    let attributes = |section: SecuritySection| Security {
        protection: section.protection,
        user_authentication: section.user_authentication,
        device_groups: section.device_groups,
    };
    let mut authority =
        Authority { ipcmd: attributes(file.ipcmd.security), ..Authority::default() };
    for (n, section) in file.ldev.iter().enumerate() {
        let key = format!("ldev[{}]", n + 1);
        let Some(security) = section.security else { continue };
        if !section.command_device {
            return Err(bad(format!("{key}.security"), "only a command device has attributes"));
        }
        let (first, last) = ldev_range(&key, &section.ldev)?;
        let of = range(first, last).map(|ldev| (ldev, attributes(security)));
        authority.command_devices.extend(of);
    }
    for (n, section) in file.user.iter().enumerate() {
        let key = format!("user[{}]", n + 1);
        let fits = (1..=63).contains(&section.name.chars().count())
            && !section.name.chars().any(|c| c.is_control() || c.is_whitespace());
        if !fits || authority.user(&section.name).is_some() {
            let problem = "expected 1 to 63 printable characters without blanks, each name once";
            return Err(bad(format!("{key}.name"), problem));
        }
        if !password::is_hash(&section.password_hash) {
            let problem = "expected a hash as `arrayd hash-password` prints it";
            return Err(bad(format!("{key}.password_hash"), problem));
        }
        authority.users.push(User {
            name: section.name.clone(),
            hash: section.password_hash.clone(),
            roles: section.roles.clone(),
        });
    }
    let asks = authority.ipcmd.user_authentication
        || authority.command_devices.iter().any(|(_, security)| security.user_authentication);
    if asks && authority.users.is_empty() {
        let problem = "a command device asks for user authentication, and there is nobody";
        return Err(bad("user", problem));
    }
    Ok(authority)
}

fn check_address(key: &str, address: &str, like: &str) -> Result<(), ConfigError> {
    if address.to_socket_addrs().is_ok_and(|mut addresses| addresses.next().is_some()) {
        return Ok(());
    }
    Err(bad(key, format!("{address:?} is not ADDRESS:PORT, such as {like}")))
}

fn portal(file: &File) -> Result<Option<Portal>, ConfigError> {
    let Some(section) = &file.iscsi else {
        return Ok(None);
    };
    check_address("iscsi.listen", &section.listen, "0.0.0.0:3260")?;
    Ok(Some(Portal { listen: section.listen.clone() }))
}

fn check_name(key: &str, name: Option<&String>) -> Result<(), ConfigError> {
    let fits = name.is_none_or(|name| {
        (1..=64).contains(&name.chars().count()) && !name.chars().any(char::is_control)
    });
    if fits { Ok(()) } else { Err(bad(key, "expected 1 to 64 printable characters")) }
}

/// Percent from which on a pool counts as short of space, where nothing is said.
const THRESHOLD: u8 = 80;
/// What a pool has beyond its LDEVs where its file is not described.
const SPARE: u64 = 256 << 20;

fn pools(file: &File) -> Result<Vec<PoolPlan>, ConfigError> {
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
fn complete(pools: &mut [PoolPlan], ldevs: &HashMap<LdevId, Ldev>) -> Result<(), ConfigError> {
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

/// The ports and host groups, each port with its host group 0.
fn host_groups(file: &File) -> Result<Vec<HostGroup>, ConfigError> {
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

/// One LDEV, or `FIRST-LAST`.
fn ldev_range(key: &str, word: &Word) -> Result<(LdevId, LdevId), ConfigError> {
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

fn range(first: LdevId, last: LdevId) -> impl Iterator<Item = LdevId> {
    (first.get()..=last.get()).filter_map(LdevId::new)
}

fn add_ldevs(
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

fn add_paths(
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

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = include_str!("../../etc/array-62496.toml");

    #[test]
    fn the_seeds_array_is_described_by_the_sample() {
        let array = parse(SEED).unwrap();
        assert_eq!(array.head.serial.get(), 62_496);
        let shown: Vec<String> =
            array.paths.iter().map(|(path, ldev)| format!("{path} LDEV {ldev}")).collect();
        assert_eq!(
            shown,
            [
                "CL2-C TargetID 25 LU# 0 LDEV 16",
                "CL2-C TargetID 25 LU# 1 LDEV 18",
                "CL2-C TargetID 25 LU# 2 LDEV 19",
            ]
        );
        let of = |n| array.ldevs[&LdevId::new(n).unwrap()];
        assert!(of(16).command_device && !of(18).command_device);
        assert_eq!(of(18).size, Blocks(4_806_720));
        assert_eq!(of(18).emulation, Emulation::Open3);
        assert_eq!(array.labels.raid_group(&of(18)), "5:01-04");
        assert_eq!(array.labels.ssid(LdevId::new(18).unwrap()), 4);
    }

    #[test]
    fn ranges_describe_large_arrays_in_a_few_lines() {
        let array = parse(
            "serial = 1\n[[port]]\nname = \"CL1-A\"\n\
             [[ldev]]\nldev = \"1000-132071\"\nemulation = \"OPEN-V\"\nsize = \"1 MiB\"\n\
             [[lun]]\nport = \"CL1-A\"\ntarget = 0\nlun = 0\nldev = \"1000-132071\"\n",
        )
        .unwrap();
        assert_eq!((array.ldevs.len(), array.paths.len()), (131_072, 131_072));
        let (path, ldev) = array.paths[2048];
        assert_eq!((path.target.get(), path.lun.get(), ldev.get()), (1, 0, 3048));
    }

    #[test]
    fn every_mistake_names_its_key() {
        let cases = [
            ("serial = 62496", "serial = -1", "serial"),
            ("serial = 62496", "serail = 62496", "serail"),
            ("\"9980V\"", "\"\"", "model"),
            ("\"0004\"", "\"00004\"", "ssid"),
            ("\"0004\"", "\"+004\"", "ssid"),
            ("\"5:01-04\"", "\"5:01-04 a\"", "pool[1].raid_group"),
            ("127.0.0.1:31001", "31001", "ipcmd.listen"),
            ("\"CL2-C\"", "\"CL2-Z\"", "port[1].name"),
            ("\"OPEN-3\"", "\"OPEN-4\"", "ldev[1].emulation"),
            ("ldev = 18\nemulation", "ldev = 16\nemulation", "ldev[2].ldev"),
            ("ldev = 18\nemulation", "ldev = \"19-18\"\nemulation", "ldev[2].ldev"),
            ("ldev = 18\nemulation", "ldev = 262144\nemulation", "ldev[2].ldev"),
            ("ldev = 18\nemulation", "ldev = 18\nsize = \"0 MiB\"\nemulation", "ldev[2].size"),
            ("ldev = 18\nemulation", "ldev = 18\nsize = \"9 cm\"\nemulation", "ldev[2].size"),
            (
                "emulation = \"OPEN-3\"\npool = 0",
                "emulation = \"OPEN-3\"\npool = 7",
                "ldev[2].pool",
            ),
            ("lun = 1\nldev = 18", "lun = 0\nldev = 18", "lun[2]"),
            ("lun = 1\nldev = 18", "lun = 1\nldev = 17", "lun[2].ldev"),
            ("lun = 1\nldev = 18", "lun = 5000\nldev = 18", "lun[2].lun"),
        ];
        for (from, to, key) in cases {
            assert!(SEED.contains(from), "{from}");
            let error = parse(&SEED.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(key), "{to}: {error}");
        }
    }

    const USERS: &str = r#"
serial = 1
[ipcmd]
security = { user_authentication = true }
[[ldev]]
ldev = 1
emulation = "OPEN-3"
command_device = true
security = { protection = true, device_groups = true }
[[user]]
name = "ann"
password_hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
roles = ["local-copy", "provisioning"]
"#;

    #[test]
    fn attributes_belong_to_command_devices_and_users_have_roles() {
        use crate::users::Via;
        let authority = parse(USERS).unwrap().authority;
        let asks = |via| authority.security(via).user_authentication;
        let first = LdevId::new(1).unwrap();
        assert!(asks(Via::Ipcmd) && !asks(Via::Ldev(first)));
        let device = authority.security(Via::Ldev(first));
        assert!(device.protection && device.device_groups);
        let roles = [UserRole::LocalCopy, UserRole::Provisioning];
        assert_eq!(authority.user("ann").unwrap().roles, roles);
        assert!(!format!("{authority:?}").contains("argon2"), "hashes are not shown");
    }

    #[test]
    fn every_mistake_about_users_names_its_key() {
        let cases = [
            ("command_device = true", "command_device = false", "ldev[1].security"),
            ("name = \"ann\"", "name = \"a b\"", "user[1].name"),
            ("$argon2id$", "$argon2$", "user[1].password_hash"),
            ("\"local-copy\"", "\"root\"", "root"),
        ];
        for (from, to, key) in cases {
            assert!(USERS.contains(from), "{from}");
            let error = parse(&USERS.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(key), "{to}: {error}");
        }
        let nobody = USERS.split("[[user]]").next().unwrap();
        assert!(parse(nobody).unwrap_err().to_string().starts_with("user: "));
    }

    const HOSTS: &str = "
serial = 1
[iscsi]
listen = \"127.0.0.1:3260\"
[[port]]
name = \"CL1-A\"
[[port.host_group]]
number = 0
initiators = [\"*\"]
[[port.host_group]]
number = 7
initiators = [\"IQN.2020-01.org.example:a\", \"eui.02004567a425678d\"]
chap = { user = \"a\", secret = \"0123456789ab\", target_user = \"t\", target_secret = \"ba9876543210\" }
[[port]]
name = \"CL2-C\"
[[ldev]]
ldev = 1
emulation = \"OPEN-3\"
";

    #[test]
    fn host_groups_say_who_sees_what_and_how_they_prove_it() {
        let array = parse(HOSTS).unwrap();
        assert_eq!(array.portal.unwrap().listen, "127.0.0.1:3260");
        let shown: Vec<_> = array
            .groups
            .iter()
            .map(|g| (g.port.to_string(), g.number, g.name.as_str(), g.initiators.len()))
            .collect();
        assert_eq!(
            shown,
            [
                ("CL1-A".into(), 0, "1A-G00", 1),
                ("CL1-A".into(), 7, "1A-G07", 2),
                ("CL2-C".into(), 0, "2C-G00", 0),
            ]
        );
        assert_eq!(array.groups[1].initiators[0], "iqn.2020-01.org.example:a");
        let chap = array.groups[1].chap.clone().unwrap();
        assert!(chap.initiator.user == "a" && chap.target.unwrap().secret == "ba9876543210");
    }

    #[test]
    fn every_mistake_about_hosts_names_its_key() {
        let group = "port[1].host_group[2]";
        let cases = [
            ("127.0.0.1:3260", "here", "iscsi.listen".into()),
            ("number = 7", "number = 0", format!("{group}.number")),
            ("number = 7", "number = 255", format!("{group}.number")),
            ("\"eui.02004567a425678d\"", "\"host\"", format!("{group}.initiators")),
            ("\"eui.02004567a425678d\"", "\"*\"", format!("{group}.initiators")),
            ("0123456789ab", "short", format!("{group}.chap.secret")),
            ("user = \"a\"", "user = \"\"", format!("{group}.chap.user")),
            (", target_secret = \"ba9876543210\"", "", format!("{group}.chap")),
            ("ba9876543210", "0123456789ab", format!("{group}.chap")),
        ];
        for (from, to, key) in cases {
            assert!(HOSTS.contains(from), "{from}");
            let error = parse(&HOSTS.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(&key), "{to}: {error}");
        }
    }
}
