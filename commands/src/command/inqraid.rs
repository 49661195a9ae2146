//! `inqraid`: which LDEV each disk of this host is (`cci` 5b). The disks are asked; no daemon need
//! run.

use model::{CciResult, Code};
use scsi::disks::{HostDisk, names::Name};

use super::inqraid_find::find_pairs;
use crate::{
    failure::{Outcome, not_there_yet, usage},
    finding::{device_list, disks},
    parse::Typed,
    rows::disks::{DiskColumns, Form, heading, write_dump, write_full, write_row},
    session::Session,
    table::{Arity, COMMON, Operands, Opt, Spec},
    volume_info,
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "inqraid",
    also: &[],
    about: "Shows which LDEV each disk of this host is",
    common: &[COMMON],
    options: &[
        Opt::flag("quit", "-quit", "Quit(Return to main())"),
        Opt::new(
            "CLI",
            Arity::Letters("WPNB"),
            "-CLI[W|P|WP|WN|B]",
            "Specify a row a disk: W P with LUNs and PWWN, WN with NWWN, B with BNM",
        ),
        Opt::flag(
            "sort",
            "-sort [CM]",
            "Specify to sort by Serial# and LDEV#; CM only command devices",
        ),
        Opt::flag("CM", "-CM", "Specify only command devices, for -sort"),
        Opt::new(
            "f",
            Arity::Letters("xlpwvg"),
            "-f<x|l|p|w|v|g>",
            "Specify x LDEV# in hexadecimal, l the LDEV's attribute, p names as beginnings, w wide columns, v names by volume, g the host group",
        ),
        Opt::flag("find", "-find", "Specify to show the pairs of the disks, as pairdisplay does")
            .against(&["findc"]),
        Opt::flag("findc", "-findc", "Specify the same by one word for each column"),
        Opt::flag("gvinf", "-gvinf", "Specify to keep the partition table of the disks in files")
            .against(&["svinf"]),
        Opt::new(
            "svinf",
            Arity::Value,
            "-svinf[=PTN]",
            "Specify to write what -gvinf kept back to the disks, or those that begin with PTN",
        ),
        Opt::flag(
            "gplba",
            "-gplba",
            "Specify to show where partitions begin and how long they are",
        ),
        Opt::flag("inqdump", "-inqdump", "Specify to show the bytes of INQUIRY data and VPD pages"),
        Opt::flag("pin", "-pin", "Not supported").unlisted(),
    ],
    operands: Some(Operands {
        shown: "[device...|$Phys|$Volume|$LETALL]",
        doc: "The disks; without any, those named on standard input",
    }),
    run,
};

fn run(session: &mut Session<'_, '_>, typed: &Typed) -> Outcome {
    if typed.has("quit") {
        return Ok(0);
    }
    if typed.has("pin") {
        return Err(
            not_there_yet("-pin", "-pin, of which no public manual says what it does,").into()
        );
    }
    let columns = columns(session, typed)?;
    let sorted = typed.has("sort");
    let letter = |letter| typed.word("f").is_some_and(|letters| letters.contains(letter));
    let mut words = typed.operands().to_vec();
    let only_command_devices = typed.has("CM") || sorted && words.iter().any(|word| word == "CM");
    if sorted {
        words.retain(|word| word != "CM");
    }
    let mut names = device_list(session, &words)?;
    if let Some(pattern) = typed.word("svinf") {
        names.retain(|name| begins(&name.to_string(), pattern));
    }
    let mut found = if letter('p') {
        beginning(session, &names)?
    } else {
        if letter('v') && names.is_empty() {
            names.push(Name::Volumes);
        }
        disks(session, &names)?
    };
    if only_command_devices {
        found.retain(|disk| disk.identity.as_ref().is_some_and(|i| i.command_device));
    }
    if sorted {
        found.sort_by_key(|disk| {
            let identity = disk.identity.as_ref().map(|i| (i.serial, i.ldev));
            (identity.is_none(), identity)
        });
    }
    if typed.has("gvinf") {
        return volume_info::keep(session, &found);
    }
    if typed.has("svinf") {
        return volume_info::restore(session, &found);
    }
    if typed.has("gplba") {
        return volume_info::show_partitions(session, &found);
    }
    if typed.has("find") || typed.has("findc") {
        return find_pairs(session, typed, &found);
    }
    if letter('v') {
        name_by_volume(&mut found);
    }
    show(session, typed, columns, &found)
}

