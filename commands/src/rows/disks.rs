//! Rows of `inqraid` (`cci` 5b): `-CLI` with a row a disk, and the full form.

use std::io::{self, Write};

use scsi::{
    disks::{HostDisk, Identity},
    medium::Mirror,
};

use super::cells::{ldev, or_dashes};

/// Which columns `-CLI` has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// `-CLI`.
    #[default]
    Standard,
    /// `-CLIB`: with BNM before the product.
    BlockNumber,
    /// `-CLIW`, `-CLIP`, `-CLIWP`: the port's world-wide name, and LUNs.
    PortName,
    /// `-CLIN`, `-CLIWN`: the node's.
    NodeName,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DiskColumns {
    /// The columns.
    pub form: Form,
    /// `-fx`: LDEV numbers in hexadecimal.
    pub hex: bool,
    /// `-fw`: a wider first column.
    pub wide: bool,
    /// `-fg`: the host group behind the port.
    pub host_group: bool,
    /// `-fl`: what the LDEV is, behind the product.
    pub attributes: bool,
}

impl DiskColumns {
    const fn name_width(self) -> usize {
        if self.wide { 31 } else { 15 }
    }

    /// `CL2-C`, or `CL2-C-0` with `-fg`.
    fn port(self, identity: &Identity) -> String {
        let port = or_dashes(identity.port, "-");
        match identity.place.host_group.filter(|_| self.host_group) {
            Some(group) => format!("{port}-{group}"),
            None => port.into_owned(),
        }
    }

    const fn port_width(self) -> usize {
        if self.host_group { 9 } else { 5 }
    }
}

/// The heading of `-CLI`, without line end.
#[must_use]
pub fn heading(columns: DiskColumns) -> String {
    let (name, port) = (columns.name_width(), columns.port_width());
    let tail = if columns.attributes { "PRODUCT_ID        ATTR" } else { "PRODUCT_ID" };
    match columns.form {
        Form::Standard => format!(
            "{:<name$} {:<port$}  SERIAL  LDEV CTG  H/M/12  SSID R:Group {tail}",
            "DEVICE_FILE", "PORT"
        ),
        Form::BlockNumber => format!(
            "{:<name$} {:<port$}  SERIAL  LDEV CTG  H/M/12  SSID R:Group BNM {tail}",
            "DEVICE_FILE", "PORT"
        ),
        Form::PortName | Form::NodeName => {
            let wwn = if columns.form == Form::PortName { "PWWN" } else { "NWWN" };
            format!(
                "{:<name$} {wwn:<16} AL {:<port$} LUN  SERIAL  LDEV {tail}",
                "DEVICE_FILE", "PORT"
            )
        }
    }
}

/// Writes the row of a disk.
///
/// # Errors
/// When the output does not take it.
pub fn write_row(out: &mut dyn Write, columns: DiskColumns, disk: &HostDisk) -> io::Result<()> {
    let (name, port) = (columns.name_width(), columns.port_width());
    let identity = disk.identity.as_ref();
    let shown_port = identity.map_or("-".into(), |identity| columns.port(identity));
    let serial = or_dashes(identity.map(|identity| identity.serial), "-");
    let number = or_dashes(identity.map(|i| shown_ldev(i, columns.hex)), "-");
    write!(out, "{:<name$} ", disk.device_file)?;
    if matches!(columns.form, Form::PortName | Form::NodeName) {
        let lun = or_dashes(identity.and_then(|i| i.place.lun), "-");
        // Behind an iSCSI port there is no world-wide name and no loop.
        write!(
            out,
            "{:<16} {:<2} {shown_port:<port$} {lun:>3} {serial:>7} {number:>5} ",
            "-", "-"
        )?;
    } else {
        let standing = identity.map(|identity| &identity.standing);
        let ctg = or_dashes(standing.and_then(|standing| standing.ctg), "-");
        let mirrors = standing.map_or("-".into(), |standing| mirrors(&standing.mirrors));
        let ssid = standing.and_then(|standing| standing.ssid).map(|ssid| format!("{ssid:04X}"));
        let ssid = or_dashes(ssid, "-");
        let group = standing.map(|standing| standing.raid_group.clone());
        let group = or_dashes(group.filter(|group| !group.is_empty()), "-");
        write!(
            out,
            "{shown_port:<port$} {serial:>7} {number:>5} {ctg:>3} {mirrors:>7} {ssid:>5} {group:>7} "
        )?;
        if columns.form == Form::BlockNumber {
            write!(out, "{:>3} ", "-")?;
        }
    }
    let product = disk.inquiry.as_ref().map_or("-", |inquiry| inquiry.product.as_str());
    if columns.attributes {
        return writeln!(out, "{product:<17} {}", attribute(identity, product));
    }
    writeln!(out, "{product}")
}

/// As upper-case hexadecimal digits, or decimal.
fn shown_ldev(identity: &Identity, hex: bool) -> String {
    ldev(identity.ldev, hex).to_uppercase()
}

