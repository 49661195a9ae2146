//! The TOML file that describes a storage system for `arrayd init` (`docs/array.md`).
//!
//! What serde reads is plain text and numbers; this turns it into the model's words and says
//! which key is wrong where one is.
//!
//! | file | what it holds |
//! |---|---|
//! | `file` | the keys, as serde reads them |
//! | `storage` | pools and LDEVs |
//! | `hosts` | ports, host groups, LUN paths |
//! | `authority` | command devices' attributes, users |

mod authority;
mod file;
mod hosts;
mod storage;

use std::{
    collections::{HashMap, HashSet},
    net::ToSocketAddrs,
};

use model::{LdevId, LuPath, Serial};

use self::file::File;
use crate::{
    inventory::{Head, Inventory},
    labels::{self, Labels},
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

/// Reads a description.
///
/// # Errors
/// The first key that is wrong.
pub fn parse(text: &str) -> Result<Inventory, ConfigError> {
    let file: File = toml::from_str(text).map_err(|error| ConfigError::Toml(Box::new(error)))?;
    let head = head(&file)?;
    let mut pools = storage::pools(&file)?;
    let groups = hosts::host_groups(&file)?;
    let numbers: HashSet<_> = groups.iter().map(|group| (group.port, group.number)).collect();
    let portal = hosts::portal(&file)?;
    let mut ldevs = HashMap::new();
    for (n, section) in file.ldev.iter().enumerate() {
        storage::add_ldevs(&format!("ldev[{}]", n + 1), section, &pools, &mut ldevs)?;
    }
    storage::complete(&mut pools, &ldevs)?;
    if ldevs.is_empty() {
        return Err(bad("ldev", "a storage system has at least one LDEV"));
    }
    let mut paths = HashMap::new();
    for (n, section) in file.lun.iter().enumerate() {
        hosts::add_paths(&format!("lun[{}]", n + 1), section, &numbers, &ldevs, &mut paths)?;
    }
    let mut paths: Vec<(LuPath, LdevId)> = paths.into_iter().collect();
    paths.sort_unstable();
    let labels = labels(&file)?;
    let authority = authority::authority(&file)?;
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

fn check_address(key: &str, address: &str, like: &str) -> Result<(), ConfigError> {
    if address.to_socket_addrs().is_ok_and(|mut addresses| addresses.next().is_some()) {
        return Ok(());
    }
    Err(bad(key, format!("{address:?} is not ADDRESS:PORT, such as {like}")))
}

fn check_name(key: &str, name: Option<&String>) -> Result<(), ConfigError> {
    let fits = name.is_none_or(|name| {
        (1..=64).contains(&name.chars().count()) && !name.chars().any(char::is_control)
    });
    if fits { Ok(()) } else { Err(bad(key, "expected 1 to 64 printable characters")) }
}

#[cfg(test)]
mod tests {
    use model::{Blocks, Emulation};

    use super::*;
    use crate::users::UserRole;

    const SEED: &str = include_str!("../../../etc/array-62496.toml");

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
