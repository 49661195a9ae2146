//! Rows of `pairdisplay -CLI`: one word a column, `-` for a missing value (`cci` 2.13, 8).

use std::io::{self, Write};

use model::{GroupName, Mode};
use protocol::horcm::{Member, Row};

use super::{
    cells::{Cells, Columns, HIDDEN, RowSide, ldev, or_dashes, volume},
    pairs::path,
};

/// The heading, without line end. `LU-M` stands over two columns; every other word over one.
#[must_use]
pub fn heading(columns: Columns) -> String {
    let place = match (columns.device, columns.mode) {
        (true, Mode::Homrcf) => "Device_File    M ",
        (true, Mode::Horc) => "Device_File   ",
        (false, Mode::Homrcf) => "Port#    TID LU-M",
        (false, Mode::Horc) => "Port#    TID LU ",
    };
    let fence = match columns.mode {
        Mode::Homrcf => " ",
        Mode::Horc => "Fence  ",
    };
    let third = if columns.percent { "   %" } else { "Seq#      " };
    let extended = match (columns.extended, columns.mode) {
        (false, _) => "",
        (true, Mode::Homrcf) => " CTG CM EM       E-Seq# E-LDEV#",
        (true, Mode::Horc) => " CTG JID AP EM       E-Seq# E-LDEV#",
    };
    format!(
        "Group   PairVol       L/R {place} Seq#       LDEV# P/S   Status {fence}{third} P-LDEV# M\
         {extended}"
    )
}

/// Writes the rows of one volume.
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
        write!(out, "{group:<7} {:<13} {:<3} ", member.name, side.letter())?;
        write_place(out, columns, row)?;
        let (serial, number, _) = volume(row, columns.hex);
        write!(out, " {serial:<10} {number:>5} ")?;
        let missing = if row.permitted { "-" } else { HIDDEN };
        write_pair(out, columns, &Cells::of(row.status.as_ref(), columns), missing)?;
    }
    Ok(())
}

fn write_place(out: &mut dyn Write, columns: Columns, row: &Row) -> io::Result<()> {
    let mu = row.mu.get();
    if columns.device {
        let (_, _, device) = volume(row, columns.hex);
        return match columns.mode {
            Mode::Homrcf => write!(out, "{device:<14} {mu:<2}"),
            Mode::Horc => write!(out, "{device:<14}"),
        };
    }
    let (port, target, lun) = path(row.path.as_ref());
    match columns.mode {
        Mode::Homrcf => write!(out, "{port:<8} {target:>3} {lun:<2} {mu}"),
        Mode::Horc => write!(out, "{port:<8} {target:>3} {lun:<3}"),
    }
}

fn write_pair(
    out: &mut dyn Write,
    columns: Columns,
    cells: &Cells,
    missing: &str,
) -> io::Result<()> {
    let role = cells.role.unwrap_or(missing);
    let status = cells.status.unwrap_or(if cells.role.is_some() { "-" } else { missing });
    write!(out, "{role:<5} ")?;
    match columns.mode {
        Mode::Homrcf => write!(out, "{status:<7} ")?,
        Mode::Horc => write!(out, "{status:<6} {:<6} ", "-")?,
    }
    if columns.percent {
        write!(out, "{:>4}", or_dashes(cells.percent, "-"))?;
    } else {
        write!(out, "{:<10}", or_dashes(cells.partner_serial, "-"))?;
    }
    let partner = or_dashes(cells.partner_ldev.map(|l| ldev(l, columns.hex)), "-");
    write!(out, " {partner:>7} {}", cells.mark)?;
    if columns.extended {
        let ctg = or_dashes(cells.ctg, "-");
        match (columns.mode, cells.status) {
            (Mode::Homrcf, Some(_)) => write!(out, " {ctg:>3}  N - {:>12} {:>7}", "-", "-")?,
            (Mode::Homrcf, None) => write!(out, " {ctg:>3}  - - {:>12} {:>7}", "-", "-")?,
            (Mode::Horc, _) => {
                write!(out, " {ctg:>3} {:>3} {:>2} - {:>12} {:>7}", "-", "-", "-", "-")?;
            }
        }
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::sample;

    fn shown(columns: Columns, group: &str, member: &Member) -> String {
        let mut out = format!("{}\n", heading(columns)).into_bytes();
        write_member(&mut out, columns, &group.parse().unwrap(), member).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn words(line: &str) -> Vec<&str> {
        line.split_whitespace().collect()
    }

    const LOCAL_COPY: Columns =
        Columns { mode: Mode::Homrcf, hex: false, percent: false, device: false, extended: false };

    #[test]
    fn a_split_pair_is_the_literal_sample_word_by_word() {
        let sample = "\
Group   PairVol       L/R Port#    TID LU-M Seq#       LDEV# P/S   Status  Seq#       P-LDEV# M
cg0 VSP-LDEV-0-1  L   CL1-A-0    0 0  0 492015     0 P-VOL PSUS    492015       1 W
cg0 VSP-LDEV-0-1  R   CL1-A-0    0 1  0 492015     1 S-VOL SSUS    -                0 -
";
        let text = shown(LOCAL_COPY, "cg0", &sample::split_for_cli());
        let pairs = text.lines().zip(sample.lines());
        pairs.for_each(|(ours, literal)| assert_eq!(words(ours), words(literal)));
        assert_eq!(text.lines().next(), sample.lines().next());
        assert!(text.ends_with("S-VOL SSUS    -                0 -\n"));
    }

    #[test]
    fn with_devices_the_mu_stands_before_the_serial() {
        let columns = Columns { hex: true, percent: true, device: true, ..LOCAL_COPY };
        let (p, s) = (sample::volume(85827, 0x401f), sample::volume(85827, 0x4047));
        let row = sample::row(sample::path("CL1-A", 0, 0), p, 1);
        let mut row = sample::paired(row, model::Role::PVol, model::PairStatus::Psus, 99, s, 0);
        row.device = Some("disk80".to_owned());
        if let Some(end) = &mut row.status {
            end.svol_writable = true;
        }
        let member = Member { name: "40:1f_40:47".parse().unwrap(), local: row, remote: None };
        let text = shown(columns, "vgInterfaces", &member);
        let literal = "vgInterfaces    40:1f_40:47 L   disk80         1  85827  401f P-VOL PSUS    99    4047 W";
        assert_eq!(words(text.lines().nth(1).unwrap()), words(literal));
    }

    #[test]
    fn rows_have_as_many_words_as_their_heading_but_for_lu_m() {
        for bits in 0..32_u8 {
            let columns = Columns {
                mode: if bits & 16 == 0 { Mode::Homrcf } else { Mode::Horc },
                hex: bits & 1 != 0,
                percent: bits & 2 != 0,
                device: bits & 4 != 0,
                extended: bits & 8 != 0,
            };
            for member in [sample::noread_pair(), sample::unpaired(), sample::alone()] {
                let text = shown(columns, "snap", &member);
                let counts: Vec<_> = text.lines().map(|line| words(line).len()).collect();
                let extra = usize::from(columns.mode == Mode::Homrcf && !columns.device);
                assert!(counts[1..].iter().all(|n| *n == counts[0] + extra), "{text}");
            }
        }
    }

    #[test]
    fn the_windows_heading_of_the_reference_keeps_its_words() {
        let columns = Columns { mode: Mode::Horc, device: true, ..Columns::default() };
        assert_eq!(
            words(&heading(columns)),
            words("Group PairVol L/R Device_File Seq# LDEV# P/S Status Fence Seq# P-LDEV# M")
        );
    }
}