/// `s/P/ss`: HORC, MU# 0, MU# 1 and 2; `-` for a volume that is in no pair because it cannot be, or
/// whose mirrors are not known.
fn mirrors(mirrors: &[Option<Mirror>; 4]) -> String {
    if mirrors.iter().all(Option::is_none) {
        return "-".to_owned();
    }
    let [horc, zero, one, two] =
        mirrors.map(|mirror| mirror.map_or('-', |mirror| char::from(mirror.letter())));
    format!("{horc}/{zero}/{one}{two}")
}

/// What `-fl` says of an LDEV.
fn attribute(identity: Option<&Identity>, product: &str) -> &'static str {
    match identity {
        Some(identity) if identity.command_device => "CMD",
        Some(_) if product.ends_with("-CVS") => "CVS",
        _ => "-",
    }
}

/// Writes a disk in the full form, one to three lines.
///
/// # Errors
/// When the output does not take it.
pub fn write_full(out: &mut dyn Write, columns: DiskColumns, disk: &HostDisk) -> io::Result<()> {
    let inquiry = disk.inquiry.as_ref();
    let (vendor, product) =
        inquiry.map_or(("", ""), |inquiry| (inquiry.vendor.as_str(), inquiry.product.as_str()));
    let name = &disk.device_file;
    let Some(identity) = &disk.identity else {
        return writeln!(out, "{name} -> [ST] Unknown [{vendor:<8}] [{product:<16}]");
    };
    let (port, serial) = (columns.port(identity), identity.serial);
    let number = if columns.hex {
        format!("{:>4}", shown_ldev(identity, true))
    } else {
        format!("{:>4}", identity.ldev)
    };
    writeln!(
        out,
        "{name} -> [ST] {port} Ser = {serial:>7} LDEV = {number} [{vendor:<8}] [{product:<16}]"
    )?;
    let standing = &identity.standing;
    let indent = name.chars().count() + 4;
    if let [Some(horc), zero, one, two] = standing.mirrors {
        let word = |mirror: Option<Mirror>| mirror.map_or("-", role);
        writeln!(
            out,
            "{:indent$}HORC = {} HOMRCF[MU#0 = {} MU#1 = {} MU#2 = {}]",
            "",
            role(horc),
            word(zero),
            word(one),
            word(two)
        )?;
    }
    if let Some(ssid) = standing.ssid {
        write!(out, "{:indent$}{} SSID = 0x{ssid:04X}", "", raid_group(&standing.raid_group))?;
        if let Some(ctg) = standing.ctg {
            write!(out, " CTGID = {ctg}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

pub(super) const fn role(mirror: Mirror) -> &'static str {
    match mirror {
        Mirror::Simplex => "SMPL",
        Mirror::Primary => "P-VOL",
        Mirror::Secondary => "S-VOL",
    }
}

/// `5:01-04` as `RAID5[Group  1- 4]`; what has another form as it is.
pub(super) fn raid_group(text: &str) -> String {
    let parts = || {
        let (level, group) = text.split_once(':')?;
        let (first, second) = group.split_once('-')?;
        let number = |digits: &str| digits.parse::<u8>().ok();
        Some(format!("RAID{}[Group {:>2}-{:>2}]", number(level)?, number(first)?, number(second)?))
    };
    parts().unwrap_or_else(|| format!("[Group {text}]"))
}

/// Writes the bytes that a disk said: sixteen a line, the standard INQUIRY data and VPD pages.
///
/// # Errors
/// When the output does not take it.
pub fn write_dump(out: &mut dyn Write, disk: &HostDisk) -> io::Result<()> {
    let pages = &disk.pages;
    for (title, bytes) in [
        ("INQUIRY", &pages.inquiry),
        ("VPD 80h", &pages.serial),
        ("VPD 83h", &pages.designators),
        ("VPD C0h", &pages.vendor),
    ] {
        if bytes.is_empty() {
            continue;
        }
        writeln!(out, "{} {title}, {} bytes", disk.device_file, bytes.len())?;
        for (n, line) in bytes.chunks(16).enumerate() {
            let hex: String = line.iter().map(|byte| format!("{byte:02X} ")).collect();
            let graphic = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
            let text: String =
                line.iter().map(|b| if graphic(b) { char::from(*b) } else { '.' }).collect();
            writeln!(out, "{:04X}: {hex:<48} {text}", n * 16)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use model::{LdevId, Serial};
    use scsi::{
        disks::Inquiry,
        medium::{Place, Standing},
    };

    use super::*;

    fn other(name: &str, product: &str) -> HostDisk {
        let inquiry =
            Inquiry { vendor: "MAXTOR".into(), product: product.into(), revision: "1".into() };
        HostDisk { device_file: name.into(), inquiry: Some(inquiry), ..HostDisk::default() }
    }

    fn disk(name: &str, number: u32, product: &str, standing: Standing) -> HostDisk {
        let identity = Identity {
            serial: Serial::new(62_496).unwrap(),
            ldev: LdevId::new(number).unwrap(),
            port: "CL2-C".parse().ok(),
            command_device: product.ends_with("-CM"),
            standing,
            place: Place { host_group: Some(3), ..Place::default() },
        };
        let mut disk = other(name, product);
        disk.inquiry.as_mut().unwrap().vendor = "HITACHI".into();
        HostDisk { identity: Some(identity), ..disk }
    }

    fn simplex() -> Standing {
        Standing {
            mirrors: [Some(Mirror::Simplex); 4],
            ssid: Some(4),
            ctg: None,
            raid_group: "5:01-04".into(),
        }
    }

    /// The disks of the seed's listing.
    fn seed() -> Vec<HostDisk> {
        vec![
            disk("Harddisk0", 16, "OPEN-3-CM", Standing::default()),
            disk("Harddisk1", 18, "OPEN-3", simplex()),
            disk("Harddisk2", 19, "OPEN-3", simplex()),
            other("Harddisk3", "L040L2"),
        ]
    }

    fn shown(columns: DiskColumns, disks: &[HostDisk]) -> Vec<String> {
        let mut out = format!("{}\n", heading(columns)).into_bytes();
        for disk in disks {
            write_row(&mut out, columns, disk).unwrap();
        }
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    fn folded(text: &str) -> String {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_rows_are_the_seeds() {
        // Word for word from the manual, whose own columns are shifted from row to row.
        let manual = [
            "DEVICE_FILE      PORT      SERIAL    LDEV CTG   H/M/12  SSID R:Group  PRODUCT_ID",
            "Harddisk0      CL2-C    62496    16  -     -       -       - OPEN-3-CM",
            "Harddisk1        CL2-C     62496     18   -     s/s/ss  0004 5:01-04 OPEN-3",
            "Harddisk2        CL2-C     62496     19   -     s/s/ss  0004 5:01-04 OPEN-3",
            "Harddisk3        -         -         -    -     -       -       - L040L2",
        ];
        let rows = shown(DiskColumns::default(), &seed());
        let rows: Vec<_> = rows.iter().map(|row| folded(row)).collect();
        assert_eq!(rows, manual.map(folded));
    }

    #[test]
    fn numbers_end_below_the_ends_of_their_headings() {
        let rows = shown(DiskColumns::default(), &seed());
        let end = |row: &str, word: &str| row.find(word).unwrap() + word.len();
        assert_eq!(end(&rows[1], "62496"), end(&rows[0], "SERIAL"));
        assert_eq!(end(&rows[2], " 18"), end(&rows[0], "LDEV"));
        assert_eq!(end(&rows[2], "s/s/ss"), end(&rows[0], "H/M/12"));
        assert_eq!(end(&rows[2], "5:01-04"), end(&rows[0], "R:Group"));
    }

    #[test]
    fn every_form_has_as_many_words_a_row_as_headings() {
        for form in [Form::Standard, Form::BlockNumber, Form::PortName, Form::NodeName] {
            for (attributes, host_group) in [(false, true), (true, false)] {
                let columns =
                    DiskColumns { form, attributes, host_group, ..DiskColumns::default() };
                let rows = shown(columns, &seed());
                let counts: Vec<_> = rows.iter().map(|r| r.split_whitespace().count()).collect();
                assert!(counts.iter().all(|count| *count == counts[0]), "{rows:#?}");
            }
        }
    }

    #[test]
    fn pairs_show_by_their_letters_and_flags_change_their_columns() {
        let mut standing = simplex();
        standing.mirrors[1] = Some(Mirror::Secondary);
        standing.mirrors[3] = Some(Mirror::Primary);
        standing.ctg = Some(7);
        let disk = disk("/dev/sdb", 255, "OPEN-V-CVS", standing);
        let columns =
            DiskColumns { hex: true, host_group: true, attributes: true, ..DiskColumns::default() };
        let row = folded(&shown(columns, &[disk])[1]);
        assert_eq!(row, "/dev/sdb CL2-C-3 62496 FF 7 s/S/sP 0004 5:01-04 OPEN-V-CVS CVS");
    }

    #[test]
    fn the_full_form_says_the_same_in_words() {
        let full = |disk: &HostDisk| {
            let mut out = Vec::new();
            write_full(&mut out, DiskColumns::default(), disk).unwrap();
            folded(&String::from_utf8(out).unwrap())
        };
        let mut standing = simplex();
        standing.mirrors[1] = Some(Mirror::Primary);
        standing.ctg = Some(3);
        assert_eq!(
            full(&disk("/dev/sdb", 9, "OPEN-3", standing)),
            "/dev/sdb -> [ST] CL2-C Ser = 62496 LDEV = 9 [HITACHI ] [OPEN-3 ] \
             HORC = SMPL HOMRCF[MU#0 = P-VOL MU#1 = SMPL MU#2 = SMPL] \
             RAID5[Group 1- 4] SSID = 0x0004 CTGID = 3"
        );
        assert_eq!(full(&seed()[3]), "Harddisk3 -> [ST] Unknown [MAXTOR ] [L040L2 ]");
        assert_eq!(raid_group("A:00000"), "[Group A:00000]");
    }
}
