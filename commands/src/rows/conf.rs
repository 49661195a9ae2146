//! Lines of a configuration made from found disks: `raidscan -find conf`, `mkconf` (`cci` 2.20).

use std::{
    collections::HashSet,
    io::{self, Write},
};

use confparse::Config;
use model::{GroupName, MuNumber, VolumeId};
use protocol::horcm::FoundDisk;

/// Which section the disks become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// HORCM_DEV: by port, target id and LUN.
    Paths,
    /// HORCM_LDEV: by serial number and LDEV.
    Ldevs,
}

/// Writes the volumes of one section, naming them `GROUP_000`, `GROUP_001` and so on.
#[derive(Debug)]
pub struct Section {
    form: Form,
    group: GroupName,
    mu: MuNumber,
    written: HashSet<VolumeId>,
    /// The number in the name of the first.
    first: usize,
    headed: bool,
}

impl Section {
    /// A section for a group, with this MU# on every line.
    #[must_use]
    pub fn new(form: Form, group: GroupName, mu: MuNumber) -> Self {
        Self { form, group, mu, written: HashSet::new(), first: 0, headed: false }
    }

    /// Numbers the volumes on behind those that the group has already.
    #[must_use]
    pub fn behind(mut self, config: &Config) -> Self {
        let start = format!("{}_", self.group);
        let numbers = config
            .volumes_of(&self.group)
            .filter_map(|volume| volume.name.as_str().strip_prefix(&start)?.parse::<u32>().ok());
        let next = numbers.max().map_or(0, |last| last.saturating_add(1));
        self.first = usize::try_from(next).unwrap_or(usize::MAX);
        self
    }

    /// How many volumes were written.
    #[must_use]
    pub fn volumes(&self) -> usize {
        self.written.len()
    }

    /// Writes a disk: as a volume, or as a comment that says why it is none.
    ///
    /// # Errors
    /// When the output does not take it.
    pub fn write(&mut self, out: &mut dyn Write, disk: &FoundDisk) -> io::Result<()> {
        if !std::mem::replace(&mut self.headed, true) {
            writeln!(out, "{}", heading(self.form))?;
        }
        let (serial, ldev) = (disk.volume.serial, disk.volume.ldev);
        let device = &disk.device;
        let about = format!("{device:<18} SER = {serial:>8} LDEV = {ldev:>4}");
        if disk.product.ends_with("-CM") {
            return writeln!(out, "# ERROR [CMDDEV] {about} [ {} ]", disk.product);
        }
        let Some(path) = disk.path else {
            return writeln!(out, "# ERROR [SERIAL] {about} [ no command device leads there ]");
        };
        if disk.holders.iter().any(|holder| holder.group == self.group) {
            return writeln!(out, "# ERROR [GROUP] {about} [ in {} already ]", self.group);
        }
        if !self.written.insert(disk.volume) {
            return writeln!(out, "# ERROR [LDEV LINK] {about} [ FIBRE FCTBL = 0 ]");
        }
        let name =
            format!("{}_{:03}", self.group, self.first.saturating_add(self.written.len() - 1));
        let (group, mu) = (&self.group, self.mu);
        let (port, target, lun) = (path.port.to_string(), path.target, path.lun);
        match self.form {
            Form::Paths => {
                writeln!(out, "# {about} [ FIBRE FCTBL = 0 ]")?;
                writeln!(out, "{group:<15} {name:<15} {port:<11} {target:>8} {lun:>7} {mu:>7}")
            }
            Form::Ldevs => {
                writeln!(out, "# {about} [ {port} TARG = {target} LUN = {lun} ]")?;
                writeln!(out, "{group:<15} {name:<15} {serial:<11} {ldev:>15} {mu:>7}")
            }
        }
    }
}

const fn heading(form: Form) -> &'static str {
    match form {
        Form::Paths => {
            "HORCM_DEV\n#dev_group      dev_name        port#       TargetID     LU#     MU#"
        }
        Form::Ldevs => {
            "HORCM_LDEV\n#dev_group      dev_name        Serial#     CU:LDEV(LDEV#)     MU#"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::sample;

    fn made(form: Form, disks: &[FoundDisk]) -> (String, usize) {
        let mut section = Section::new(form, "ORA".parse().unwrap(), MuNumber::default());
        let mut out = Vec::new();
        for disk in disks {
            section.write(&mut out, disk).unwrap();
        }
        (String::from_utf8(out).unwrap(), section.volumes())
    }

    fn parsed(text: &str) -> Vec<String> {
        let whole = format!("HORCM_CMD\n\\\\.\\PhysicalDrive0\n{text}");
        let config = confparse::parse(&whole).config.expect("a good configuration");
        config.volumes.iter().map(|v| format!("{} {} {:?}", v.group, v.name, v.at)).collect()
    }

    #[test]
    fn what_is_written_is_read_back_as_the_volumes_found() {
        let disks = sample::disks();
        let (text, count) = made(Form::Paths, &disks);
        assert_eq!(count, 2);
        let volumes = parsed(&text);
        assert!(volumes[0].starts_with("ORA ORA_000 Path"), "{volumes:?}");
        assert_eq!(volumes.len(), 2);
        let (text, _) = made(Form::Ldevs, &disks);
        assert!(parsed(&text)[1].starts_with("ORA ORA_001 Ldev"), "{text}");
    }

    #[test]
    fn a_group_that_is_there_already_is_numbered_on_and_holds_no_disk_twice() {
        let mut disks = sample::disks();
        let (first, _) = made(Form::Ldevs, &disks[..2]);
        let config = confparse::parse(&format!("HORCM_CMD\n/dev/sda\n{first}")).config.unwrap();
        disks[1].holders = sample::holders();
        for holder in &mut disks[1].holders {
            holder.group = "ORA".parse().unwrap();
        }
        let section = Section::new(Form::Ldevs, "ORA".parse().unwrap(), MuNumber::default());
        let (mut section, mut out) = (section.behind(&config), Vec::new());
        for disk in &disks {
            section.write(&mut out, disk).unwrap();
        }
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("# ERROR [GROUP] Harddisk1 "), "{text}");
        let volumes = parsed(&format!("{first}\n{text}"));
        assert_eq!(volumes.len(), 2, "{volumes:?}");
        assert!(volumes[1].starts_with("ORA ORA_001 Ldev"), "{volumes:?}");
    }

    #[test]
    fn disks_that_cannot_be_volumes_stand_as_errors_in_comments() {
        let mut disks = sample::disks();
        let mut second_path = disks[1].clone();
        second_path.device = "Harddisk7".to_owned();
        disks.push(second_path);
        let mut foreign = disks[2].clone();
        (foreign.unit, foreign.path) = (None, None);
        disks.push(foreign);
        let (text, count) = made(Form::Paths, &disks);
        assert_eq!(count, 2);
        let errors: Vec<_> = text.lines().filter(|line| line.contains("ERROR")).collect();
        assert!(errors[0].starts_with("# ERROR [CMDDEV] Harddisk0 "), "{errors:?}");
        assert!(errors[1].starts_with("# ERROR [LDEV LINK] Harddisk7 "), "{errors:?}");
        assert!(errors[2].starts_with("# ERROR [SERIAL] Harddisk2 "), "{errors:?}");
    }
}
