//! Restores over two storage systems, one of which refuses.

mod providing;

use std::{thread, time::Duration};

use lab::{
    Lab, Outcome,
    lab::{PVOL, SVOL, until},
    run::run,
};
use providing::{Told, arrays::two_arrays, described_of, finish, join, load, set, volume_of};
use shadowcopy::catalogue::{
    Backup, BackupId, State, Store,
    record::{Mode, Volume},
};

/// A backup of P-VOLs on two arrays, without any host that mounts them.
struct Bench {
    lab: Lab,
    other: Lab,
}

impl Bench {
    /// Both P-VOLs hold 1, and 2 since.
    fn new() -> Self {
        // This host tells LDEVs of several labs apart by it.
        let serial = 100_000 + 2 * (std::process::id() % 400_000);
        let (mut lab, other) = two_arrays(serial);
        for (name, value) in [
            ("VSHTCHORCMINST_LOCAL", "50"),
            ("VSHTCHORCMINST_REMOTE", "51"),
            ("VSHTCHOMRCF_MUN", "2"),
            ("DRM_DB_PATH", ""),
        ] {
            lab.set(name, value);
        }
        let bench = Self { lab, other };
        bench.write(1);
        let sets = bench.lab.root().join("drm/sets");
        let mut provider = load(&bench.lab.root(), &sets, "2", &Told::default()).unwrap();
        for serial in [serial, serial + 1] {
            join(&mut provider, set(1), described_of(serial, PVOL)).unwrap();
        }
        finish(&mut provider, set(1), 2, || {});
        let volume = |name: &str, serial| Volume {
            mount: format!("/{name}").into(),
            device: "/dev/loop999".into(),
            file_system: "ext4".to_owned(),
            group: "snap".parse().unwrap(),
            name: name.parse().unwrap(),
            primary: volume_of(serial, PVOL),
            secondary: volume_of(serial, SVOL),
        };
        let store = bench.store();
        let claim = store.claim("drmfsbackup").unwrap();
        let backup = |id| Backup {
            id,
            set: set(1),
            command: "drmfsbackup".to_owned(),
            mode: Mode::Cold,
            comment: String::new(),
            began: std::time::SystemTime::now(),
            ended: Some(std::time::SystemTime::now()),
            state: State::Consistent,
            generation: "2".parse().unwrap(),
            volumes: vec![volume("here", serial), volume("there", serial + 1)],
            writers: Vec::new(),
            evidence: Vec::new(),
            held: None,
            locked: false,
            reading: false,
            restoring: None,
            mounted: Vec::new(),
        };
        store.begin(&claim, backup).unwrap();
        bench.write(2);
        bench
    }

    fn store(&self) -> Store {
        Store::at(self.lab.root().join("drm/db"))
    }

    fn write(&self, byte: u8) {
        for lab in [&self.lab, &self.other] {
            lab.write(PVOL, 4096, &[byte; 4096]).ok();
        }
    }

    /// What the P-VOLs hold.
    fn held(&self) -> [u8; 2] {
        [&self.lab, &self.other].map(|lab| {
            let bytes = lab.read(PVOL, 4096, 4096);
            assert!(bytes.iter().all(|byte| *byte == bytes[0]));
            bytes[0]
        })
    }

    #[track_caller]
    fn drm(&self, line: &str) -> Outcome {
        let mut words = line.split_whitespace();
        let mut command = self.lab.command(words.next().expect("a command"));
        command.args(words);
        run(command, line.to_owned(), b"", Duration::from_secs(300))
    }

    /// The other mirror of the second array's P-VOL is PAIR, which a restore cannot be with.
    fn in_the_way(&self) {
        self.lab.cci(50, "paircreate -g late -vl").ok();
        self.lab.cci(50, "pairevtwait -g late -s pair -t 60").ok();
    }

    fn out_of_the_way(&self) {
        self.lab.cci(50, "pairsplit -g late").ok();
        self.lab.cci(50, "pairevtwait -g late -s psus -t 60").ok();
    }
}

