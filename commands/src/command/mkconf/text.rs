//! The parts of the configuration that `mkconf` writes besides its volumes.

use std::fmt::Write as _;

use confparse::Service;
use model::{GroupName, Serial};
use scsi::disks::names::{self, Name};

use crate::command_log;

/// From the first line to the command devices.
pub(super) fn head(service: &Service, devices: &[(Serial, String)], seconds: u64) -> String {
    let mut text = format!(
        "# Created by mkconf on {}\n\n\
         HORCM_MON\n\
         #ip_address        service         poll(10ms)     timeout(10ms)\n\
         127.0.0.1          {:<15}       1000              3000\n\n\
         HORCM_CMD\n\
         #dev_name               dev_name                dev_name\n",
        command_log::ctime(seconds),
        service.to_string()
    );
    for (unit, (serial, device)) in devices.iter().enumerate() {
        let _ = write!(text, "#UnitID {unit} (Serial# {serial})\n{device}\n");
    }
    text
}

/// A disk as HORCM_CMD spells it.
pub(super) fn command_device(device_file: &str) -> String {
    match names::expand(device_file).as_slice() {
        [Name::Harddisk(number)] => format!(r"\\.\PhysicalDrive{number}"),
        _ => device_file.to_owned(),
    }
}

/// HORCM_INST of a group. Where the other instance is nobody can know yet; its service here is
/// another than this instance's, which would be no partner.
pub(super) fn peer(group: &GroupName, service: &Service) -> String {
    let heading = "HORCM_INST\n#dev_group      ip_address      service\n";
    match service {
        Service::Port(port) => {
            let other = port.checked_add(1).unwrap_or(port - 1);
            format!("{heading}{group:<15} 127.0.0.1       {other}\n")
        }
        Service::Name(_) => format!("{heading}# {group} <ip_address> <service>\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_text_is_a_configuration_that_may_be_read() {
        let group = "ORA".parse().unwrap();
        for word in ["52323", "65535", "horcm9"] {
            let service: Service = word.parse().unwrap();
            let devices = [(Serial::new(62_496).unwrap(), command_device("Harddisk0"))];
            let text = format!(
                "{}\nHORCM_LDEV\nORA ORA_000 62496 18 0\n{}",
                head(&service, &devices, 0),
                peer(&group, &service)
            );
            let config = confparse::parse(&text).config.expect("a good configuration");
            assert_eq!(config.units[0].devices[0].to_string(), r"\\.\PhysicalDrive0");
            let own = config.monitor.unwrap().service;
            assert_eq!(own.to_string(), word);
            assert!(config.remotes.iter().all(|remote| remote.service != own), "{text}");
        }
        assert_eq!(command_device("/dev/sdc"), "/dev/sdc");
    }
}
