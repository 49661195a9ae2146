//! `kill -9` of horcmd and of arrayd at random points of a session.
//!
//! One pair of small volumes, one session after the other: write, create, split, write, resync,
//! restore. Somewhere in it one of the three processes dies. Then everything must be as if it
//! had only been slow: the array's directory is clean, the S-VOL holds the bytes its state
//! promises, and the next session runs to its end.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use lab::{
    Carrier, Lab, bytes,
    lab::{PVOL, SVOL},
    proxy::Dice,
    run,
};

/// The unit of writing, the difference unit of the pair.
const SLOT: usize = 256 * 1024;
/// How large the volumes are.
const SLOTS: u64 = 64;

/// Slots in a large write: more than one step of copying moves.
const MANY: u64 = 48;
/// Slots in a small write.
const FEW: u64 = 4;

/// What both volumes must hold.
struct World {
    dice: Dice,
    /// Each slot of the P-VOL: the seed of its pattern. 0 is a slot never written.
    pvol: Vec<u64>,
    /// Slots whose last write was cut: old or new, block by block.
    torn: Vec<(usize, u64)>,
    /// The S-VOL as of the last split that may have taken effect.
    split: Option<Vec<u64>>,
    /// The P-VOL before a restore that may not have taken effect.
    unrestored: Option<Vec<u64>>,
    stamp: u64,
}

#[derive(Clone, Copy, Debug)]
enum Victim {
    Array,
    Horcmd(u16),
}

fn content(seed: u64) -> Vec<u8> {
    if seed == 0 { vec![0; SLOT] } else { bytes::pattern(seed, SLOT) }
}

impl World {
    /// Writes some slots in a row, each with a pattern of its own; an error means that the array
    /// died in it.
    fn write(&mut self, lab: &Lab, count: u64) -> Result<(), ()> {
        let first = self.dice.below(SLOTS - count + 1);
        let slots: Vec<_> =
            (first..first + count).map(|slot| usize::try_from(slot).unwrap()).collect();
        let mut data = Vec::new();
        let mut stamps = Vec::new();
        for slot in slots {
            self.stamp += 1;
            data.extend(content(self.stamp));
            stamps.push((slot, self.stamp));
        }
        if lab.write(PVOL, first * SLOT as u64, &data).code == Some(0) {
            stamps.into_iter().for_each(|(slot, stamp)| self.pvol[slot] = stamp);
            Ok(())
        } else {
            self.torn.extend(stamps);
            Err(())
        }
    }

    /// The session; ends early with an error when something died under it.
    fn session(&mut self, lab: &Lab) -> Result<(), ()> {
        let done = |line: &str| {
            if lab.cci(51, line).code == Some(0) { Ok(()) } else { Err(()) }
        };
        // At the slowest pace and split while they still copy, so that there is much left to fetch
        // when the next write or the next kill comes.
        self.write(lab, MANY)?;
        done("paircreate -g snap -vr -c 1")?;
        for split in ["pairsplit -g snap", "pairsplit -g snap -fq quick"] {
            self.write(lab, FEW)?;
            self.split = Some(self.pvol.clone());
            done(split)?;
            self.write(lab, FEW)?;
            self.write(lab, MANY)?;
            self.check_svol(lab)?;
            done("pairevtwait -g snap -s psus -t 60")?;
            if split.ends_with("snap") {
                done("pairresync -g snap -c 1")?;
                self.split = None;
            }
        }
        self.unrestored = Some(self.pvol.clone());
        done("pairresync -g snap -restore -c 1")?;
        self.pvol = self.split.take().unwrap();
        self.unrestored = None;
        self.write(lab, FEW)?;
        done("pairevtwait -g snap -s pair -t 60")?;
        // Once more from PAIR.
        self.write(lab, MANY)?;
        self.split = Some(self.pvol.clone());
        done("pairsplit -g snap")?;
        self.write(lab, FEW)?;
        self.check_svol(lab)?;
        done("pairevtwait -g snap -s psus -t 60")?;
        done("pairsplit -g snap -S")?;
        self.split = None;
        Ok(())
    }

