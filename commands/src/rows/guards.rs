//! Rows of `raidvchkdsp -v gflag` (`cci` 5.2): `E` is enabled, `D` is disabled by the guard.

use std::io::{self, Write};

use model::GroupName;
use protocol::{
    horcm::{Member, Row},
    orders::GuardState,
};

use super::cells::{RowSide, volume};

/// How `raidvchkdsp -f..` shows a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GuardColumns {
    /// `-fx`: LDEV numbers in hexadecimal.
    pub hex: bool,
}

/// The heading, without line end.
pub const HEADING: &str =
    "Group   PairVol       Device_File     Seq#   LDEV#  GI-C-R-W-S  PI-C-R-W-S  R-Time";

/// Writes one row of one side.
///
/// # Errors
/// When the output does not take it.
pub fn write_row(
    out: &mut dyn Write,
    columns: GuardColumns,
    group: &GroupName,
    member: &Member,
    side: RowSide,
) -> io::Result<()> {
    let row: Option<&Row> = match side {
        RowSide::Local => Some(&member.local),
        RowSide::Remote => member.remote.as_ref(),
    };
    let Some(row) = row else { return Ok(()) };
    let (serial, number, device) = volume(row, columns.hex);
    write!(out, "{group:<7} {:<13} {device:<13} {serial:>6} {number:>7}  ", member.name)?;
    match row.guard {
        None => writeln!(out, "- - - - -   - - - - -        -"),
        Some(state) => writeln!(
            out,
            "{}   {}   {:>6}",
            permitted(state),
            changeable(state),
            state.retention_days
        ),
    }
}

/// `GI-C-R-W-S`: what hosts may do.
fn permitted(state: GuardState) -> String {
    letters(state.guard.flags())
}

/// `PI-C-R-W-S`: which guards may be lowered now. A guard that is not set, or whose retention
/// time is over, may.
fn changeable(state: GuardState) -> String {
    letters(state.guard.flags().map(|guarded| guarded && state.retention_days > 0))
}

fn letters(disabled: [bool; 5]) -> String {
    disabled.map(|disabled| if disabled { "D" } else { "E" }).join(" ")
}

#[cfg(test)]
mod tests {
    use model::{Guard, GuardType};

    use super::*;
    use crate::rows::sample;

    fn row(guard: Option<GuardState>) -> String {
        let mut member = sample::alone();
        member.name = "oradb2".parse().unwrap();
        member.local.volume = sample::volume(2332, 3);
        member.local.device = Some("c4t0d3".to_owned());
        member.local.guard = guard;
        let mut out = Vec::new();
        let group = "vg01".parse().unwrap();
        write_row(&mut out, GuardColumns::default(), &group, &member, RowSide::Local).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn words(line: &str) -> Vec<&str> {
        line.split_whitespace().collect()
    }

    #[test]
    fn a_guard_under_retention_is_the_sample_row() {
        let state = GuardState { guard: Guard::of(GuardType::Rwd), retention_days: 365 };
        let sample = "vg01 oradb2 c4t0d3 2332 3 E E D D E E E D D E 365";
        assert_eq!(words(&row(Some(state))), words(sample));
    }

    #[test]
    fn a_guard_without_retention_may_be_lowered() {
        let state = GuardState { guard: Guard::of(GuardType::Inv), retention_days: 0 };
        let sample = "vg01 oradb2 c4t0d3 2332 3 D D D D E E E E E E 0";
        assert_eq!(words(&row(Some(state))), words(sample));
    }

    #[test]
    fn a_volume_that_the_host_may_not_use_is_hidden() {
        let mut member = sample::alone();
        member.local = sample::hidden(&member.local);
        let mut out = Vec::new();
        let group = "vg01".parse().unwrap();
        write_row(&mut out, GuardColumns::default(), &group, &member, RowSide::Local).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(words(&text)[..6], ["vg01", "pair1", "****", "****", "****", "-"]);
        assert_eq!(words(&text).len(), 16);
    }

    #[test]
    fn an_unknown_guard_leaves_a_dash_in_every_column() {
        assert_eq!(words(&row(None)).len(), 16);
        assert_eq!(words(HEADING).len(), 8);
    }
}
