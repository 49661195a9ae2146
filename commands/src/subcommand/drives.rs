//! `findcmddev`, `drivescan` and `portscan`.

use std::ops::RangeInclusive;

use model::Code;

use super::failed;
use crate::{
    failure::Outcome,
    finding::{device_list, disks, host},
    rows::drives::{write_command_device, write_drive, write_port},
    session::Session,
};

/// Where command devices are, among these disks or all.
pub(super) fn findcmddev(session: &mut Session<'_, '_>, words: &[String]) -> Outcome {
    for disk in listed(session, words)? {
        write_command_device(session.out(), &disk)?;
    }
    Ok(0)
}

/// How drives are attached, and which LDEVs they are.
pub(super) fn drivescan(session: &mut Session<'_, '_>, words: &[String]) -> Outcome {
    for disk in listed(session, words)? {
        write_drive(session.out(), &disk)?;
    }
    Ok(0)
}

/// The disks of a list. Of a range, those that are there, and it may be none.
fn listed(
    session: &mut Session<'_, '_>,
    words: &[String],
) -> Result<Vec<scsi::disks::HostDisk>, crate::failure::Failure> {
    let all = ["$Phys".to_owned()];
    let names = device_list(session, if words.is_empty() { &all } else { words })?;
    let found = disks(session, &names);
    match found {
        Err(error) if error.code == Code::ExEnodev && names.len() > 1 => Ok(Vec::new()),
        found => Ok(found?),
    }
}

/// What is behind the kernel's SCSI adapters.
pub(super) fn portscan(session: &mut Session<'_, '_>, words: &[String]) -> Outcome {
    let numbers = match words.first() {
        None => 0..=u32::MAX,
        Some(word) => range(word).ok_or_else(|| {
            failed(
                "portscan",
                Code::ExInvarg,
                format!("{word}: expected port#,#, such as port0,20"),
            )
        })?,
    };
    let host = host(session.world)?;
    for (number, devices) in scsi::disks::ports::ports(&host.sys, &numbers) {
        write_port(session.out(), number, &devices)?;
    }
    Ok(0)
}

/// `port0,20`, `0,20` or `3`.
fn range(word: &str) -> Option<RangeInclusive<u32>> {
    let digits = word.strip_prefix("port").unwrap_or(word);
    let (first, last) = digits.split_once([',', '-']).unwrap_or((digits, digits));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ports_are_written_as_the_manual_writes_them() {
        assert_eq!(range("port0,20"), Some(0..=20));
        assert_eq!(range("0,3"), Some(0..=3));
        assert_eq!(range("7"), Some(7..=7));
        assert_eq!((range("port"), range("port0,x")), (None, None));
    }
}