fn show(
    session: &mut Session<'_, '_>,
    typed: &Typed,
    columns: DiskColumns,
    found: &[HostDisk],
) -> Outcome {
    let out = session.out();
    if typed.has("inqdump") {
        for disk in found {
            write_dump(out, disk)?;
        }
    } else if typed.has("CLI") {
        writeln!(out, "{}", heading(columns))?;
        for disk in found {
            write_row(out, columns, disk)?;
        }
    } else {
        for disk in found {
            write_full(out, columns, disk)?;
        }
    }
    Ok(0)
}

fn columns(session: &Session<'_, '_>, typed: &Typed) -> CciResult<DiskColumns> {
    let form = match typed.word("CLI").unwrap_or_default() {
        "" => Form::Standard,
        "B" => Form::BlockNumber,
        "W" | "P" | "WP" | "PW" => Form::PortName,
        "N" | "WN" | "NW" => Form::NodeName,
        letters => {
            let option = format!("-CLI{letters}");
            let wrong = "expected one of -CLI, -CLIW, -CLIP, -CLIWP, -CLIWN and -CLIB";
            return Err(usage(session.command, Code::ExUnwopt, &option, wrong));
        }
    };
    let letter = |letter| typed.word("f").is_some_and(|letters| letters.contains(letter));
    Ok(DiskColumns {
        form,
        hex: letter('x'),
        wide: letter('w'),
        host_group: letter('g'),
        attributes: letter('l'),
    })
}

/// Whether a name begins with a pattern, in capitals or not; any begins with none.
fn begins(name: &str, pattern: &str) -> bool {
    let start = name.as_bytes().get(..pattern.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(pattern.as_bytes()))
}

/// `-fp`: all disks and volumes whose names begin with one of those of the list.
fn beginning(session: &mut Session<'_, '_>, names: &[Name]) -> CciResult<Vec<HostDisk>> {
    let mut all = disks(session, &[Name::Physical, Name::Volumes])?;
    let starts: Vec<String> = names.iter().map(ToString::to_string).collect();
    let fits = |disk: &HostDisk| starts.iter().any(|start| disk.device_file.starts_with(start));
    let mut seen = std::collections::HashSet::new();
    all.retain(|disk| fits(disk) && seen.insert(disk.device_file.clone()));
    Ok(all)
}

