//! What the array offers by iSCSI: a target for each port, to the initiators of its host groups.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::Arc,
};

use model::{LdevId, PortName};
use scsi::{
    device::{LogicalUnits, Target},
    iscsi::{
        Account, Admission, Authentication, Credentials, Directory, Refusal, Scope, Target as Offer,
    },
    medium::Inventory,
    nexus::TargetPort,
};

use super::{
    groups::{self, Chap, HostGroup, group_of},
    mailbox::Mailbox,
    queue::Queues,
    units::{Media, PortUnits},
};
use crate::array::Array;

/// The tag of the one portal group.
const PORTAL_GROUP: u16 = 1;

/// The ports of an array, for hosts.
pub struct Hosts {
    array: Arc<Array>,
    /// By the name of the target, which puts them in the order of the ports' names.
    ports: BTreeMap<String, Port>,
}

struct Port {
    name: PortName,
    address: TargetPort,
    target: Arc<Target>,
}

/// The iSCSI name of a port: `iqn.2026-11.internal.raidmanager:62496.cl2-c`. `internal` is kept
/// for private use (ICANN, 2024), so that it is nobody's.
#[must_use]
pub fn target_name(serial: u32, port: PortName) -> String {
    format!("iqn.2026-11.internal.raidmanager:{serial}.{port}").to_ascii_lowercase()
}

/// The relative target port identifier: clusters 1 to 9 and A to G, ports A to R each. It does not
/// change when ports are added.
fn relative(port: PortName) -> u16 {
    let (cluster, letter): (u8, u8) = port.into();
    let cluster = if cluster.is_ascii_digit() { cluster - b'1' } else { cluster - b'A' + 9 };
    u16::from(cluster) * 18 + u16::from(letter - b'A') + 1
}

impl Hosts {
    /// The ports of an array, whose I/O goes through these queues.
    ///
    /// # Errors
    /// The answer of the operating system, where no thread can be started.
    pub fn new(array: &Arc<Array>, queues: Arc<Queues>) -> io::Result<Self> {
        let mut mailboxes = HashMap::new();
        for ldev in array.command_devices() {
            mailboxes.insert(ldev, Mailbox::start(Arc::clone(array), ldev)?);
        }
        let media = Arc::new(Media::new(Arc::clone(array), queues, mailboxes));
        let serial = array.head().serial.get();
        let mut names: Vec<PortName> = array.host_groups().iter().map(|group| group.port).collect();
        names.sort_unstable();
        names.dedup();
        let address = |port: &PortName| TargetPort {
            name: target_name(serial, *port),
            portal_group: PORTAL_GROUP,
            relative: relative(*port),
        };
        let all: Vec<TargetPort> = names.iter().map(address).collect();
        let units = Arc::new(LogicalUnits::default());
        let ports = names.into_iter().zip(&all).map(|(name, address)| {
            let inventory: Arc<dyn Inventory> = Arc::new(PortUnits::new(Arc::clone(&media), name));
            let (units, label) = (Arc::clone(&units), name.to_string());
            let target = Target::new(inventory, units, address.clone(), &label, all.clone());
            let target = Arc::new(target);
            (address.name.clone(), Port { name, address: address.clone(), target })
        });
        Ok(Self { ports: ports.collect(), array: Arc::clone(array) })
    }

    fn group(&self, port: PortName, initiator: &str) -> Option<&HostGroup> {
        group_of(self.array.host_groups(), port, initiator)
    }
}

fn credentials(of: &groups::Credentials) -> Credentials {
    Credentials { name: of.user.clone(), secret: of.secret.clone().into_bytes() }
}

fn account(of: &Chap) -> Account {
    let target = of.target.as_ref().map(credentials);
    Account { initiator: credentials(&of.initiator), target }
}

impl Directory for Hosts {
    type Service = Target;

    fn targets(&self, initiator: &str) -> Vec<Offer> {
        let seen = self.ports.values().filter(|port| self.group(port.name, initiator).is_some());
        seen.map(|port| Offer { name: port.address.name.clone(), portal_group: PORTAL_GROUP })
            .collect()
    }

