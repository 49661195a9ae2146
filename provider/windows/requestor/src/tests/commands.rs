//! The whole command: what it prints, returns and leaves on the disk.

use std::{collections::HashMap, fs, path::Path};

use messages::failure::Checked;
use provider::settings::{LOCAL, MUN};

use super::fake::{Fake, Script};
use crate::{
    run::{DONE, FAILED, USAGE, World, run},
    vss::{Hresult, Task, Vss},
};

const VARIABLES: [(&str, &str); 2] = [(LOCAL, "50"), (MUN, "2")];

struct Command {
    folder: tempfile::TempDir,
    variables: HashMap<&'static str, &'static str>,
}

impl Command {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), variables: HashMap::from(VARIABLES) }
    }

    fn root(&self) -> std::path::PathBuf {
        self.folder.path().join("drm").join("vss")
    }

    /// Exit code and output.
    fn run(&self, line: &[&str], script: &Script) -> (u8, String) {
        let words: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
        let mut output = Vec::new();
        let mut connect = || -> Checked<Box<dyn Vss>> { Ok(Box::new(Fake::new(script.clone()))) };
        let code = run(
            &words,
            &mut World {
                variable: &|name| self.variables.get(name).map(|it| (*it).to_owned()),
                folder: self.root(),
                connect: &mut connect,
                output: &mut output,
            },
        );
        (code, String::from_utf8(output).unwrap())
    }

    fn left(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.root()) else { return Vec::new() };
        let name = |it: std::io::Result<fs::DirEntry>| it.unwrap().file_name().into_string();
        entries.map(|it| name(it).unwrap()).collect()
    }
}

fn document(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    let units = bytes.chunks(2).map(|two| u16::from_le_bytes([two[0], two[1]]));
    String::from_utf16(&units.collect::<Vec<_>>()).unwrap()
}

#[test]
fn the_manuals_example() {
    let command = Command::new();
    let line = ["-mode", "vss", "-noverify"];
    let (code, output) = command.run(&line, &Script::default());
    let folder = command.root().join("0000000001");
    let expected = format!(
        "KAVX0001-I The drmexgbackup command will now start.\n\
         KAVX1600-I Backup processing will now start.\n\
         KAVX0040-I The backup ID has been assigned as follows.\n\
         Backup ID = 0000000001\n\
         KAVX1610-I The documents of the backup were written. folder = {}\n\
         KAVX1601-I Backup processing has finished.\n\
         KAVX0002-I The drmexgbackup command will now end.\n",
        folder.display()
    );
    assert_eq!((code, output), (DONE, expected));
    assert_eq!(document(&folder.join("components.xml")), "<components/>");
    assert_eq!(document(&folder.join("writer1.xml")), "<writer/>");
    let (code, output) = command.run(&["-mode", "vss"], &Script::default());
    assert_eq!(code, DONE);
    assert!(output.contains("Backup ID = 0000000002\n"), "{output}");
    assert!(output.contains("KAVX1611-W "), "nobody verified the databases: {output}");
}

#[test]
fn a_backup_that_was_given_up_leaves_neither_id_nor_success() {
    let command = Command::new();
    let refused = HashMap::from([("DoSnapshotSet".to_owned(), Hresult(0x8004_2306))]);
    let script = Script { refused, ..Script::default() };
    let (code, output) = command.run(&["-mode", "vss"], &script);
    assert_eq!(code, FAILED);
    assert!(output.contains("\nKAVX5003-E CCI Shadow Copy Provider could not be used."));
    assert!(output.ends_with("\nKAVX0003-E The drmexgbackup command ended with an error.\n"));
    for success in ["KAVX0040", "KAVX1601", "KAVX0002"] {
        assert!(!output.contains(success), "{output}");
    }
    assert_eq!(command.left(), [""; 0]);
}

#[test]
fn a_backup_that_its_application_may_not_know_is_kept_and_is_no_success() {
    let command = Command::new();
    let script = Script { hanging: vec![Task::BackupComplete], ..Script::default() };
    let (code, output) = command.run(&["-mode", "vss"], &script);
    assert_eq!(code, FAILED);
    assert!(output.contains("Backup ID = 0000000001\n"), "{output}");
    assert!(output.contains("KAVX5110-E VSS did not finish in time. call = BackupComplete\n"));
    assert!(!output.contains("KAVX1601") && !output.contains("KAVX0002"), "{output}");
    assert_eq!(command.left(), ["0000000001"]);
}

#[test]
fn variables_that_are_not_set_are_told_as_the_manual_does() {
    let mut command = Command::new();
    for (variables, message) in [
        (vec![(LOCAL, "50")], "KAVX5002-E "),
        (vec![(LOCAL, "50"), (MUN, "x")], "KAVX5002-E "),
        (vec![(MUN, "2")], "KAVX5003-E "),
        (vec![(LOCAL, "fifty"), (MUN, "2")], "KAVX5003-E "),
        (vec![], "KAVX5003-E "),
    ] {
        command.variables = variables.into_iter().collect();
        let (code, output) = command.run(&["-mode", "vss"], &Script::default());
        assert_eq!(code, FAILED);
        assert!(output.lines().nth(1).unwrap().starts_with(message), "{output}");
        assert_eq!(command.left(), [""; 0]);
    }
}

#[test]
fn a_command_line_that_cannot_be_meant_is_refused_before_anything_is_done() {
    let command = Command::new();
    for line in [
        &[][..],
        &["-mode"],
        &["-mode", "cold"],
        &["-mode", "online"],
        &["-mode", "vss", "-target", " , "],
        &["-mode", "vss", "-target", "A", "-f", "/list"],
        &["-mode", "vss", "-transport_only"],
        &["-mode", "vss", "A"],
    ] {
        let (code, output) = command.run(line, &Script::default());
        assert_eq!(code, USAGE, "{line:?}: {output}");
        assert!(output.starts_with("KAVX0050-E The command line is wrong.\n"), "{output}");
    }
    let (code, output) = command.run(&["-h"], &Script::default());
    assert_eq!(code, DONE);
    assert!(output.contains("-transact_log_del"), "{output}");
}

#[test]
fn targets_come_from_the_line_or_from_a_list() {
    let command = Command::new();
    let list = command.folder.path().join("list");
    let list = list.to_str().unwrap();
    for (text, expected) in
        [("\u{feff}Database A\r\n\r\n b \r\n", DONE), ("Database C\n", FAILED), ("\n", USAGE)]
    {
        fs::write(list, text).unwrap();
        let (code, output) = command.run(&["-mode", "vss", "-f", list], &Script::default());
        assert_eq!(code, expected, "{output}");
    }
    for file in ["list", "/nowhere/list"] {
        let (code, output) = command.run(&["-mode", "vss", "-f", file], &Script::default());
        assert_eq!(code, FAILED, "{output}");
        assert!(output.contains("KAVX0214-E "), "{output}");
    }
    let (code, output) =
        command.run(&["-mode", "vss", "-target", "database a,B"], &Script::default());
    assert_eq!(code, DONE, "{output}");
}

#[test]
fn an_id_is_not_given_again_while_its_folder_is_there() {
    let command = Command::new();
    fs::create_dir_all(command.root().join("0000000041")).unwrap();
    fs::write(command.root().join("note.txt"), "").unwrap();
    let (_, output) = command.run(&["-mode", "vss"], &Script::default());
    assert!(output.contains("Backup ID = 0000000042\n"), "{output}");
}
