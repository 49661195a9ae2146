//! `drmexgbackup.exe` under Wine, which has a `vssapi.dll` but no VSS behind it: the command must
//! fail, and say so. With a `vssapi.dll` of our own it goes all the way: that proves that methods
//! and structures are used as mingw-w64's header has them, and nothing about a real VSS.

use std::{fs, path::PathBuf, time::Duration};

use lab::{binaries, run, wine::Wine};
use tempfile::TempDir;
use vss_requestor::interfaces::SLOTS;

/// mingw-w64's header, which the linker of every build for Windows brings along.
const HEADER: &str = "/usr/share/mingw-w64/include/vsbackup.h";

const LIMIT: Duration = Duration::from_secs(300);

/// A Windows of its own.
struct Host {
    wine: Wine,
    _place: TempDir,
}

impl Host {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        Self { wine: Wine::set_up(place.path().join("wine")), _place: place }
    }

    /// Puts our `vssapi.dll` in the place of Wine's, for good.
    fn mock(&self) {
        let file = self.wine.drive_c().join("windows/system32/vssapi.dll");
        fs::copy(binaries::windows("vss-mock.dll"), file).unwrap();
    }

    /// Exit code and standard output.
    fn run(&self, line: &str) -> (Option<i32>, String) {
        let (code, output, _) = self.run_with(line, "");
        (code, output)
    }

    /// The same with a call that our VSS refuses; and all calls of it.
    fn run_with(&self, line: &str, refused: &str) -> (Option<i32>, String, Vec<String>) {
        let mut command = self.wine.command(binaries::windows("drmexgbackup.exe"));
        command.args(line.split_whitespace()).env_remove("HORCMROOT");
        command.env("VSHTCHORCMINST_LOCAL", "50").env("VSHTCHOMRCF_MUN", "2");
        command.env("VSS_MOCK_REFUSES", refused);
        command.env("WINEDLLOVERRIDES", "mscoree,mshtml=;vssapi=n,b");
        let ended = run::run(command, line.to_owned(), b"", LIMIT);
        let calls = ended.stderr.lines().map(str::to_owned).collect();
        (ended.code, ended.stdout.replace("\r\n", "\n"), calls)
    }

    fn documents(&self) -> PathBuf {
        self.wine.drive_c().join("HORCM/drm/vss")
    }
}

#[test]
fn without_a_vss_the_command_fails_and_says_so() {
    let host = Host::new();
    let (code, output) = host.run("-mode vss");
    assert_eq!(code, Some(1), "{output}");
    let mut lines = output.lines();
    assert_eq!(lines.next(), Some("KAVX0001-I The drmexgbackup command will now start."));
    assert_eq!(
        lines.next(),
        Some("KAVX5000-E Backup by VSS cannot be performed in this OS."),
        "{output}"
    );
    assert!(output.contains("CreateVssBackupComponents"), "it names what was refused: {output}");
    assert!(output.ends_with("KAVX0003-E The drmexgbackup command ended with an error.\n"));
    for success in ["KAVX0002", "KAVX0040", "KAVX1601"] {
        assert!(!output.contains(success), "{output}");
    }
    assert!(!host.documents().exists(), "no backup, no ID");
    let (code, output) = host.run("-mode cold");
    assert_eq!(code, Some(2), "{output}");
    assert!(output.starts_with("KAVX0050-E The command line is wrong.\n"), "{output}");
    let (code, output) = host.run("-h");
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("drmexgbackup [options]"), "{output}");
}

/// What our VSS notes of a backup; volumes have Wine's names.
const CALLS: &str = r"CreateVssBackupComponents
InitializeForBackup null
SetContext 0x2b
SetBackupState 1 0 1 0
EnableWriterClasses 1 {76fe1ac4-15f7-4bcd-987e-8e1acb462fb7}
GatherWriterMetadata
GetWriterMetadata 0
FreeComponentInfo
AddComponent 2 Server\EX1 d4e0
StartSnapshotSet
AddToSnapshotSet VOLUME {748babd3-8c62-4b3d-b6b7-430b5f858c74}
PrepareForBackup
GatherWriterStatus
GetWriterStatus
FreeWriterStatus
DoSnapshotSet
GatherWriterStatus
GetWriterStatus
FreeWriterStatus
SetBackupSucceeded 2 Server\EX1 d4e0 1
SaveAsXML
BackupComplete
GatherWriterStatus
GetWriterStatus
FreeWriterStatus
FreeWriterMetadata";

