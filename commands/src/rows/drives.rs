//! Rows of the sub-commands `findcmddev`, `drivescan` and `portscan` (`cci` 2.22).

use std::io::{self, Write};

use scsi::disks::{HostDisk, ports::ScsiDevice};

use super::{
    cells::or_dashes,
    disks::{raid_group, role},
};

/// Writes where a command device is; nothing for another disk.
///
/// # Errors
/// When the output does not take it.
pub fn write_command_device(out: &mut dyn Write, disk: &HostDisk) -> io::Result<()> {
    let Some(identity) = disk.identity.as_ref().filter(|identity| identity.command_device) else {
        return Ok(());
    };
    let file = match disk.device_file.strip_prefix("Harddisk") {
        Some(number) => format!(r"\\.\PhysicalDrive{number}"),
        None => disk.device_file.clone(),
    };
    writeln!(out, "cmddev of Ser# {} = {file}", identity.serial)
}

/// Writes how a drive is attached, and which LDEV it is. An iSCSI path of the built-in initiator
/// has neither port nor bus; its target id is the storage system's.
///
/// # Errors
/// When the output does not take it.
pub fn write_drive(out: &mut dyn Write, disk: &HostDisk) -> io::Result<()> {
    let name = match disk.device_file.strip_prefix("Harddisk") {
        Some(number) => format!("Harddisk {number}"),
        None => disk.device_file.clone(),
    };
    let place = disk.identity.as_ref().map(|identity| identity.place).unwrap_or_default();
    let target = disk.target.or(place.target.map(Into::into));
    let lun = place.lun.map(|lun| lun.get().into()).or(disk.lun);
    let (vendor, product) = disk
        .inquiry
        .as_ref()
        .map_or(("", ""), |inquiry| (inquiry.vendor.as_str(), inquiry.product.as_str()));
    writeln!(
        out,
        "{name}... Port[-] PhId[-] TId[{}] Lun[{}] [{vendor:<8}] [{product:<16}]",
        or_dashes(target, "-"),
        or_dashes(lun, "-")
    )?;
    let Some(identity) = &disk.identity else { return Ok(()) };
    let (port, number) = (or_dashes(identity.port, "-"), identity.ldev.get());
    write!(out, "    Port[{port}] Ser#[{}] LDEV#[{number}(0x{number:03X})]", identity.serial)?;
    let standing = &identity.standing;
    if let [Some(horc), Some(zero), Some(one), Some(two)] = standing.mirrors.map(|m| m.map(role)) {
        write!(out, " HORC = {horc} HOMRCF[MU#0 = {zero} MU#1 = {one} MU#2 = {two}]")?;
    }
    if let Some(ssid) = standing.ssid {
        write!(out, " {} SSID = 0x{ssid:04X}", raid_group(&standing.raid_group))?;
    }
    writeln!(out)
}

/// Writes a SCSI adapter and what is behind it. The kernel does not tell the adapter's own id.
///
/// # Errors
/// When the output does not take it.
pub fn write_port(out: &mut dyn Write, number: u32, devices: &[ScsiDevice]) -> io::Result<()> {
    writeln!(out, "PORT[{number}] IID[-] SCSI Devices")?;
    for ScsiDevice { channel, target, lun, vendor, product, claimed } in devices {
        let claimed = if *claimed { "...Claimed" } else { "" };
        writeln!(
            out,
            "    PhId[{channel}] TId[{target}] Lun[{lun}] [{vendor:<8}] [{product:<16}]{claimed}"
        )?;
    }
    Ok(())
}
