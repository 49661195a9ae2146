//! Volumes that a program has open without claiming them: nothing is restored under it.

#[expect(dead_code, reason = "some of it is for tests of attachments")]
mod attached;
#[expect(dead_code, reason = "some of it is for tests of backups")]
#[path = "backup/volumes.rs"]
mod volumes;

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    process::{Child, Command, Stdio},
};

use attached::{loop_device, tool};
use lab::Outcome;
use volumes::Host;

const MIB: u64 = 1 << 20;

/// A program that has a device open for reading, as `dd` or a virtual machine would.
struct Reader(Child);

impl Reader {
    fn of(device: &str) -> Self {
        let device = File::open(device).unwrap();
        let sleep = Command::new("sleep").arg("1000").stdin(device).stdout(Stdio::null()).spawn();
        Self(sleep.unwrap())
    }

    fn shown(&self) -> String {
        format!("is open by sleep ({})", self.0.id())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The end of an MBR: one partition of 16 MiB behind the first MiB. A file system leaves its place
/// free.
fn partition_table() -> Vec<u8> {
    let mut table = vec![0; 66];
    table[4] = 0x83;
    table[8..12].copy_from_slice(&2048_u32.to_le_bytes());
    table[12..16].copy_from_slice(&32_768_u32.to_le_bytes());
    table[64..].copy_from_slice(&[0x55, 0xaa]);
    table
}

#[track_caller]
fn refused(outcome: &Outcome, message: &str, words: &str) {
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stdout.contains(message), "{message}: {outcome}");
    assert!(outcome.stdout.contains(words), "{words}: {outcome}");
    assert!(outcome.stdout.contains("ACTION : "), "{outcome}");
}

#[test]
fn no_volume_is_restored_under_a_program_that_has_it_open() {
    let mut host = Host::new(32 * MIB);
    host.a.write("one", "first");
    let id = host.back_up();
    let archive = host.lab.path("archive").display().to_string();
    host.drm(&format!("drmmediabackup {id} {archive}")).ok();
    host.a.write("one", "changed");
    let (a, b) = (host.a.unmount(), host.b.unmount());
    let restore = format!("drmfsrestore {id}");
    let media = format!("drmmediarestore {archive} -pvol");
    let files = format!("drmmediarestore {archive} -f {a} {b}");

    let reader = Reader::of(&b);
    refused(&host.drm(&restore), "KAVX0113-E", &reader.shown());
    refused(&host.drm(&media), "KAVX0403-E", &reader.shown());
    refused(&host.drm(&files), "KAVX0403-E", &reader.shown());
    drop(reader);

    // A partition of it.
    let table = fs::OpenOptions::new().write(true).open(&b).unwrap();
    table.write_all_at(&partition_table(), 446).unwrap();
    table.sync_all().unwrap();
    drop(table);
    tool("partx", &["--add", &b]).ok();
    let reader = Reader::of(&format!("{b}p1"));
    refused(&host.drm(&restore), "KAVX0113-E", &reader.shown());
    refused(&host.drm(&files), "KAVX0403-E", &reader.shown());
    drop(reader);
    tool("partx", &["--delete", &b]).ok();

    // A loop device over it.
    let over = loop_device(a.as_ref(), false);
    refused(&host.drm(&restore), "KAVX0113-E", &format!("is behind {}", over.path()));
    drop(over);

    host.drm(&restore).ok();
    host.a.mount();
    host.b.mount();
    assert_eq!(host.a.read("one"), "first");
}
