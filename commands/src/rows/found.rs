//! Rows of `raidscan -find` (`cci` 2.14): disks of this host that are LUs.
//!
//! As with `pairdisplay` the literal samples show two widths: the narrow columns of the seed's
//! session, and wider ones with `-fx`, where LDEV numbers stand in large letters.

use std::io::{self, Write};

use model::{LdevId, LuPath, MuNumber};
use protocol::horcm::{FoundDisk, Holder};

use super::cells::or_dashes;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FoundColumns {
    /// `-fx`: LDEV numbers in hexadecimal.
    pub hex: bool,
    /// `-findg`: ports with their host groups.
    pub host_group: bool,
    /// `-fd`: the device file that is registered instead of port, target and LUN.
    pub device: bool,
}

/// The heading of `-find`, without line end.
#[must_use]
pub const fn heading(columns: FoundColumns) -> &'static str {
    if columns.hex {
        "DEVICE_FILE         UID  S/F PORT   TARG  LUN    SERIAL  LDEV  PRODUCT_ID"
    } else {
        "DEVICE_FILE      UID  S/F  PORT  TARG  LUN  SERIAL  LDEV  PRODUCT_ID"
    }
}

/// Writes one disk as `-find` shows it. Every path is shown as fibre, `F`.
///
/// # Errors
/// When the output does not take it.
pub fn write_disk(out: &mut dyn Write, columns: FoundColumns, disk: &FoundDisk) -> io::Result<()> {
    let device = &disk.device;
    let unit = or_dashes(disk.unit, "-");
    let (port, target, lun) = place(disk, columns);
    let (serial, ldev) = (disk.volume.serial, ldev(disk.volume.ldev, columns.hex));
    let product = &disk.product;
    if columns.hex {
        writeln!(
            out,
            "{device:<19} {unit:>3}   F  {port:<6} {target:>4}  {lun:>3}    {serial:>6}  {ldev:>4}  {product}"
        )
    } else {
        writeln!(
            out,
            "{device:<16} {unit:<3} F   {port:<6} {target:<4} {lun:<4} {serial:<7} {ldev:<4} {product}"
        )
    }
}

/// The heading of `-find verify` and `-find inst`, without line end.
#[must_use]
pub const fn verify_heading(columns: FoundColumns) -> &'static str {
    if columns.device {
        "DEVICE_FILE         Group     PairVol      Device_File    M   SERIAL   LDEV"
    } else {
        "DEVICE_FILE         Group     PairVol      PORT   TARG  LUN M   SERIAL   LDEV"
    }
}

/// Writes one disk as a volume of the configuration, or as none.
///
/// # Errors
/// When the output does not take it.
pub fn write_holder(
    out: &mut dyn Write,
    columns: FoundColumns,
    disk: &FoundDisk,
    holder: Option<&Holder>,
) -> io::Result<()> {
    let group = or_dashes(holder.map(|holder| &holder.group), "-");
    let name = or_dashes(holder.map(|holder| &holder.name), "-");
    let mu = or_dashes(holder.map(|holder| holder.mu), "-");
    write!(out, "{:<19} {group:<9} {name:<12} ", disk.device)?;
    if columns.device {
        let device = match holder {
            Some(_) if disk.registered => disk.device.as_str(),
            Some(_) => "Unknown",
            None => "-",
        };
        write!(out, "{device:<14} ")?;
    } else {
        let (port, target, lun) = match holder {
            Some(_) => place(disk, columns),
            None => ("-".to_owned(), "-".to_owned(), "-".to_owned()),
        };
        write!(out, "{port:<6} {target:>4} {lun:>4} ")?;
    }
    let (serial, ldev) = (disk.volume.serial, ldev(disk.volume.ldev, columns.hex));
    writeln!(out, "{mu} {serial:>8} {ldev:>6}")
}