    /// The split S-VOL holds the moment of the split, whatever is still to be fetched.
    fn check_svol(&self, lab: &Lab) -> Result<(), ()> {
        let (path, dir) = (lab.path("svol.now"), lab.array_dir());
        let ldev = SVOL.to_string();
        let words = ["export".as_ref(), dir.as_os_str(), ldev.as_ref(), path.as_os_str()];
        if lab.program("arrayd", words).code != Some(0) {
            return Err(());
        }
        let split = self.split.as_ref().expect("it was split");
        self.compare(&path, split, &[], "the S-VOL behind a split that still copies");
        Ok(())
    }

    /// Judges both volumes by the state the pair is in, and dissolves the pair.
    fn judge(&mut self, lab: &Lab, place: &str) {
        let settled = lab.cci(51, "pairevtwait -g snap -s smpl pair psus -t 120");
        assert_eq!(settled.code, Some(0), "{place}: the pair does not settle: {settled}");
        let state = lab.cci(50, "pairvolchk -g snap -ss").code;
        let pvol = lab.export(PVOL, "pvol.img");
        match state {
            Some(24) => {
                // PSUS. The split that led here froze what the model knew then; a write that
                // was cut before it may be on the S-VOL in part.
                let split = self.split.clone().unwrap_or_else(|| panic!("{place}: PSUS unasked"));
                let svol = lab.export(SVOL, "svol.img");
                self.compare(&svol, &split, &[], &format!("{place}: S-VOL in SSUS"));
                self.compare(&pvol, &self.pvol, &self.torn, &format!("{place}: P-VOL in PSUS"));
                fs::remove_file(svol).unwrap();
            }
            Some(23) => {
                // PAIR: whatever a split freezes now must be the P-VOL of now.
                let image = self.settle_pvol(&pvol, place);
                assert_eq!(lab.cci(51, "pairsplit -g snap").code, Some(0), "{place}");
                assert_eq!(
                    lab.cci(51, "pairevtwait -g snap -s psus -t 120").code,
                    Some(0),
                    "{place}"
                );
                let svol = lab.export(SVOL, "svol.img");
                assert_eq!(bytes::first_difference(image, &svol).unwrap(), None, "{place}: PAIR");
                fs::remove_file(svol).unwrap();
            }
            Some(11) => drop(self.settle_pvol(&pvol, place)),
            other => panic!("{place}: pairvolchk says {other:?}"),
        }
        self.learn(&pvol);
        fs::remove_file(pvol).unwrap();
        assert_eq!(lab.cci(51, "pairsplit -g snap -S").code, Some(0), "{place}");
        assert_eq!(lab.cci(50, "pairvolchk -g snap -ss").code, Some(11), "{place}");
    }