#[track_caller]
fn goes_on_only_with_the_restore(bench: &Bench) {
    for line in [
        "drmmount 1",
        "drmresync 1",
        "drmcgctl -lock 1",
        "drmmediabackup 1 archive",
        "shadowadmin delete shadows -shadow=1 -quiet",
    ] {
        let said = bench.drm(line);
        assert_eq!(said.code, Some(1), "{said}");
        assert!(said.stdout.contains("STATE : being restored"), "{said}");
        assert!(said.stdout.contains("ACTION : drmfsrestore 0000000001"), "{said}");
    }
    assert!(bench.drm("drmfscat").ok().contains(" RESTORING "));
}

#[test]
fn what_one_array_refused_is_restored_when_the_command_is_repeated() {
    let bench = Bench::new();
    bench.in_the_way();
    for attempt in 0..2 {
        let said = bench.drm("drmfsrestore 1");
        assert_eq!(said.code, Some(1), "{said}");
        assert!(said.stdout.contains("then drmfsrestore 0000000001 goes on"), "{attempt}: {said}");
        until("the first array is done", || bench.held()[0] == 1);
        assert_eq!(bench.held(), [1, 2], "{attempt}");
        goes_on_only_with_the_restore(&bench);
    }
    bench.out_of_the_way();
    let said = bench.drm("drmfsrestore 1");
    assert!(said.ok().contains("KAVX0117-I"), "{said}");
    assert_eq!(bench.held(), [1, 1]);
    assert_eq!(bench.store().get(BackupId::FIRST).unwrap().backup.state, State::Overwritten);
    let over = bench.drm("drmfsrestore 1");
    assert!(over.code == Some(1) && over.stdout.contains("STATE : overwritten"), "{over}");
}

#[test]
fn a_restore_that_an_array_keeps_from_its_end_is_given_up_by_its_record() {
    let bench = Bench::new();
    bench.in_the_way();
    assert_eq!(bench.drm("drmfsrestore 1").code, Some(1));
    bench.drm("shadowadmin delete shadows -shadow=1 -record -quiet").ok();
    let gone = bench.drm("drmfsrestore 1");
    assert!(gone.code == Some(1) && gone.stdout.contains("KAVX0201-E"), "{gone}");
}

#[test]
fn a_pair_that_somebody_resynchronised_meanwhile_is_not_taken_for_restored() {
    let bench = Bench::new();
    bench.in_the_way();
    assert_eq!(bench.drm("drmfsrestore 1").code, Some(1));
    bench.lab.cci(50, "pairresync -g snap -d there").ok();
    bench.lab.cci(50, "pairevtwait -g snap -d there -s pair -t 60").ok();
    let said = bench.drm("drmfsrestore 1");
    assert_eq!(said.code, Some(1), "{said}");
    assert!(said.stdout.contains("KAVX0205-E") && said.stdout.contains("snap/there"), "{said}");
    assert_eq!(bench.held(), [1, 2]);
    // All pairs are PAIR: nothing is left to go on with.
    let given_up = bench.drm("drmresync 1");
    assert!(given_up.stdout.contains("STATE : overwritten"), "{given_up}");
}

#[test]
fn what_every_array_refuses_leaves_the_backup_as_it_was() {
    let bench = Bench::new();
    // Without the instance of the S-VOLs they cannot be hidden.
    bench.lab.kill_horcmd(51);
    let said = bench.drm("drmfsrestore 1");
    assert_eq!(said.code, Some(1), "{said}");
    let backup = bench.store().get(BackupId::FIRST).unwrap().backup;
    assert!(backup.is_there() && backup.restoring.is_none(), "{backup:?}");
    assert_eq!(bench.held(), [2, 2]);
}

#[test]
fn a_restore_that_is_killed_at_any_moment_is_ended_by_the_same_command() {
    for pause in [0, 2, 5, 10, 30, 100] {
        let bench = Bench::new();
        let mut command = bench.lab.command("drmfsrestore");
        let mut child = command.arg("1").stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut said = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("KAVX0116-I") {
            line.clear();
            assert_ne!(std::io::BufRead::read_line(&mut said, &mut line).unwrap(), 0);
        }
        // Any moment will do.
        thread::sleep(Duration::from_millis(pause));
        lab::run::kill(child.id());
        let ended = child.wait().unwrap().success();
        let again = bench.drm("drmfsrestore 1");
        if ended {
            assert!(again.stdout.contains("STATE : overwritten"), "{pause}: {again}");
        } else {
            assert!(again.ok().contains("KAVX0117-I"), "{pause}: {again}");
        }
        assert_eq!(bench.held(), [1, 1], "{pause}");
    }
}
