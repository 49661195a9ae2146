//! The seed's session, run and verified.
//!
//! A small array, two HORCM instances, one pair: created, copied, split, changed, restored. Each
//! line shown is a command of this project and what it printed; each claim is checked, and the
//! demo fails if one is untrue.

use std::{
    net::{TcpListener, UdpSocket},
    path::Path,
};

use lab::{
    Carrier, Lab, Outcome, bytes,
    lab::{PVOL, SVOL},
};
use model::Code;

use crate::cargo::{Result, cargo, succeed};

/// The UDP ports of `etc/`, all on 127.0.0.1.
const PORTS: [u16; 3] = [31001, 52050, 52051];
/// The iSCSI portal of `etc/`.
const PORTAL: u16 = 3260;

/// Builds, runs, verifies; with `keep`, leaves it running.
pub fn run(keep: bool) -> Result {
    succeed(cargo(&["build", "--workspace", "--bins", "--locked"]))?;
    let free = PORTS.iter().all(|port| UdpSocket::bind(("127.0.0.1", *port)).is_ok())
        && TcpListener::bind(("127.0.0.1", PORTAL)).is_ok();
    let mut lab = if free {
        Lab::at_localhost()
    } else {
        let lab = Lab::on(Carrier::InBand);
        println!(
            "(a port of etc/horcm5*.conf is in use on 127.0.0.1; this demo uses {})",
            lab.ip()
        );
        lab
    };
    let mut session = Session { lab: &mut lab };
    session.start()?;
    session.pair()?;
    session.split_and_restore()?;
    if keep {
        return leave_running(&mut lab);
    }
    session.stop()?;
    println!(
        "\nVerified: the S-VOL equalled the P-VOL at the split and not the later host writes; the \
         restored P-VOL equals the S-VOL byte for byte; every status was the one CCI gives."
    );
    Ok(())
}

struct Session<'a> {
    lab: &'a mut Lab,
}

impl Session<'_> {
    /// Runs a command of instance 51, the S-VOL's side, and shows it.
    fn show(&self, line: &str) -> Result<String> {
        self.show_on(51, line)
    }

    fn show_on(&self, instance: u16, line: &str) -> Result<String> {
        let outcome = self.lab.cci(instance, line);
        print(&outcome);
        succeeded(&outcome)
    }

    fn start(&mut self) -> Result {
        note("An array of its own: Serial# 62496, P-VOL 18 and S-VOL 19 on port CL2-C");
        let outcome = self.lab.init_array();
        print(&outcome);
        succeeded(&outcome)?;
        self.lab.start_array();
        note("A host fills the P-VOL");
        for (n, offset) in [0, 1 << 20, 700 << 20, 2_461_040_640 - 65_536].into_iter().enumerate() {
            self.write(PVOL, offset, &bytes::pattern(n as u64, 65_536))?;
        }
        note(
            "The disks of this host; the command device is Harddisk0, \\\\.\\PhysicalDrive0 of horcm50.conf",
        );
        let disks = self.show("inqraid -CLI $Phys")?;
        let rows: Vec<String> = disks.lines().skip(1).map(folded).collect();
        expect(
            rows.first().is_some_and(|row| row == "Harddisk0 CL2-C 62496 16 - - - - OPEN-3-CM"),
            "inqraid shows the command device as in the manual",
        )?;
        note("Two HORCM instances");
        let outcome = self.lab.start(&[50, 51]);
        print(&outcome);
        let started = succeeded(&outcome)?;
        expect(
            started
                == "starting HORCM inst 50\nHORCM inst 50 starts successfully.\n\
                    starting HORCM inst 51\nHORCM inst 51 starts successfully.\n",
            "horcmstart says that both instances started",
        )?;
        note("From here on HORCMINST=51 and HORCC_MRCF=1, as in the manual");
        let units = self.show("raidqry -l")?;
        expect(units.contains("62496"), "raidqry names the storage system")?;
        let scan = self.show("raidscan -p CL2-C -CLI")?;
        expect(
            ["16", "18", "19"].iter().all(|ldev| scan.contains(ldev)),
            "raidscan shows the LUs",
        )?;
        let found = self.show("raidscan -pi $Phys -find")?;
        expect(
            found.contains("Harddisk1        0   F   CL2-C  25   1    62496   18   OPEN-3\n"),
            "raidscan -find shows the host's disks as the manual does",
        )?;
        let display = self.show("pairdisplay -g snap -fdc")?;
        expect(
            display.contains("snapdev1(L)  Harddisk2 ")
                && display.contains("snapdev1(R)  Harddisk1 "),
            "pairdisplay names the volumes by the host's disks",
        )?;
        statuses(&display, &["SMPL", "SMPL"])
    }

    fn pair(&self) -> Result {
        note("Hide the S-VOL, create the pair with the remote side as P-VOL");
        self.show("raidvchkset -g snap -vg idb")?;
        let disks = self.show("inqraid -CLI $Phys")?;
        expect(!disks.contains("Harddisk2"), "the hidden S-VOL is gone from inqraid")?;
        self.show("raidvchkdsp -g snap -v gflag")?;
        self.show("paircreate -g snap -vr -m noread")?;
        let waited = self.show("pairevtwait -g snap -s pair -t 120")?;
        expect(waited.contains("Wait status done."), "the pair reaches PAIR")?;
        let display = self.show("pairdisplay -g snap")?;
        statuses(&display, &["S-VOL PAIR", "P-VOL PAIR"])?;
        note("A host writes to the P-VOL; a write to the S-VOL is refused while it is paired");
        self.write(PVOL, 3 << 20, b"written while the pair was PAIR")?;
        let refused = self.lab.write(SVOL, 0, b"never");
        print(&refused);
        expect(refused.code != Some(0), "the S-VOL takes no host write in PAIR")
    }

    fn split_and_restore(&self) -> Result {
        note("Split: the S-VOL becomes the P-VOL of this moment");
        self.show("pairsplit -g snap")?;
        self.show("pairevtwait -g snap -s psus -ss ssus -t 120")?;
        let display = self.show("pairdisplay -g snap -fc")?;
        statuses(&display, &["S-VOL SSUS", "P-VOL PSUS"])?;
        self.compare(true, "the S-VOL equals the P-VOL at the split")?;
        note("The host goes on writing; the S-VOL keeps the moment of the split");
        self.write(PVOL, 1 << 20, b"a mistake made after the split")?;
        self.compare(false, "the later write is on the P-VOL only")?;
        let again = self.lab.cci(51, "paircreate -g snap -vr");
        print(&again);
        expect(
            again.code == Some(i32::from(Code::ExInvstp.number())),
            "creating a split pair again is refused with EX_INVSTP",
        )?;
        note("Restore: the P-VOL gets the bytes of the split back");
        self.show("pairresync -g snap -restore")?;
        self.show("pairevtwait -g snap -s pair -t 120")?;
        self.show("pairsplit -g snap")?;
        self.show("pairevtwait -g snap -s psus -ss ssus -t 120")?;
        self.compare(true, "the restored P-VOL equals the S-VOL")?;
        let restored = self.lab.read(PVOL, 1 << 20, 65_536);
        expect(restored == bytes::pattern(1, 65_536), "the mistake is gone from the P-VOL")?;
        self.show("pairdisplay -g snap -fc").map(drop)
    }

    fn stop(&mut self) -> Result {
        note("The S-VOL shows itself again, and the pair ends");
        self.show("raidvchkset -g snap -vg")?;
        self.show("pairsplit -g snap -S")?;
        let disks = self.show("inqraid -CLI $Phys")?;
        expect(disks.contains("Harddisk2"), "the S-VOL is back in inqraid")?;
        note("The end");
        let outcome = self.lab.shut_down(&[50, 51]);
        print(&outcome);
        let stopped = succeeded(&outcome)?;
        expect(
            stopped
                == "inst 50:\nHORCM Shutdown inst 50 !!!\ninst 51:\nHORCM Shutdown inst 51 !!!\n",
            "horcmshutdown says that both instances ended",
        )?;
        expect(self.lab.stop_array() == Some(0), "the array stops in good order")?;
        let dir = self.lab.array_dir();
        let outcome = self.lab.program("arrayd", ["check".as_ref(), dir.as_os_str()]);
        print(&outcome);
        succeeded(&outcome).map(drop)
    }

    fn write(&self, ldev: u32, offset: u64, data: &[u8]) -> Result {
        let outcome = self.lab.write(ldev, offset, data);
        print(&outcome);
        succeeded(&outcome).map(drop)
    }

    /// Compares the two volumes whole.
    fn compare(&self, equal: bool, what: &str) -> Result {
        let pvol = self.lab.export(PVOL, "pvol.img");
        let svol = self.lab.export(SVOL, "svol.img");
        let difference = bytes::first_difference(&pvol, &svol)
            .map_err(|error| format!("cannot compare the volumes: {error}"))?;
        match difference {
            None => println!("compared LDEV {PVOL} and {SVOL}: identical"),
            Some(at) => println!("compared LDEV {PVOL} and {SVOL}: they differ at byte {at}"),
        }
        remove(&pvol)?;
        remove(&svol)?;
        expect(difference.is_none() == equal, what)
    }
}