    /// The P-VOL is what the model says: before or after a restore that was cut.
    fn settle_pvol<'a>(&self, pvol: &'a std::path::Path, place: &str) -> &'a std::path::Path {
        let restored = self.unrestored.is_some().then(|| self.split.clone()).flatten();
        if let Some(restored) = restored
            && self.differs(pvol, &restored, &self.torn).is_none()
        {
            return pvol;
        }
        self.compare(pvol, &self.pvol, &self.torn, &format!("{place}: P-VOL"));
        pvol
    }

    fn compare(&self, image: &std::path::Path, slots: &[u64], torn: &[(usize, u64)], what: &str) {
        if let Some(slot) = self.differs(image, slots, torn) {
            panic!("{what}: slot {slot} is not what it must be");
        }
    }

    /// The first slot that is neither what it must be nor, where a write was cut, a mix by block
    /// of the old and the new bytes.
    fn differs(
        &self,
        image: &std::path::Path,
        slots: &[u64],
        torn: &[(usize, u64)],
    ) -> Option<usize> {
        let bytes = fs::read(image).unwrap();
        bytes.chunks(SLOT).enumerate().position(|(slot, found)| {
            let old = content(slots[slot]);
            let new: Vec<_> =
                torn.iter().filter(|(s, _)| *s == slot).map(|(_, stamp)| content(*stamp)).collect();
            !found.chunks(512).enumerate().all(|(block, found)| {
                let at = block * 512;
                found == &old[at..at + 512] || new.iter().any(|new| found == &new[at..at + 512])
            })
        })
    }

    /// Starts over from what the P-VOL holds; a torn slot is made whole by writing it again.
    fn learn(&mut self, pvol: &std::path::Path) {
        let image = fs::read(pvol).unwrap();
        let was = self.split.take();
        for (slot, found) in image.chunks(SLOT).enumerate() {
            let torn = self.torn.iter().filter(|(s, _)| *s == slot).map(|(_, stamp)| *stamp);
            let known =
                [self.pvol[slot]].into_iter().chain(was.as_ref().map(|w| w[slot])).chain(torn);
            // A slot that is a mix has no seed; the next session's first step rewrites it.
            self.pvol[slot] =
                known.into_iter().find(|seed| content(*seed) == found).unwrap_or(u64::MAX);
        }
        self.torn.clear();
        self.unrestored = None;
    }

    fn rewrite_mixed(&mut self, lab: &Lab) {
        for slot in 0..self.pvol.len() {
            if self.pvol[slot] == u64::MAX {
                self.stamp += 1;
                lab.write(PVOL, (slot * SLOT) as u64, &content(self.stamp)).ok();
                self.pvol[slot] = self.stamp;
            }
        }
    }
}

fn campaign(carrier: Carrier, seed: u64, points: u32) {
    let mut lab = Lab::on(carrier);
    lab.small_volumes(SLOTS * SLOT as u64);
    lab.init_array().ok();
    lab.start_array();
    lab.start(&[50, 51]).ok();
    let mut world = World {
        dice: Dice(seed),
        pvol: vec![0; usize::try_from(SLOTS).unwrap()],
        torn: Vec::new(),
        split: None,
        unrestored: None,
        stamp: seed << 32,
    };
    // One session undisturbed tells how long one takes.
    let started = Instant::now();
    assert_eq!(world.session(&lab), Ok(()), "the undisturbed session");
    let length = u64::try_from(started.elapsed().as_micros()).unwrap();

    for point in 0..points {
        let victim = match world.dice.below(4) {
            0 => Victim::Horcmd(50),
            1 => Victim::Horcmd(51),
            _ => Victim::Array,
        };
        let after = Duration::from_micros(world.dice.below(length));
        let place =
            format!("{carrier:?} seed {seed} point {point}: {victim:?} killed after {after:?}");
        let array = lab.array_pid().unwrap();
        thread::scope(|scope| {
            let killer = scope.spawn(|| {
                // The moment is the thing under test: any moment will do.
                thread::sleep(after);
                match victim {
                    Victim::Array => run::kill(array),
                    Victim::Horcmd(instance) => lab.kill_horcmd(instance),
                }
            });
            let _ = world.session(&lab);
            killer.join().unwrap();
        });
        match victim {
            Victim::Array => {
                lab.kill_array();
                let dir = lab.array_dir();
                let checked = lab.program("arrayd", ["check".as_ref(), dir.as_os_str()]);
                assert_eq!(checked.code, Some(0), "{place}: {checked}");
                lab.start_array();
            }
            Victim::Horcmd(instance) => {
                let restarted = lab.start(&[instance]);
                assert_eq!(restarted.code, Some(0), "{place}: {restarted}");
            }
        }
        world.judge(&lab, &place);
        world.rewrite_mixed(&lab);
    }
    assert_eq!(world.session(&lab), Ok(()), "the session after all crashes");
}

#[test]
fn fifty_kills_of_a_session_lose_nothing() {
    campaign(Carrier::Ipcmd, 0x5eed_0001, 50);
}

#[test]
fn fifty_more_kills_from_another_seed_lose_nothing() {
    campaign(Carrier::Ipcmd, 0x5eed_0002, 50);
}

#[test]
fn kills_lose_nothing_in_band_either() {
    campaign(Carrier::InBand, 0x5eed_0003, 8);
}
