//! `drmcgctl -lock` while a backup chooses which generation it takes.

#[expect(dead_code, reason = "some of it is for tests of attachments")]
mod attached;
#[expect(dead_code, reason = "some of it is for tests of backups")]
#[path = "backup/volumes.rs"]
mod volumes;

use std::{
    fs::{self, File},
    io::{PipeReader, Read, Write, pipe},
    process::{Child, Stdio},
};

use lab::lab::until;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use volumes::Host;

const MIB: u64 = 1 << 20;
const STARTS: &str = "KAVX0001-I The drmfsbackup command will now start.\n";
const BEGINS: &str = "KAVX1600-I Backup processing will now start.\n";

/// How many bytes a pipe holds that nobody reads.
fn capacity() -> usize {
    let (_from, to) = pipe().unwrap();
    fcntl_setfl(&to, fcntl_getfl(&to).unwrap() | OFlags::NONBLOCK).unwrap();
    let mut to = File::from(std::os::fd::OwnedFd::from(to));
    (0..).map_while(|_| to.write(&[0; 4096]).ok()).sum()
}

/// A backup that stands still behind what it says first: nobody takes more of it.
struct Held {
    child: Child,
    said: PipeReader,
    before: usize,
}

impl Held {
    fn behind(host: &Host, said: &str) -> Self {
        let (from, mut to) = pipe().unwrap();
        let before = capacity() - said.len();
        to.write_all(&vec![0; before]).unwrap();
        let mut command = host.lab.command("drmfsbackup");
        let command = command.arg(host.both()).stdout(to).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let held = Self { child, said: from, before };
        // What the kernel says that it waits in: write(2) to standard output.
        let call = format!("/proc/{}/syscall", held.child.id());
        let writes = ["1 0x1 ", "64 0x1 "];
        until("it can say no more", || {
            let call = fs::read_to_string(&call).unwrap();
            writes.iter().any(|write| call.starts_with(write))
        });
        held
    }

    /// Lets it go on to its end; what it said.
    #[track_caller]
    fn ends(mut self) -> String {
        let mut said = Vec::new();
        self.said.read_to_end(&mut said).unwrap();
        let said = String::from_utf8(said.split_off(self.before)).unwrap();
        assert!(self.child.wait().unwrap().success(), "{said}");
        said
    }
}

/// A host whose two generations hold backups 1 and 2.
fn host() -> Host {
    let host = Host::new(32 * MIB);
    host.back_up();
    host.back_up();
    host
}

fn states(host: &Host) -> String {
    let listed = host.drm("drmfscat").ok().to_owned();
    let row = |line: &str| line.split_whitespace().nth(3).unwrap().to_owned();
    listed.lines().skip(1).step_by(2).map(row).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_lock_behind_the_choice_is_refused_and_the_backup_succeeds() {
    let host = host();
    let held = Held::behind(&host, &[STARTS, BEGINS].concat());
    let late = host.drm("drmcgctl -lock 1");
    assert_eq!(late.code, Some(1), "{late}");
    assert!(late.stdout.contains("KAVX0205-E"), "{late}");
    assert!(late.stdout.contains("STATE : backup 0000000003, which runs, has chosen"), "{late}");
    host.drm("drmcgctl -lock 2").ok();
    assert!(held.ends().contains("KAVX1601-I"));
    assert_eq!(states(&host), "OVERWRITTEN CONSISTENT CONSISTENT");
    host.drm("drmcgctl -lock 3").ok();
    // Now none is left, and nothing has been begun.
    let none = host.drm(&format!("drmfsbackup {}", host.both()));
    assert!(none.code == Some(1) && none.stdout.contains("KAVX0101-E"), "{none}");
}

#[test]
fn a_lock_before_the_choice_has_the_backup_take_the_next_generation() {
    let host = host();
    let held = Held::behind(&host, STARTS);
    host.drm("drmcgctl -lock 1").ok();
    assert!(held.ends().contains("KAVX1601-I"));
    assert_eq!(states(&host), "CONSISTENT OVERWRITTEN CONSISTENT");
}
