//! Rows of `raidscan` (`cci` 2.14): a row an LU in HORC mode, a row a mirror in HOMRCF mode.

use std::io::{self, Write};

use model::{Emulation, Mode, MuNumber};
use protocol::orders::{EndStatus, ScanRow};

use super::cells::{Cells, Columns, ldev, or_dashes};

/// What the last columns hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tail {
    /// The partner: serial and LDEV.
    #[default]
    Partner,
    /// `-f`, `-ff`: the emulation type.
    VolumeType,
    /// `-fw`: the LUN's WWN.
    Wwn,
    /// `-fd`: the device file.
    Device,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScanColumns {
    /// HORC or HOMRCF.
    pub mode: Mode,
    /// `-fx`: LDEV numbers in hexadecimal.
    pub hex: bool,
    /// `-CLI`: one word a column.
    pub cli: bool,
    /// The last columns.
    pub tail: Tail,
    /// `-m`: only this mirror.
    pub mirror: Option<MuNumber>,
}

/// The heading, without line end.
#[must_use]
pub fn heading(columns: ScanColumns) -> String {
    if columns.cli {
        let (lu, fence) = match columns.mode {
            Mode::Horc => ("LU# ", " Fence "),
            Mode::Homrcf => ("LU#  M", ""),
        };
        let tail = match columns.tail {
            Tail::Partner => "P-Seq#     P-LDEV#",
            Tail::VolumeType => "Vol.Type",
            Tail::Wwn => "LUN-WWN",
            Tail::Device => "Device_File",
        };
        return format!(
            "PORT#    /ALPA/C TID# {lu} Seq#       Num LDEV# P/S   Status{fence} {tail}"
        );
    }
    let (lu, status) = match columns.mode {
        Mode::Horc => (" LU#", "Status,Fence, LDEV#"),
        Mode::Homrcf => (" LU#-M", "Status, LDEV#"),
    };
    let tail = match columns.tail {
        Tail::Partner => "P-Seq#,P-LDEV#",
        Tail::VolumeType => "Vol.Type",
        Tail::Wwn => "LUN-WWN",
        Tail::Device => "Device_File",
    };
    format!("PORT# /ALPA/C,TID#,{lu}.Num(LDEV#....)...P/S, {status},{tail}")
}

/// Writes the rows of one LU. `device` is its device file on this host.
///
/// # Errors
/// When the output does not take it.
pub fn write_lu(
    out: &mut dyn Write,
    columns: ScanColumns,
    serial: model::Serial,
    row: &ScanRow,
    device: Option<&str>,
) -> io::Result<()> {
    let write_row = |out: &mut dyn Write, mu, end: &EndStatus| {
        let lu = Lu { serial, row, device };
        write_row(out, columns, lu, mu, end)
    };
    if columns.mode == Mode::Horc {
        // Remote pairs are not there yet: every volume is simplex to HORC.
        return write_row(out, None, &EndStatus::SMPL);
    }
    for (mu, end) in row.mirrors.iter().enumerate() {
        if columns.mirror.is_none_or(|only| usize::from(only.get()) == mu) {
            write_row(out, Some(mu), end)?;
        }
    }
    Ok(())
}

/// An LU as its rows show it.
#[derive(Clone, Copy)]
struct Lu<'a> {
    serial: model::Serial,
    row: &'a ScanRow,
    device: Option<&'a str>,
}

fn write_row(
    out: &mut dyn Write,
    columns: ScanColumns,
    lu: Lu<'_>,
    mu: Option<usize>,
    end: &EndStatus,
) -> io::Result<()> {
    let Lu { serial, row, device } = lu;
    let view = Columns { mode: columns.mode, hex: columns.hex, ..Columns::default() };
    let cells = Cells::of(Some(end), view);
    let number = ldev(row.ldev, columns.hex);
    // A target here is no loop: there is no AL_PA, and conversion table 0 stands for that.
    let path = &row.path;
    let (port, target) = (path.port.to_string(), path.target.to_string());
    let lun = path.lun.to_string();
    let partner = cells.partner_ldev.map(|l| ldev(l, columns.hex));
    let role = cells.role.unwrap_or("-");
    if columns.cli {
        let status = cells.status.unwrap_or("-");
        write!(out, "{port:<8} {:>4} {:>2} {target:>4} {lun:>3}", "00", 0)?;
        if let Some(mu) = mu {
            write!(out, " {mu:>2}")?;
        }
        let serial = serial.get();
        write!(out, "  {serial:<10} {:>3} {number:>5} {role:<5} {status:<6}", 1)?;
        if columns.mode == Mode::Horc {
            write!(out, " {:<6}", "-")?;
        }
        let partner = or_dashes(partner, "-");
        let partner_serial = or_dashes(cells.partner_serial, "-");
        return match columns.tail {
            Tail::Partner => writeln!(out, " {partner_serial:<10} {partner:>7}"),
            tail => writeln!(out, " {}", last(tail, row, device)),
        };
    }
    let status = cells.status.unwrap_or("----");
    write!(out, "{port:<7} /00/ 0,{target:>3}, {lun:>3}")?;
    if let Some(mu) = mu {
        write!(out, "-{mu}")?;
    }
    write!(out, ".{:.<17}{role:<5} {status:<5} ", format!("1({number})"))?;
    if columns.mode == Mode::Horc {
        write!(out, "------ ")?;
    }
    // A paired volume shows its own number once more, a simplex one dashes, as in the samples.
    let paired = cells.status.map(|_| number);
    write!(out, "{:>5},", or_dashes(paired, "-----"))?;
    match columns.tail {
        Tail::Partner => {
            let serial = or_dashes(cells.partner_serial, "-----");
            writeln!(out, "{serial:>5} {:>5}", or_dashes(partner, "-----"))
        }
        tail => writeln!(out, "{}", last(tail, row, device)),
    }
}