/// `-fv`: the name that a volume keeps wherever it is attached, where the host knows one.
fn name_by_volume(disks: &mut [HostDisk]) {
    let links = std::fs::read_dir("/dev/disk/by-uuid").into_iter().flatten().flatten();
    let links: Vec<_> = links
        .filter_map(|link| Some((std::fs::canonicalize(link.path()).ok()?, link.path())))
        .collect();
    for disk in disks {
        let Ok(real) = std::fs::canonicalize(&disk.device_file) else { continue };
        if let Some((_, link)) = links.iter().find(|(device, _)| *device == real) {
            disk.device_file = link.display().to_string();
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::path::Path;

    use protocol::horcm::Reply;

    use crate::{fake::Fake, partitions::tests::sample, rows};

    /// A file as `horcm attach` makes it of LDEV `number` of 62496, on CL2-C.
    fn attached(path: &Path, number: u32, product: &str) {
        std::fs::write(path, vec![0; 1 << 20]).unwrap();
        let mut inquiry = vec![0, 0, 6, 0x12, 31, 0, 0, 2];
        inquiry.extend(format!("HITACHI {product:<16}2114").bytes());
        let mut page = vec![0, 0xc0, 0, 28, 0, 0, 0xf4, 0x20];
        page.extend(number.to_be_bytes());
        page.extend([0, 1, u8::from(product.ends_with("-CM")), 0]);
        page.extend(format!("{:<16}", "CL2-C").bytes());
        for (name, value) in [("user.scsi.inquiry", inquiry), ("user.scsi.vpd_pgc0", page)] {
            rustix::fs::setxattr(path, name, &value, rustix::fs::XattrFlags::empty()).unwrap();
        }
    }

    fn words(text: &str) -> Vec<String> {
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    struct Files {
        dir: tempfile::TempDir,
        fake: Fake,
    }

    impl Files {
        /// LDEV 19, 16 (a command device) and 18 as files `c`, `a` and `b`.
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            for (name, number, product) in
                [("c", 19, "OPEN-3"), ("a", 16, "OPEN-3-CM"), ("b", 18, "OPEN-3")]
            {
                attached(&dir.path().join(name), number, product);
            }
            Self { dir, fake: Fake::done() }
        }

        fn list(&self) -> String {
            ["c", "a", "b"].map(|name| self.path(name)).join(" ")
        }

        fn path(&self, name: &str) -> String {
            self.dir.path().join(name).display().to_string()
        }

        /// Exit code, and rows without their first word.
        fn rows(&mut self, options: &str) -> Vec<String> {
            let line = format!("{options} {}", self.list());
            let ran = self.fake.run("inqraid", &line);
            assert_eq!((ran.code, ran.errors.as_str()), (0, ""), "{line}");
            words(&ran.output).iter().map(|r| r.split_once(' ').unwrap().1.to_owned()).collect()
        }
    }

    #[test]
    fn rows_stand_in_the_order_of_the_list_or_sorted() {
        let mut files = Files::new();
        let rows = files.rows("-CLI");
        assert_eq!(rows[1], "CL2-C 62496 19 - - - - OPEN-3");
        assert_eq!(rows[2], "CL2-C 62496 16 - - - - OPEN-3-CM");
        let sorted = files.rows("-CLI -sort -fx");
        assert_eq!(sorted[1], "CL2-C 62496 10 - - - - OPEN-3-CM");
        assert_eq!(sorted[3], "CL2-C 62496 13 - - - - OPEN-3");
        for options in ["-CLI -sort -CM", "-CLI -sort CM"] {
            assert_eq!(files.rows(options)[1..], ["CL2-C 62496 16 - - - - OPEN-3-CM"]);
        }
    }

    #[test]
    fn a_list_on_standard_input_is_as_good_and_what_is_no_disk_is_left_out() {
        let mut files = Files::new();
        files.fake.input = format!("{}\n/dev/null\n{}\n", files.list(), files.path("nothing"));
        for line in ["-CLI", "-CLI -"] {
            let ran = files.fake.run("inqraid", line);
            assert_eq!((ran.code, ran.output.lines().count()), (0, 4), "{}", ran.errors);
        }
    }

    #[test]
    fn mistakes_are_refused_with_their_code() {
        for (line, code) in [
            ("-CLI /dev/null", 246),
            ("-CLI harddisk0", 246),
            ("-CLI hd5-4", 253),
            ("-CLIBN harddisk0", 252),
            ("-pin harddisk0", 210),
            ("-find -findc harddisk0", 248),
            ("-gvinf -svinf harddisk0", 248),
            ("-svinf=hd harddisk0", 246),
        ] {
            let ran = Fake::done().run("inqraid", line);
            assert_eq!(ran.output, "", "{line}");
            assert_eq!(ran.code, code, "{line}: {}", ran.errors);
        }
    }

    #[test]
    fn a_bad_hba_file_is_named() {
        let mut fake = Fake::done();
        let hba = fake.log.path().join("bad.hba");
        std::fs::write(&hba, "a:b").unwrap();
        fake.environment = fake.environment.clone().with("HORCM_HBA", hba.display().to_string());
        let ran = fake.run("inqraid", "-CLI $Phys");
        assert_eq!(ran.code, 247);
        assert!(ran.errors.contains("bad.hba") && ran.errors.contains("line 1"), "{}", ran.errors);
    }

    #[test]
    fn the_pairs_of_disks_are_found_under_one_heading() {
        let mut files = Files::new();
        files.fake.input = String::new();
        let members = vec![rows::sample::noread_pair()];
        let (dir, list) = (files.dir, ["b", "c"]);
        let mut fake = Fake::with_members("snap", members);
        let list = list.map(|name| dir.path().join(name).display().to_string());
        let ran = fake.run("inqraid", &format!("-find {} -IM51", list.join(" ")));
        assert_eq!(ran.code, 0, "{}", ran.errors);
        let lines: Vec<_> = ran.output.lines().collect();
        assert_eq!(lines.len(), 7, "{lines:#?}");
        assert!(lines[0].starts_with("Group ") && lines[1].starts_with("snap "));
        assert_eq!(lines[3], format!("->{}", list[0]));
        let mut none = Fake::answering([Ok::<Reply, _>(Reply::Done)]);
        assert_ne!(none.run("inqraid", &format!("-find {}", list[0])).code, 0);
    }

    #[test]
    fn a_partition_table_is_kept_and_comes_back_to_its_own_ldev_only() {
        let mut files = Files::new();
        let path = files.path("b");
        let mut bytes = vec![0; 1 << 20];
        bytes[..512].copy_from_slice(&sample(0xda7c_0d91));
        std::fs::write(&path, &bytes).unwrap();
        let kept = files.fake.run("inqraid", &format!("-gvinf {path}"));
        assert_eq!(kept.code, 0, "{}", kept.errors);
        assert_eq!(words(&kept.output), [format!("{path} -> [VOL62496_18_DA7C0D91] [OPEN-3 ]")]);
        let shown = files.fake.run("inqraid", &format!("-gplba {path}"));
        assert_eq!(shown.output, format!("{path} PTN1 LBA = 2048 BLOCKS = 4096\n"));

        let mut other = bytes.clone();
        other[..512].copy_from_slice(&sample(0x1111_1111));
        other[512..1024].fill(7);
        std::fs::write(&path, &other).unwrap();
        // As pairdisplay -fd names them on standard input, among other words.
        files.fake.input = format!("Group PairVol(L/R) Device_File\n{path} /dev/other\n");
        let folder = files.dir.path().display().to_string().to_uppercase();
        let back = files.fake.run("inqraid", &format!("-svinf={folder}"));
        assert_eq!(back.code, 0, "{}", back.errors);
        assert_eq!(words(&back.output), [format!("[VOL62496_18_DA7C0D91] -> {path} [OPEN-3 ]")]);
        let now = std::fs::read(&path).unwrap();
        assert!(now[..512] == bytes[..512] && now[512..1024] == [7; 512], "block 0 and no more");

        // Nothing is kept of LDEV 19; a disk of another size is another disk.
        assert_eq!(files.fake.run("inqraid", &format!("-svinf {}", files.path("c"))).code, 247);
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(2 << 20).unwrap();
        let refused = files.fake.run("inqraid", &format!("-svinf {path}"));
        assert_eq!(refused.code, 247);
        assert!(refused.errors.contains("the disk has 2097152"), "{}", refused.errors);
    }

    #[test]
    fn the_bytes_are_dumped_by_sixteen() {
        let mut files = Files::new();
        let path = files.path("b");
        let ran = files.fake.run("inqraid", &format!("-inqdump {path}"));
        assert!(ran.output.starts_with(&format!("{path} INQUIRY, 36 bytes\n0000: 00 00 06 12 1F")));
        assert!(ran.output.contains("VPD C0h, 32 bytes"), "{}", ran.output);
    }
}
