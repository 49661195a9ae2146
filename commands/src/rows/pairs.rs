//! Rows of `pairdisplay` (`cci` 2.13), both modes. The remote row follows its local one.
//!
//! The literal samples show two widths: the narrow columns of the seed's session without flags,
//! and the wider ones arrays print as soon as `-fx`, `-fc` or `-fe` is given.

use std::io::{self, Write};

use model::{GroupName, LuPath, Mode};
use protocol::horcm::{Member, Row};

use super::cells::{Cells, Columns, HIDDEN, RowSide, ldev, or_dashes, volume};

/// The heading, without line end.
#[must_use]
pub fn heading(columns: Columns) -> String {
    let wide = is_wide(columns);
    let place = match (columns.device, columns.mode) {
        (true, _) => "Device_File      ,Seq#,LDEV#.P/S",
        (false, Mode::Homrcf) if wide => "(Port#,TID, LU-M) ,Seq#,LDEV#.P/S",
        (false, Mode::Homrcf) => "(Port#,TID,LU-M),Seq#,LDEV#.P/S",
        (false, Mode::Horc) if wide => "(Port#,TID, LU),Seq#,LDEV#.P/S",
        (false, Mode::Horc) => "(Port#,TID,LU),Seq#,LDEV#,P/S",
    };
    let partner = match (columns.mode, columns.percent) {
        (Mode::Homrcf, true) => "   % ,P-LDEV# M",
        (Mode::Homrcf, false) => " Seq#,P-LDEV# M",
        (Mode::Horc, true) => "Fence,   %,P-LDEV# M",
        (Mode::Horc, false) => "Fence,Seq#,P-LDEV# M",
    };
    let extended = match (columns.extended, columns.mode) {
        (false, _) => "",
        (true, Mode::Homrcf) => " CTG CM EM       E-Seq# E-LDEV#",
        (true, Mode::Horc) => " CTG JID AP EM       E-Seq# E-LDEV#",
    };
    format!("Group   PairVol(L/R) {place},Status,{partner}{extended}")
}

/// Writes the rows of one volume: the local one, and the remote one if there is any.
///
/// # Errors
/// When the output does not take it.
pub fn write_member(
    out: &mut dyn Write,
    columns: Columns,
    group: &GroupName,
    member: &Member,
) -> io::Result<()> {
    let sides = [(RowSide::Local, Some(&member.local)), (RowSide::Remote, member.remote.as_ref())];
    for (side, row) in sides {
        let Some(row) = row else { continue };
        write!(out, "{group:<7} ")?;
        let name = format!("{}({})", member.name, side.letter());
        write_place(out, columns, &name, row)?;
        write_volume(out, columns, row)?;
        let missing = if row.permitted { "----" } else { HIDDEN };
        write_pair(out, columns, &Cells::of(row.status.as_ref(), columns), missing)?;
    }
    Ok(())
}

/// Volume name and where it is.
fn write_place(out: &mut dyn Write, columns: Columns, name: &str, row: &Row) -> io::Result<()> {
    if columns.device {
        let (_, _, device) = volume(row, columns.hex);
        return write!(out, "{name:<12} {device:<14} ");
    }
    let (port, target, lun) = path(row.path.as_ref());
    match (columns.mode, is_wide(columns)) {
        (Mode::Homrcf, false) => {
            write!(out, "{name} ({port:<6},{target:>2},{lun:>2}-{})", row.mu)
        }
        (Mode::Homrcf, true) => {
            // Padding a number needs it as text first: MU# 0 stands as `0 `.
            let mu = row.mu.to_string();
            write!(out, "{name} ({port:<6},{target:>2},{lun:>4}-{mu:<2})")
        }
        (Mode::Horc, false) => write!(out, "{name} ({port},{target:>2},{lun:>2}) "),
        (Mode::Horc, true) => write!(out, "{name} ({port},{target:>2},{lun:>4})"),
    }
}

/// Port, target id and LUN as text; dashes where the volume has no path.
pub(super) fn path(path: Option<&LuPath>) -> (String, String, String) {
    match path {
        Some(path) => (path.port.to_string(), path.target.to_string(), path.lun.to_string()),
        None => ("-".to_owned(), "-".to_owned(), "-".to_owned()),
    }
}

