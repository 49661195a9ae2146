//! The `-h` text in CCI's shape, made from the option table (`cci` 2.0).

use std::fmt::Write as _;

use model::{Instance, Mode, version};

use crate::table::{Opt, Spec};

/// The platform as the first line of `-h` names it, such as `Linux/x64`.
#[must_use]
pub fn platform() -> String {
    let system = match std::env::consts::OS {
        "linux" => "Linux",
        "windows" => "WindowsNT",
        other => other,
    };
    let machine = match std::env::consts::ARCH {
        "x86_64" => "x64",
        other => other,
    };
    format!("{system}/{machine}")
}

/// What `-h` prints of a command that is called so. `mode` is `None` for commands that have none, such as `horcmstart`.
#[must_use]
pub fn text<R>(spec: &Spec<R>, call: &str, mode: Option<Mode>, instance: Instance) -> String {
    let mut text = format!(
        "Model  : RAID-Manager/{}\nVer&Rev: {}\nUsage  : {} [options]",
        platform(),
        version(),
        call
    );
    if let Some(operands) = spec.operands {
        let _ = write!(text, " {}", operands.shown);
    }
    if let Some(mode) = mode {
        let _ = write!(text, " for {mode}");
        if let Some(number) = instance.number() {
            let _ = write!(text, "[{number}]");
        }
    }
    text.push('\n');
    let mut line = |opt: &Opt, width: usize| {
        if opt.listed {
            let _ = writeln!(text, " {:<width$} {}", opt.shown, opt.doc);
        }
    };
    let (head, shared) = spec.common.split_at(spec.common.len().min(1));
    for opt in head.iter().flat_map(|group| group.iter()) {
        line(opt, 6);
    }
    for opt in shared.iter().flat_map(|group| group.iter()) {
        line(opt, 13);
    }
    for opt in spec.options {
        line(opt, 13);
    }
    if let Some(operands) = spec.operands {
        let _ = writeln!(text, " {:<13} {}", operands.shown, operands.doc);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find;

    #[test]
    fn raidqry_is_the_literal_sample_but_for_platform_and_version() {
        let two_hundred = "200".parse().unwrap();
        let text = text(find("raidqry").unwrap(), "raidqry", Some(Mode::Horc), two_hundred);
        let sample = "\
Usage  : raidqry [options] for HORC[200]
 -h     Help/Usage
 -I[#]  Set to HORCMINST#
 -IH[#] or -ITC[#] Set to HORC mode [and HORCMINST#]
 -IM[#] or -ISI[#] Set to MRCF mode [and HORCMINST#]
 -z     Set to the interactive mode
 -zx    Set to the interactive mode and HORCM monitoring
 -q     Quit(Return to main())
 -g            Specify for getting all group name on local
 -l            Specify the local query
 -lm           Specify the local query with full micro version
 -r <group>    Specify the remote query
 -f            Specify display for floatable host
";
        let (head, usage) = text.split_at(text.find("Usage").unwrap());
        assert_eq!(usage, sample);
        let lines: Vec<_> = head.lines().collect();
        assert!(lines[0].starts_with("Model  : RAID-Manager/"));
        assert_eq!(lines[1], format!("Ver&Rev: {}", version()));
    }

    #[test]
    fn the_version_has_four_pairs_of_digits() {
        let digits: Vec<_> = version().split(['-', '/']).map(str::len).collect();
        assert_eq!(digits, [2, 2, 2, 2]);
    }
}