    fn admit(&self, target: &str, initiator: &str) -> Result<Admission<Target>, Refusal> {
        let port = self.ports.get(target).ok_or(Refusal::NotFound)?;
        // Who is in no host group is not told that there is such a target.
        self.group(port.name, initiator).ok_or(Refusal::NotFound)?;
        Ok(Admission { service: Arc::clone(&port.target), port: port.address.clone() })
    }

    /// At a target as its host group for the initiator says. Discovery asks for CHAP where any
    /// host group for the initiator does, and takes the account of any of those: which targets it
    /// is after is not known then.
    fn authentication(&self, scope: Scope<'_>, initiator: &str) -> Authentication {
        let ports: Vec<&Port> = match scope {
            Scope::Target(name) => self.ports.get(name).into_iter().collect(),
            Scope::Discovery => self.ports.values().collect(),
        };
        let groups = ports.into_iter().filter_map(|port| self.group(port.name, initiator));
        let mut accounts: Vec<Account> = Vec::new();
        for account in groups.filter_map(|group| group.chap.as_ref()).map(account) {
            if !accounts.contains(&account) {
                accounts.push(account);
            }
        }
        if accounts.is_empty() { Authentication::None } else { Authentication::Chap(accounts) }
    }
}

impl Array {
    fn command_devices(&self) -> Vec<LdevId> {
        let devices = self.ldevs.iter().filter(|(_, ldev)| ldev.command_device);
        devices.map(|(ldev, _)| *ldev).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestArray;

    const TOML: &str = "
serial = 62496
[[port]]
name = \"CL1-A\"
[[port.host_group]]
number = 0
initiators = [\"*\"]
[[port]]
name = \"CLG-R\"
[[port.host_group]]
number = 1
initiators = [\"iqn.2020-01.org.example:a\"]
chap = { user = \"a\", secret = \"0123456789ab\" }
[[port]]
name = \"CL3-A\"
[[port.host_group]]
number = 1
initiators = [\"iqn.2020-01.org.example:a\"]
chap = { user = \"c\", secret = \"ba9876543210\" }
[[port]]
name = \"CL5-A\"
[[port.host_group]]
number = 1
initiators = [\"iqn.2020-01.org.example:a\"]
chap = { user = \"c\", secret = \"ba9876543210\" }
[[ldev]]
ldev = 1
emulation = \"OPEN-V\"
size = \"1 MiB\"
[[lun]]
port = \"CLG-R-1\"
target = 0
lun = 5
ldev = 1
";
    const A: &str = "iqn.2020-01.org.example:a";
    const B: &str = "iqn.2020-01.org.example:b";
    const FIRST: &str = "iqn.2026-11.internal.raidmanager:62496.cl1-a";
    const LAST: &str = "iqn.2026-11.internal.raidmanager:62496.clg-r";

    #[test]
    fn initiators_find_the_ports_whose_host_groups_name_them() {
        let array = Arc::new(TestArray::described(TOML));
        let queues = Arc::new(Queues::start(Arc::clone(&array), 1).unwrap());
        let hosts = Hosts::new(&array, queues).unwrap();
        let found = |initiator: &str| -> Vec<String> {
            hosts.targets(initiator).into_iter().map(|target| target.name).collect()
        };
        assert_eq!(found(A).len(), 4);
        assert!(found(A)[0] == FIRST && found(A)[3] == LAST);
        assert_eq!(found(B), [FIRST]);
        assert!(hosts.admit(LAST, A).is_ok_and(|it| it.port.relative == 288));
        assert!(matches!(hosts.admit(LAST, B), Err(Refusal::NotFound)));
        assert!(matches!(hosts.admit("iqn.2020-01.org.example:t", A), Err(Refusal::NotFound)));
        let chap = |user: &str, secret: &str| Account {
            initiator: Credentials { name: user.into(), secret: secret.into() },
            target: None,
        };
        let (a, c) = (chap("a", "0123456789ab"), chap("c", "ba9876543210"));
        let one = Authentication::Chap(vec![a.clone()]);
        assert_eq!(hosts.authentication(Scope::Target(LAST), A), one);
        assert_eq!(hosts.authentication(Scope::Target(FIRST), A), Authentication::None);
        assert_eq!(hosts.authentication(Scope::Discovery, B), Authentication::None);
        let all = Authentication::Chap(vec![c, a]);
        assert_eq!(hosts.authentication(Scope::Discovery, A), all, "in the order of ports");
    }
}
