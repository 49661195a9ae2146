//! What is packed is unpacked and installed, under Wine. VSS is missing there, so the provider is
//! given up each time.

use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
    time::Duration,
};

use lab::{Outcome, binaries, run, wine::Wine};
use tempfile::TempDir;
use zip::{ZipArchive, ZipWriter};

use super::{NAME, pack};

const LIMIT: Duration = Duration::from_secs(300);

/// A Windows with the file unpacked in `C:\`.
struct Host {
    wine: Wine,
    _place: TempDir,
}

impl Host {
    fn set_up() -> Self {
        let place = tempfile::tempdir().unwrap();
        let wine = Wine::set_up(place.path().join("wine"));
        let programs = binaries::windows("horcm.exe");
        let mut bytes = Cursor::new(Vec::new());
        pack(ZipWriter::new(&mut bytes), programs.parent().unwrap()).unwrap();
        ZipArchive::new(bytes).unwrap().extract(wine.drive_c()).unwrap();
        Self { wine, _place: place }
    }

    fn run(&self, program: &str, words: &[&str]) -> Outcome {
        let mut command = self.wine.command(program);
        command.args(words);
        run::run(command, format!("{program} {words:?}"), b"", LIMIT)
    }

    fn install(&self) -> Outcome {
        self.run("cmd", &["/c", &format!(r"C:\{NAME}\install.cmd")])
    }

    fn uninstall(&self) -> Outcome {
        self.run("cmd", &["/c", &format!(r"C:\{NAME}\uninstall.cmd")])
    }

    fn root(&self) -> PathBuf {
        self.wine.drive_c().join("HORCM")
    }

    fn etc(&self, name: &str) -> PathBuf {
        self.wine.etc().join(name)
    }
}

/// Every file below a folder, with its size.
fn files(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let meta = path.symlink_metadata().unwrap();
        if meta.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path, meta.len()));
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_installed_is_replaced_and_taken_out_and_configurations_stay() {
    let host = Host::set_up();
    fs::remove_dir_all(host.root()).unwrap();
    let conf = host.etc("horcm50.conf");
    for run in 1..=2 {
        let installed = host.install();
        assert_eq!(installed.code, Some(2), "run {run}: {installed}");
        assert!(installed.stdout.contains("RMVSSPRV.dll could not be registered"), "{installed}");
        assert!(!host.wine.drive_c().join("Program Files/HITACHI").exists(), "half a provider");
        host.run(r"C:\HORCM\etc\raidqry.exe", &["-h"]).ok();
        fs::write(&conf, "HORCM_MON\n").unwrap();
        // What stands in the place of a command is replaced too.
        fs::write(host.etc("pairdisplay.exe"), "not a program").unwrap();
    }
    fs::remove_file(host.wine.drive_c().join(NAME).join("HORCM/Tool/RMVSSPRV.dll")).unwrap();
    host.install().ok();
    host.run(r"C:\HORCM\etc\pairdisplay.exe", &["-h"]).ok();

    for (service, program) in [("HORCM50", r"C:\HORCM\etc\horcmd.exe"), ("HORCM51", r"C:\x.exe")] {
        host.run("sc", &["create", service, "binPath=", program]).ok();
    }
    host.uninstall().ok();
    assert!(files(&host.root()).iter().all(|(path, _)| path.extension().unwrap() != "exe"));
    assert_eq!(fs::read_to_string(&conf).unwrap(), "HORCM_MON\n");
    assert_ne!(host.run("sc", &["query", "HORCM50"]).code, Some(0), "an instance");
    host.run("sc", &["query", "HORCM51"]).ok();
}

#[test]
fn a_folder_that_somebody_made_is_refused_and_left_as_it_is() {
    let host = Host::set_up();
    let before = files(&host.root());
    let refused = |outcome: Outcome, why: &str| {
        assert_eq!(outcome.code, Some(1), "{outcome}");
        assert!(outcome.stdout.contains(why), "{outcome}");
    };
    refused(host.install(), "was not made by install.cmd");
    refused(host.uninstall(), "has installed nothing here");
    assert_eq!(files(&host.root()), before);

    fs::remove_dir_all(host.root()).unwrap();
    host.install();
    let elsewhere = host.wine.drive_c().join("elsewhere");
    fs::rename(host.root(), &elsewhere).unwrap();
    std::os::unix::fs::symlink("elsewhere", host.root()).unwrap();
    let before = files(&elsewhere);
    refused(host.install(), "leads elsewhere");
    assert_eq!(files(&elsewhere), before);
    assert!(!host.wine.drive_c().join("windows/HORCM.draft").exists());
}
