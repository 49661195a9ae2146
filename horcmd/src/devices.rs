//! The disks of this host that are registered with the instance: which device file is which LDEV.
//!
//! They are kept in memory only; a start registers anew (`cci` 6.2). In protection mode they are
//! also the volumes that the host may use.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use model::{CciError, Code, LuPath, VolumeId};
use tokio::sync::watch;

/// The longest device file that is registered, in bytes; a longer name would make rows of other
/// hosts too long for a datagram.
pub const LONGEST: usize = 127;

/// A disk to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Its device file, at most [`LONGEST`] bytes.
    pub device: String,
    /// Which LDEV it is.
    pub volume: VolumeId,
    /// At which path, where that is known.
    pub path: Option<LuPath>,
}

/// What is registered.
#[derive(Debug)]
pub struct Devices {
    registered: RwLock<Registered>,
    /// Whether the registration of the start is over.
    settled: watch::Sender<bool>,
}

/// A device file, and at which path it is, where that is known.
type Path = (Option<LuPath>, Arc<str>);

#[derive(Debug, Default)]
struct Registered {
    by_name: HashMap<Arc<str>, VolumeId>,
    /// In the order of registration; there are as many as there are paths.
    by_volume: HashMap<VolumeId, Vec<Path>>,
    /// Whether a registration was made, whatever it found.
    made: bool,
    /// Whether that of the start was of a list.
    listed: bool,
}

impl Default for Devices {
    fn default() -> Self {
        Self { registered: RwLock::default(), settled: watch::Sender::new(false) }
    }
}

impl Devices {
    /// Says that the start registers disks: every one, or those that are `listed`.
    pub fn begin(&self, listed: bool) {
        let mut registered = self.registered.write().unwrap_or_else(PoisonError::into_inner);
        registered.made = true;
        registered.listed = listed;
    }

    /// Whether the start registered the disks of a list.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        self.registered.read().unwrap_or_else(PoisonError::into_inner).listed
    }

    /// Registers disks beside those that are; a name that is registered already becomes the new
    /// disk's.
    ///
    /// # Errors
    /// EX_ENPERM where `once`, in protection mode, and a registration was made before: what the
    /// host may use is settled until the instance is started again.
    pub fn register(&self, disks: Vec<Disk>, once: bool) -> Result<(), CciError> {
        let mut registered = self.registered.write().unwrap_or_else(PoisonError::into_inner);
        if once && registered.made {
            return Err(CciError::new(Code::ExEnperm)
                .object("raidscan -find inst")
                .state("protection mode")
                .cause("which disks this host may use is settled already")
                .advice("list them in the permission file and start the instance again"));
        }
        registered.made = true;
        for disk in disks {
            registered.add(disk);
        }
        Ok(())
    }

    /// The device file of a volume: the one at this path, or at its port, or else the first.
    #[must_use]
    pub fn device_of(&self, volume: VolumeId, at: Option<LuPath>) -> Option<String> {
        let registered = self.registered.read().unwrap_or_else(PoisonError::into_inner);
        let devices = registered.by_volume.get(&volume)?;
        let find =
            |fits: &dyn Fn(LuPath) -> bool| devices.iter().find(|(path, _)| path.is_some_and(fits));
        let exact = at.and_then(|at| {
            find(&|path| path == at).or_else(|| find(&|path| path.port.port == at.port.port))
        });
        exact.or_else(|| devices.first()).map(|(_, name)| name.to_string())
    }

    /// The volume that a device file was registered as.
    #[must_use]
    pub fn volume_of(&self, device: &str) -> Option<VolumeId> {
        let registered = self.registered.read().unwrap_or_else(PoisonError::into_inner);
        registered.by_name.get(device).copied()
    }

    /// Whether a volume has a registered disk.
    #[must_use]
    pub fn holds(&self, volume: VolumeId) -> bool {
        let registered = self.registered.read().unwrap_or_else(PoisonError::into_inner);
        registered.by_volume.contains_key(&volume)
    }

    /// Says that the registration of the start is over.
    pub fn settle(&self) {
        self.settled.send_replace(true);
    }

    /// Waits until the registration of the start is over.
    pub async fn settled(&self) {
        // The sender lives as long as this value, so that waiting ends with it.
        let _ = self.settled.subscribe().wait_for(|settled| *settled).await;
    }
}

impl Registered {
    fn add(&mut self, disk: Disk) {
        let Disk { device, volume, path } = disk;
        let name: Arc<str> = device.into();
        if let Some(old) = self.by_name.insert(name.clone(), volume)
            && let Some(devices) = self.by_volume.get_mut(&old)
        {
            devices.retain(|(_, other)| *other != name);
            if devices.is_empty() {
                self.by_volume.remove(&old);
            }
        }
        self.by_volume.entry(volume).or_default().push((path, name));
    }
}

#[cfg(test)]
mod tests {
    use model::{LdevId, Serial};

    use super::*;

    fn volume(ldev: u32) -> VolumeId {
        VolumeId { serial: Serial::new(62_496).unwrap(), ldev: LdevId::new(ldev).unwrap() }
    }

    fn path(port: &str) -> LuPath {
        LuPath {
            port: port.parse().unwrap(),
            target: "25".parse().unwrap(),
            lun: "1".parse().unwrap(),
        }
    }

    fn disk(device: &str, ldev: u32, port: &str) -> Disk {
        Disk { device: device.into(), volume: volume(ldev), path: Some(path(port)) }
    }

    #[test]
    fn a_volume_with_several_paths_shows_the_device_of_the_path_asked_for() {
        let devices = Devices::default();
        let disks = vec![disk("sda", 18, "CL2-C"), disk("sdb", 18, "CL3-C")];
        devices.register(disks, false).unwrap();
        let of = |port: Option<&str>| devices.device_of(volume(18), port.map(path));
        assert_eq!(of(Some("CL3-C")).as_deref(), Some("sdb"));
        assert_eq!(of(Some("CL3-C-1")).as_deref(), Some("sdb"), "another host group of the port");
        assert_eq!(of(Some("CL1-A")).as_deref(), Some("sda"));
        assert_eq!(of(None).as_deref(), Some("sda"));
        assert_eq!(devices.device_of(volume(19), None), None);
        assert_eq!(devices.volume_of("sdb"), Some(volume(18)));
    }

    #[test]
    fn a_name_registered_again_is_the_new_disk_only() {
        let devices = Devices::default();
        devices.register(vec![disk("sda", 18, "CL2-C")], false).unwrap();
        devices.register(vec![disk("sda", 19, "CL2-C")], false).unwrap();
        assert!(!devices.holds(volume(18)) && devices.holds(volume(19)));
        assert_eq!(devices.volume_of("sda"), Some(volume(19)));
        devices.register(vec![disk("sda", 19, "CL2-C")], false).unwrap();
        assert_eq!(devices.device_of(volume(19), None).as_deref(), Some("sda"));
    }

    #[test]
    fn in_protection_mode_only_the_first_registration_counts() {
        let devices = Devices::default();
        devices.register(Vec::new(), true).unwrap();
        let second = devices.register(vec![disk("sda", 18, "CL2-C")], true).unwrap_err();
        assert_eq!(second.code, Code::ExEnperm);
        assert!(!devices.holds(volume(18)));
    }

    #[tokio::test]
    async fn whoever_waits_for_the_start_is_let_go_when_it_is_over() {
        let devices = Arc::new(Devices::default());
        let waiting = tokio::spawn({
            let devices = devices.clone();
            async move { devices.settled().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        devices.settle();
        waiting.await.unwrap();
        devices.settled().await;
    }
}
