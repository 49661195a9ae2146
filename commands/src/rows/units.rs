//! Rows of `raidqry` (`cci` 2.15).

use std::io::{self, Write};

use protocol::{horcm::GroupInfo, orders::Identity};

use super::cells::or_dashes;

/// The heading of `-l` and `-r`, without line end.
pub const HEADING: &str =
    "  No  Group    Hostname     HORCM_ver   Uid   Serial#   Micro_ver     Cache(MB)";

/// The heading of `-g`, without line end.
pub const GROUPS_HEADING: &str = "GNo  Group           RAID_type      IV/H  IV/M  MUN/H  MUN/M";

/// Writes one storage system. `group` is `---` for the local query.
///
/// # Errors
/// When the output does not take it.
pub fn write_unit(
    out: &mut dyn Write,
    unit: usize,
    group: &str,
    host: &str,
    version: &str,
    identity: Option<&Identity>,
) -> io::Result<()> {
    let serial = or_dashes(identity.map(|i| i.serial.get()), "-");
    let microcode = or_dashes(identity.map(|i| i.microcode.as_str()), "-");
    let cache = or_dashes(identity.map(|i| i.cache_mb), "-");
    writeln!(
        out,
        "{:>4} {group:>6} {host:>11} {version:>13} {unit:>5} {serial:>8} {microcode:>14} {cache:>11}",
        unit + 1
    )
}

/// Writes one group of `-g`. The interface versions and mirror counts are those of the vendor's
/// own microcode; there is nothing to say in their place.
///
/// # Errors
/// When the output does not take it.
pub fn write_group(out: &mut dyn Write, number: usize, info: &GroupInfo) -> io::Result<()> {
    writeln!(
        out,
        " {number:>2}  {:<15} {:<12} {:>6} {:>5} {:>6} {:>6}",
        info.group,
        word(&info.raid_type),
        "-",
        "-",
        "-",
        "-"
    )
}

/// A text of the array as one word of a line.
fn word(text: &str) -> String {
    let word: String = text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    if word.is_empty() { "-".to_owned() } else { word }
}

#[cfg(test)]
mod tests {
    use model::Serial;

    use super::*;

    #[test]
    fn a_local_unit_is_the_literal_row() {
        let identity = Identity {
            serial: Serial::new(471_234).unwrap(),
            model: "VSP".to_owned(),
            microcode: "83-01-28/00".to_owned(),
            cache_mb: 320_000,
            ldevs: 0,
            mirrors: 3,
            security: protocol::orders::Security::default(),
        };
        let mut out = format!("{HEADING}\n").into_bytes();
        write_unit(&mut out, 0, "---", "localhost", "01-35-03-08", Some(&identity)).unwrap();
        let sample =
            "  No  Group    Hostname     HORCM_ver   Uid   Serial#   Micro_ver     Cache(MB)
   1    ---   localhost   01-35-03-08     0   471234    83-01-28/00      320000
";
        assert_eq!(String::from_utf8(out).unwrap(), sample);
    }

    #[test]
    fn a_unit_that_does_not_answer_keeps_its_columns() {
        let mut out = Vec::new();
        write_unit(&mut out, 1, "snap", "backup", "00-01-00/00", None).unwrap();
        let text = String::from_utf8(out).unwrap();
        let words: Vec<_> = text.split_whitespace().collect();
        assert_eq!(words, ["2", "snap", "backup", "00-01-00/00", "1", "-", "-", "-"]);
    }

    #[test]
    fn group_rows_begin_with_a_blank_and_have_at_least_five_words() {
        let info = GroupInfo {
            group: "snap".parse().unwrap(),
            volumes: 1,
            serial: Serial::new(62496).unwrap(),
            raid_type: "9980 V".to_owned(),
        };
        let mut out = Vec::new();
        write_group(&mut out, 1, &info).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with(' ') && GROUPS_HEADING.starts_with("GNo  Group"));
        assert_eq!(text.split_whitespace().count(), GROUPS_HEADING.split_whitespace().count());
    }
}