/// Serial number and LDEV.
fn write_volume(out: &mut dyn Write, columns: Columns, row: &Row) -> io::Result<()> {
    let (serial, number, _) = volume(row, columns.hex);
    if columns.hex {
        write!(out, "{serial} {:>6}", number + ".")
    } else if is_seeds(columns) {
        write!(out, "{serial} {number}..")
    } else {
        write!(out, "{serial} {:>5}", number + "..")
    }
}

/// From `P/S` on; `missing` stands for role and status where they are not known.
fn write_pair(
    out: &mut dyn Write,
    columns: Columns,
    cells: &Cells,
    missing: &str,
) -> io::Result<()> {
    let role = cells.role.unwrap_or(missing);
    // A simplex volume has no status, whoever may see it.
    let status = cells.status.unwrap_or(if cells.role.is_some() { "----" } else { missing });
    let third = if columns.percent {
        or_dashes(cells.percent, "-----")
    } else {
        or_dashes(cells.partner_serial, "-----")
    };
    let partner = or_dashes(cells.partner_ldev.map(|l| ldev(l, columns.hex)), "----");
    let mark = cells.mark;
    match columns.mode {
        Mode::Homrcf if is_seeds(columns) => {
            write!(out, "{role:<5} {status},{third} {partner} {mark}")?;
        }
        Mode::Homrcf => {
            let width = if columns.hex { 7 } else { 5 };
            write!(out, "{role:<5} {status},{third:>5} {partner:>width$} {mark}")?;
        }
        // No storage system here keeps remote pairs, so that no end has a fence level yet.
        Mode::Horc if is_wide(columns) || columns.device => {
            write!(out, "{role:<5} {status} ------,{third:>5} {partner:>5} {mark}")?;
        }
        Mode::Horc => write!(out, "{role} {status} ------,{third} {partner:<5} {mark}")?,
    }
    if columns.extended {
        write_extended(out, columns.mode, cells)?;
    }
    writeln!(out)
}

/// The columns of `-fe`. Journals, active paths and external volumes come with remote copy.
fn write_extended(out: &mut dyn Write, mode: Mode, cells: &Cells) -> io::Result<()> {
    let ctg = or_dashes(cells.ctg, "-");
    match mode {
        Mode::Homrcf => {
            let copy_mode = if cells.status.is_some() { "N" } else { "-" };
            write!(out, " {ctg:>3} {copy_mode:>2} - {:>12} {:>7}", "-", "-")
        }
        Mode::Horc => write!(out, " {ctg:>3} {:>3} {:>2} - {:>12} {:>7}", "-", "-", "-", "-"),
    }
}

const fn is_wide(columns: Columns) -> bool {
    columns.hex || columns.percent || columns.extended
}