/// Port, target id and LUN; dashes for what is not known.
fn place(disk: &FoundDisk, columns: FoundColumns) -> (String, String, String) {
    let port = match disk.path {
        Some(path) if columns.host_group => {
            format!("{}-{}", path.port.port, path.port.host_group.unwrap_or_default())
        }
        Some(LuPath { port, .. }) => port.port.to_string(),
        None => or_dashes(disk.port, "-").into_owned(),
    };
    let target = or_dashes(disk.path.map(|path| path.target), "-").into_owned();
    let lun = or_dashes(disk.path.map(|path| path.lun), "-").into_owned();
    (port, target, lun)
}

/// An LDEV number as `raidscan -find` shows it: decimal, or hexadecimal in large letters.
#[must_use]
pub fn ldev(number: LdevId, hex: bool) -> String {
    if hex { format!("{:04X}", number.get()) } else { number.to_string() }
}

/// The holders of a disk with this MU#, or all.
pub fn holders(disk: &FoundDisk, mu: Option<MuNumber>) -> impl Iterator<Item = &Holder> {
    disk.holders.iter().filter(move |holder| mu.is_none_or(|mu| holder.mu == mu))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::sample;

    fn shown(write: impl Fn(&mut dyn Write) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn disks_look_as_in_the_seed() {
        let text = shown(|out| {
            writeln!(out, "{}", heading(FoundColumns::default()))?;
            sample::disks().iter().try_for_each(|d| write_disk(out, FoundColumns::default(), d))
        });
        let seed = "\
DEVICE_FILE      UID  S/F  PORT  TARG  LUN  SERIAL  LDEV  PRODUCT_ID
Harddisk0        0   F   CL2-C  25   0    62496   16   OPEN-3-CM
Harddisk1        0   F   CL2-C  25   1    62496   18   OPEN-3
Harddisk2        0   F   CL2-C  25   2    62496   19   OPEN-3
";
        assert_eq!(text, seed);
    }

    #[test]
    fn hexadecimal_rows_look_as_the_arrays_print_them() {
        let columns = FoundColumns { hex: true, ..FoundColumns::default() };
        let text = shown(|out| {
            writeln!(out, "{}", heading(columns))?;
            for (device, lun, number) in [("/dev/sdaa", 127, 0x40b9), ("/dev/sdab", 128, 0x40ba)] {
                let path = sample::path("CL2-B", 0, lun);
                let volume = sample::volume(65_214, number);
                write_disk(out, columns, &sample::disk(device, volume, path, "OPEN-V"))?;
            }
            Ok(())
        });
        let literal = "\
DEVICE_FILE         UID  S/F PORT   TARG  LUN    SERIAL  LDEV  PRODUCT_ID
/dev/sdaa             0   F  CL2-B     0  127     65214  40B9  OPEN-V
/dev/sdab             0   F  CL2-B     0  128     65214  40BA  OPEN-V
";
        assert_eq!(text, literal);
    }

    #[test]
    fn columns_never_run_together_and_never_miss() {
        let path = sample::path("CLG-R-254", 9999, 9999);
        let device = "/dev/disk/by-id/a-rather-long-name";
        let mut long =
            sample::disk(device, sample::volume(999_999, 262_143), path, "OPEN-V-CVS-CM");
        long.holders = sample::holders();
        let mut unknown = sample::disks()[1].clone();
        (unknown.unit, unknown.path, unknown.port) = (None, None, None);
        for bits in 0..8_u8 {
            let columns = FoundColumns {
                hex: bits & 1 != 0,
                host_group: bits & 2 != 0,
                device: bits & 4 != 0,
            };
            for disk in [&long, &unknown] {
                let row = shown(|out| write_disk(out, columns, disk));
                assert_eq!(row.split_whitespace().count(), 9, "{row}");
                let words = verify_heading(columns).split_whitespace().count();
                for holder in [None, disk.holders.first()] {
                    let row = shown(|out| write_holder(out, columns, disk, holder));
                    assert_eq!(row.split_whitespace().count(), words, "{row}");
                }
            }
        }
        let group = FoundColumns { host_group: true, ..FoundColumns::default() };
        assert!(shown(|out| write_disk(out, group, &sample::disks()[0])).contains(" CL2-C-0 "));
    }
}
