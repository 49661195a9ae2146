//! The kernel's SCSI host adapters and what is behind them, by sysfs.

use std::{collections::BTreeMap, fs, ops::RangeInclusive, path::Path};

/// A SCSI device of the kernel; not only disks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScsiDevice {
    /// Channel of the adapter.
    pub channel: u32,
    /// Target id.
    pub target: u32,
    /// LUN.
    pub lun: u64,
    /// Vendor, at most 8 characters.
    pub vendor: String,
    /// Product, at most 16 characters.
    pub product: String,
    /// Whether a driver has it.
    pub claimed: bool,
}

/// The adapters of these numbers, each with its devices in the order of their addresses.
#[must_use]
pub fn ports(sys: &Path, numbers: &RangeInclusive<u32>) -> BTreeMap<u32, Vec<ScsiDevice>> {
    let mut ports = BTreeMap::new();
    let names = |folder: &str| {
        let entries = fs::read_dir(sys.join(folder)).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect::<Vec<_>>()
    };
    let hosts = names("class/scsi_host");
    let hosts = hosts.iter().filter_map(|name| name.strip_prefix("host")?.parse().ok());
    for host in hosts.filter(|host| numbers.contains(host)) {
        ports.insert(host, Vec::new());
    }
    for name in names("bus/scsi/devices") {
        let Some((host, device)) = device(&sys.join("bus/scsi/devices").join(&name), &name) else {
            continue;
        };
        if let Some(devices) = ports.get_mut(&host) {
            devices.push(device);
        }
    }
    for devices in ports.values_mut() {
        devices.sort_by_key(|device| (device.channel, device.target, device.lun));
    }
    ports
}

/// A device by its directory `HOST:CHANNEL:TARGET:LUN`.
fn device(at: &Path, name: &str) -> Option<(u32, ScsiDevice)> {
    let numbers: Vec<u64> = name.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    let &[host, channel, target, lun] = numbers.as_slice() else { return None };
    let text = |file| fs::read_to_string(at.join(file)).unwrap_or_default().trim().to_owned();
    let device = ScsiDevice {
        channel: channel.try_into().ok()?,
        target: target.try_into().ok()?,
        lun,
        vendor: text("vendor"),
        product: text("model"),
        claimed: at.join("driver").exists(),
    };
    Some((host.try_into().ok()?, device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adapters_have_their_devices_in_the_order_of_addresses() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["host0", "host1", "host7"] {
            fs::create_dir_all(dir.path().join("class/scsi_host").join(name)).unwrap();
        }
        for (name, product) in
            [("1:0:3:10", "B"), ("1:0:3:2", "A"), ("7:0:0:0", "C"), ("host1", "")]
        {
            let at = dir.path().join("bus/scsi/devices").join(name);
            fs::create_dir_all(&at).unwrap();
            fs::write(at.join("model"), format!("{product}   \n")).unwrap();
        }
        let found = ports(dir.path(), &(0..=1));
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [0, 1]);
        assert!(found[&0].is_empty());
        let products: Vec<_> = found[&1].iter().map(|d| (d.product.as_str(), d.lun)).collect();
        assert_eq!(products, [("A", 2), ("B", 10)]);
    }
}