/// The calls in the words of `CALLS`, and what was released, sorted.
fn sorted_out(calls: &[String]) -> (Vec<String>, Vec<String>) {
    let (mut released, calls): (Vec<String>, Vec<String>) =
        calls.iter().cloned().partition(|call| call.starts_with("release "));
    released.sort();
    let named = |call: String| match call.strip_prefix(r"AddToSnapshotSet \\?\Volume{") {
        Some(rest) => {
            let (id, rest) = rest.split_once(r"}\ ").expect("a volume as the mount manager has it");
            assert_eq!(id.len(), 36, "{id}");
            format!("AddToSnapshotSet VOLUME {rest}")
        }
        None => call,
    };
    (calls.into_iter().map(named).collect(), released)
}

#[test]
fn a_vss_of_our_own_is_called_and_released_as_the_header_has_it() {
    let host = Host::new();
    host.mock();
    let line = "-mode vss -transact_log_del -noverify";
    let (code, output, calls) = host.run_with(line, "");
    assert_eq!(code, Some(0), "{output}{calls:?}");
    let (calls, released) = sorted_out(&calls);
    assert_eq!(calls, CALLS.lines().collect::<Vec<_>>());
    assert_eq!(
        released,
        [
            "release BackupComplete",
            "release DoSnapshotSet",
            "release GatherWriterMetadata",
            "release GatherWriterStatus",
            "release GatherWriterStatus",
            "release GatherWriterStatus",
            "release IVssBackupComponents",
            "release IVssExamineWriterMetadata",
            "release IVssWMComponent",
            "release PrepareForBackup",
        ]
    );
    assert!(output.ends_with("KAVX0002-I The drmexgbackup command will now end.\n"), "{output}");
    let written = fs::read(host.documents().join("0000000001/components.xml")).unwrap();
    let expected = "<BACKUP_COMPONENTS \u{e9}/>".encode_utf16().flat_map(u16::to_le_bytes);
    assert_eq!(written, expected.collect::<Vec<u8>>());
    assert!(host.documents().join("0000000001/writer1.xml").is_file());

    let (code, output, calls) = host.run_with(line, "SaveAsXML");
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("CAUSE : SaveAsXML: HRESULT 0x80042302 (VSS_E_UNEXPECTED)\n"));
    let (calls, _) = sorted_out(&calls);
    let undone = [
        r"SetBackupSucceeded 2 Server\EX1 d4e0 1",
        "SaveAsXML",
        r"SetBackupSucceeded 2 Server\EX1 d4e0 0",
        "DeleteSnapshots 2 1",
        "AbortBackup",
        "FreeWriterMetadata",
    ];
    assert_eq!(calls[calls.len() - undone.len()..], undone);
    assert_eq!(fs::read_dir(host.documents()).unwrap().count(), 1, "no second ID");
}

#[test]
fn every_method_is_called_by_its_slot_in_mingws_header() {
    let header = fs::read_to_string(HEADER)
        .unwrap_or_else(|error| panic!("{HEADER}: {error}; it comes with gcc-mingw-w64-x86-64"));
    for (interface, slots) in SLOTS {
        let table = header
            .split_once(&format!("typedef struct {interface}Vtbl {{"))
            .and_then(|(_, rest)| rest.split_once(&format!("}} {interface}Vtbl;")))
            .unwrap_or_else(|| panic!("{HEADER} has no {interface}"))
            .0;
        let methods: Vec<&str> = table
            .split("(STDMETHODCALLTYPE *")
            .skip(1)
            .map(|rest| rest.split_once(')').expect("the name ends").0)
            .collect();
        for (slot, method) in *slots {
            assert_eq!(methods.get(*slot), Some(method), "{interface}, slot {slot}");
        }
    }
}