/// A row with its blanks folded.
fn folded(row: &str) -> String {
    row.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn remove(path: &Path) -> Result {
    std::fs::remove_file(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// What a reader should see in the lines below.
fn note(text: &str) {
    println!("\n# {text}");
}

fn print(outcome: &Outcome) {
    print!("$ {}\n{}{}", outcome.line, outcome.stdout, outcome.stderr);
}

fn succeeded(outcome: &Outcome) -> Result<String> {
    if outcome.code == Some(0) {
        Ok(outcome.stdout.clone())
    } else {
        Err(format!("this command failed: {outcome}"))
    }
}

fn expect(truth: bool, what: &str) -> Result {
    if truth { Ok(()) } else { Err(format!("this is untrue: {what}")) }
}

/// The rows of a pairdisplay, local first, hold these statuses.
fn statuses(display: &str, wanted: &[&str]) -> Result {
    let rows: Vec<_> = display.lines().skip(1).collect();
    let all = rows.len() == wanted.len() && rows.iter().zip(wanted).all(|(r, w)| r.contains(w));
    expect(all, &format!("pairdisplay shows {wanted:?}"))
}

/// `--keep`: says how to use what runs and how to end it.
fn leave_running(lab: &mut Lab) -> Result {
    let array = lab.array_pid().ok_or("the array does not run")?;
    let (root, links) = (lab.root(), lab.links());
    let array_dir = lab.array_dir();
    let dir = lab.keep();
    println!("\nThe array and both instances are still running. To use them:\n");
    println!("  export HORCMROOT={}", root.display());
    println!("  export PATH={}:$PATH", links.display());
    println!("  export HORCMINST=51 HORCC_MRCF=1");
    println!("  pairdisplay -g snap -fc");
    println!("\nThe array's directory is {}. To end everything:\n", array_dir.display());
    println!("  horcmshutdown 50 51; kill {array}; rm -r {}", dir.display());
    Ok(())
}