/// Whether the columns are the narrow ones of the seed's `pairdisplay -g snap`.
fn is_seeds(columns: Columns) -> bool {
    columns.mode == Mode::Homrcf && !is_wide(columns) && !columns.device
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::sample;

    fn shown(columns: Columns, group: &str, members: &[Member]) -> String {
        let mut out = format!("{}\n", heading(columns)).into_bytes();
        for member in members {
            write_member(&mut out, columns, &group.parse().unwrap(), member).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    const LOCAL_COPY: Columns =
        Columns { mode: Mode::Homrcf, hex: false, percent: false, device: false, extended: false };

    #[test]
    fn a_noread_pair_looks_as_in_the_seed() {
        let text = "\
Group   PairVol(L/R) (Port#,TID,LU-M),Seq#,LDEV#.P/S,Status, Seq#,P-LDEV# M
snap    snapdev1(L) (CL2-C ,25, 2-0)62496 19..S-VOL PAIR,----- 18 -
snap    snapdev1(R) (CL2-C ,25, 1-2)62496 18..P-VOL PAIR,62496 19 N
";
        assert_eq!(shown(LOCAL_COPY, "snap", &[sample::noread_pair()]), text);
    }

    #[test]
    fn unpaired_volumes_with_devices_look_as_in_the_seed() {
        let columns = Columns { device: true, percent: true, ..LOCAL_COPY };
        let text = "\
Group   PairVol(L/R) Device_File      ,Seq#,LDEV#.P/S,Status,   % ,P-LDEV# M
snap    snapdev1(L)  Harddisk2      62496  19..SMPL  ----,-----  ---- -
snap    snapdev1(R)  Harddisk1      62496  18..SMPL  ----,-----  ---- -
";
        assert_eq!(shown(columns, "snap", &[sample::unpaired()]), text);
    }

    #[test]
    fn hexadecimal_ratios_look_as_the_arrays_print_them() {
        let columns = Columns { hex: true, percent: true, ..LOCAL_COPY };
        let text = "\
Group   PairVol(L/R) (Port#,TID, LU-M) ,Seq#,LDEV#.P/S,Status,   % ,P-LDEV# M
vgdbRPS 40:06_40:4b(L) (CL1-A-3, 3,   7-0 )85827  404b.S-VOL PAIR,   99    4006 -
vgdbRPS 40:06_40:4b(R) (CL1-A-1, 0,   4-0 )85827  4006.P-VOL PAIR,   99    404b -
vgdbRPS 40:45_40:50(L) (CL1-A-3, 2,   7-0 )85827  4050.S-VOL SSUS,  100    4045 -
vgdbRPS 40:45_40:50(R) (CL1-A-1, 3,   7-0 )85827  4045.P-VOL PSUS,  100    4050 W
";
        assert_eq!(shown(columns, "vgdbRPS", &sample::paired_and_split()), text);
    }

    #[test]
    fn a_horc_view_of_an_unpaired_volume_is_the_literal_row() {
        let columns = Columns::default();
        let text = "\
Group   PairVol(L/R) (Port#,TID,LU),Seq#,LDEV#,P/S,Status,Fence,Seq#,P-LDEV# M
devgroup1 pair1(L) (CL1-A, 0, 1) 54321   1..SMPL ---- ------,----- ----  -
";
        assert_eq!(shown(columns, "devgroup1", &[sample::alone()]), text);
    }

    #[test]
    fn every_combination_of_flags_has_rows_as_long_as_its_heading_promises() {
        for bits in 0..32_u8 {
            let columns = Columns {
                mode: if bits & 16 == 0 { Mode::Homrcf } else { Mode::Horc },
                hex: bits & 1 != 0,
                percent: bits & 2 != 0,
                device: bits & 4 != 0,
                extended: bits & 8 != 0,
            };
            let text = shown(columns, "snap", &[sample::noread_pair()]);
            let lines: Vec<_> = text.lines().collect();
            assert_eq!(lines.len(), 3, "{columns:?}");
            assert!(lines[1].contains("(L)") && lines[2].contains("(R)"));
            assert_eq!(lines[0].contains('%'), columns.percent);
            assert_eq!(lines[0].contains("Device_File"), columns.device);
            assert_eq!(lines[1].contains("Unknown"), columns.device);
            assert_eq!(lines[1].contains(" 13."), columns.hex, "{text}");
        }
    }

    #[test]
    fn a_full_pool_is_shown_by_the_ratio_view_only() {
        let mut member = sample::noread_pair();
        if let Some(end) = &mut member.local.status {
            end.status = model::PairStatus::Pfus;
        }
        let ratio = Columns { percent: true, ..LOCAL_COPY };
        assert!(shown(ratio, "snap", std::slice::from_ref(&member)).contains("PFUS"));
        let plain = shown(LOCAL_COPY, "snap", &[member]);
        assert!(plain.contains("PSUS") && !plain.contains("PFUS"));
    }

    #[test]
    fn a_volume_that_the_host_may_not_use_is_hidden() {
        let mut member = sample::noread_pair();
        if let Some(remote) = &mut member.remote {
            *remote = sample::hidden(remote);
        }
        let text = shown(LOCAL_COPY, "snap", std::slice::from_ref(&member));
        assert!(
            text.ends_with("snapdev1(R) (CL2-C ,25, 1-2)**** ****..****  ****,----- ---- -\n"),
            "{text}"
        );
        member.local = sample::hidden(&member.local);
        let columns = Columns { device: true, ..LOCAL_COPY };
        let text = shown(columns, "snap", &[member]);
        assert!(text.contains("snapdev1(L)  ****           **** ****..****  ****"), "{text}");
    }

    #[test]
    fn an_ldev_that_is_gone_leaves_dashes() {
        let mut member = sample::alone();
        member.local.status = None;
        member.local.path = None;
        let text = shown(LOCAL_COPY, "snap", &[member]);
        assert!(
            text.ends_with("pair1(L) (-     , -, --0)54321 1..----  ----,----- ---- -\n"),
            "{text}"
        );
    }
}