/// The last column of the views that do not show the partner's serial.
fn last(tail: Tail, row: &ScanRow, device: Option<&str>) -> String {
    match tail {
        Tail::VolumeType => volume_type(row.emulation, row.command_device),
        Tail::Device => device.unwrap_or("Unknown").to_owned(),
        Tail::Partner | Tail::Wwn => "Unknown".to_owned(),
    }
}

/// The product id: `OPEN-3`, with `-CM` behind it for a command device.
fn volume_type(emulation: Emulation, command_device: bool) -> String {
    let suffix = if command_device { "-CM" } else { "" };
    format!("{emulation}{suffix}")
}

#[cfg(test)]
mod tests {
    use model::{Blocks, LdevId, PairStatus, Role};

    use super::*;
    use crate::rows::sample;

    fn lu(mirrors: Vec<EndStatus>) -> ScanRow {
        ScanRow {
            path: sample::path("CL2-C", 25, 1),
            ldev: LdevId::new(18).unwrap(),
            emulation: Emulation::Open3,
            command_device: false,
            size: Blocks(1),
            mirrors,
        }
    }

    fn paired() -> EndStatus {
        let row = sample::row(sample::path("CL2-C", 25, 1), sample::volume(62496, 18), 2);
        let with = sample::volume(62496, 19);
        let row = sample::paired(row, Role::PVol, PairStatus::Pair, 100, with, 0);
        row.status.unwrap()
    }

    fn shown(columns: ScanColumns, row: &ScanRow) -> Vec<String> {
        let mut out = format!("{}\n", heading(columns)).into_bytes();
        let serial = sample::volume(62496, 0).serial;
        write_lu(&mut out, columns, serial, row, None).unwrap();
        let text = String::from_utf8(out).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_simplex_row_with_wwn_has_the_shape_of_the_literal_one() {
        let mut row = lu(vec![]);
        row.path = sample::path("CL1-C-1", 28, 0);
        row.ldev = LdevId::new(509).unwrap();
        let columns = ScanColumns { tail: Tail::Wwn, ..ScanColumns::default() };
        let literal = [
            "PORT# /ALPA/C,TID#, LU#.Num(LDEV#....)...P/S, Status,Fence, LDEV#,LUN-WWN",
            "CL1-C-1 /e1/ 4, 28,   0.1(509)...........SMPL  ----  ------ -----,Unknown",
        ];
        let literal = literal.map(|line| line.replace("/e1/ 4,", "/00/ 0,"));
        assert_eq!(shown(columns, &row), literal);
    }

    #[test]
    fn homrcf_shows_a_row_a_mirror() {
        let columns = ScanColumns { mode: Mode::Homrcf, ..ScanColumns::default() };
        let row = lu(vec![EndStatus::SMPL, EndStatus::SMPL, paired()]);
        let lines = shown(columns, &row);
        assert_eq!(lines.len(), 4);
        assert!(lines[0].contains("LU#-M.Num"));
        assert!(lines[1].contains(" 1-0.1(18)") && lines[1].contains("SMPL  ----"));
        assert!(lines[3].contains(" 1-2.1(18)") && lines[3].contains("P-VOL PAIR"));
        let only = ScanColumns { mirror: MuNumber::new(2), ..columns };
        assert_eq!(shown(only, &row).len(), 2);
    }

    #[test]
    fn cli_rows_have_one_word_more_than_their_heading() {
        for mode in [Mode::Horc, Mode::Homrcf] {
            for tail in [Tail::Partner, Tail::VolumeType, Tail::Wwn, Tail::Device] {
                let columns = ScanColumns { mode, tail, cli: true, ..ScanColumns::default() };
                let lines = shown(columns, &lu(vec![EndStatus::SMPL, paired()]));
                let counts: Vec<_> = lines.iter().map(|l| l.split_whitespace().count()).collect();
                assert!(counts[1..].iter().all(|n| *n == counts[0] + 1), "{lines:?}");
            }
        }
    }

    #[test]
    fn a_command_device_shows_by_its_volume_type() {
        let mut row = lu(vec![]);
        row.command_device = true;
        let columns = ScanColumns { tail: Tail::VolumeType, ..ScanColumns::default() };
        assert!(shown(columns, &row)[1].ends_with(",OPEN-3-CM"));
    }
}
