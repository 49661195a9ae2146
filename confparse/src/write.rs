//! A configuration as text, which parses to the same configuration.

use std::fmt;

use crate::config::{Address, Config, Monitor, Remote, Volume};

impl fmt::Display for Config {
    /// A complete `horcm*.conf` with the customary column headings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = Gap(false);
        if let Some(monitor) = &self.monitor {
            gap.section(f, "HORCM_MON")?;
            monitor.fmt(f)?;
        }
        if !self.units.is_empty() {
            gap.section(f, "HORCM_CMD")?;
            f.write_str("#dev_name        dev_name        dev_name\n")?;
            for unit in &self.units {
                for (at, device) in unit.devices.iter().enumerate() {
                    write!(f, "{}{device}", if at == 0 { "" } else { " " })?;
                }
                f.write_str("\n")?;
            }
        }
        // Rows of one kind stand under one name; a change of kind begins the section again, so
        // that the order of the rows survives.
        let by_path = |volume: &Volume| matches!(volume.at, Address::Path(_));
        for rows in self.volumes.chunk_by(|a, b| by_path(a) == by_path(b)) {
            volumes(f, &mut gap, rows)?;
        }
        if !self.ldev_groups.is_empty() {
            gap.section(f, "HORCM_LDEVG")?;
            f.write_str("#Copy_group     ldev_group      Serial#\n")?;
            for row in &self.ldev_groups {
                writeln!(f, "{:<15} {:<15} {}", row.copy_group, row.ldev_group, row.serial)?;
            }
        }
        let by_path = |remote: &Remote| remote.path_id.is_some();
        for rows in self.remotes.chunk_by(|a, b| by_path(a) == by_path(b)) {
            remotes(f, &mut gap, rows)?;
        }
        if !self.allowed.is_empty() {
            gap.section(f, "HORCM_ALLOW_INST")?;
            f.write_str("#ip_address      service\n")?;
            for row in &self.allowed {
                match &row.service {
                    Some(service) => writeln!(f, "{:<16} {service}", row.host)?,
                    None => writeln!(f, "{}", row.host)?,
                }
            }
        }
        for section in &self.others {
            gap.section(f, &section.name)?;
            section.lines.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        }
        Ok(())
    }
}

/// An empty line before every section but the first.
struct Gap(bool);

impl Gap {
    fn section(&mut self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        if std::mem::replace(&mut self.0, true) {
            f.write_str("\n")?;
        }
        writeln!(f, "{name}")
    }
}

impl fmt::Display for Monitor {
    /// Heading and row of `HORCM_MON`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ticks = |time: std::time::Duration| time.as_nanos().div_ceil(Self::TICK.as_nanos());
        f.write_str("#ip_address      service          poll(10ms)      timeout(10ms)\n")?;
        write!(f, "{:<16} {:<16} ", self.address, self.service)?;
        match self.poll {
            Some(poll) => write!(f, "{:<15} ", ticks(poll))?,
            None => write!(f, "{:<15} ", -1)?,
        }
        writeln!(f, "{}", ticks(self.timeout))
    }
}

fn volumes(f: &mut fmt::Formatter<'_>, gap: &mut Gap, rows: &[Volume]) -> fmt::Result {
    for (at, row) in rows.iter().enumerate() {
        if at == 0 {
            let (name, heading) = match row.at {
                Address::Path(_) => (
                    "HORCM_DEV",
                    "#dev_group      dev_name        port#           TargetID        LU#             MU#",
                ),
                Address::Ldev(_) => (
                    "HORCM_LDEV",
                    "#dev_group      dev_name        Serial#         CU:LDEV(LDEV#)  MU#",
                ),
            };
            gap.section(f, name)?;
            writeln!(f, "{heading}")?;
        }
        write!(f, "{:<15} {:<15} ", row.group, row.name)?;
        let last: u32 = match row.at {
            Address::Path(path) => {
                let port = path.port.to_string();
                write!(f, "{port:<15} {:<15} ", path.target)?;
                path.lun.into()
            }
            Address::Ldev(volume) => {
                write!(f, "{:<15} ", volume.serial)?;
                volume.ldev.into()
            }
        };
        match row.mu {
            Some(mu) => writeln!(f, "{last:<15} {mu}")?,
            None => writeln!(f, "{last}")?,
        }
    }
    Ok(())
}

fn remotes(f: &mut fmt::Formatter<'_>, gap: &mut Gap, rows: &[Remote]) -> fmt::Result {
    for (at, row) in rows.iter().enumerate() {
        if at == 0 && row.path_id.is_some() {
            gap.section(f, "HORCM_INSTP")?;
            f.write_str("#dev_group      ip_address       service         pathID\n")?;
        } else if at == 0 {
            gap.section(f, "HORCM_INST")?;
            f.write_str("#dev_group      ip_address       service\n")?;
        }
        write!(f, "{:<15} {:<16} ", row.group, row.host)?;
        match row.path_id {
            Some(path_id) => writeln!(f, "{:<15} {path_id}", row.service)?,
            None => writeln!(f, "{}", row.service)?,
        }
    }
    Ok(())
}
