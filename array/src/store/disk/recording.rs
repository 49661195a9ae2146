//! Disks that record everything that reaches them, and what a crash at any point may leave of it.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    Disk, Media, SECTOR,
    memory::{Bytes, Memory},
};

/// Something that reached a disk.
#[derive(Debug, Clone)]
enum Event {
    Create(PathBuf),
    Write { disk: PathBuf, offset: u64, data: Arc<[u8]> },
    SetLen { disk: PathBuf, length: u64 },
    Discard { disk: PathBuf, offset: u64, length: u64 },
    FlushBegan { flush: u64 },
    FlushEnded { disk: PathBuf, flush: u64 },
}

/// What a crash keeps of the writes that nobody has waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// All of them, in their order.
    Nothing,
    /// None of them.
    Everything,
    /// Each wholly, not at all, or some of its sectors, by this seed.
    Some(u64),
}

/// Media in memory that record.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    below: Memory,
    log: Arc<Mutex<Vec<Event>>>,
    flushes: Arc<AtomicU64>,
    /// The flush that will not happen, though who asks for it is told that it did.
    skipped: Arc<AtomicU64>,
}

impl Recorder {
    /// Media without disks.
    #[must_use]
    pub fn new() -> Self {
        let this = Self::default();
        this.skipped.store(u64::MAX, Ordering::SeqCst);
        this
    }

    /// How many events there are by now. A crash at this number has them all.
    #[must_use]
    pub fn position(&self) -> usize {
        lock(&self.log).len()
    }

    /// How many flushes there were by now.
    #[must_use]
    pub fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::SeqCst)
    }

    /// Lets the flush of this number not happen, as a disk that lies or a program that forgets it.
    pub fn skip_flush(&self, number: u64) {
        self.skipped.store(number, Ordering::SeqCst);
    }

    /// Replays the recording for crash points in ascending order.
    #[must_use]
    pub fn replay(&self) -> Replay {
        Replay { log: lock(&self.log).clone(), at: 0, base: BTreeMap::new(), tail: Vec::new() }
    }
}

/// A recording that is played to ascending points.
#[derive(Debug)]
pub struct Replay {
    log: Vec<Event>,
    at: usize,
    /// What surely is on the disks.
    base: BTreeMap<PathBuf, Bytes>,
    /// Positions of events that a crash may lose.
    tail: Vec<usize>,
}

impl Replay {
    /// What a crash before event `at` may leave; `at` must not be less than last time.
    pub fn crash(&mut self, at: usize, loss: Loss) -> Memory {
        while self.at < at.min(self.log.len()) {
            self.play(self.at);
            self.at += 1;
        }
        let mut disks = self.base.clone();
        let mut dice = match loss {
            Loss::Some(seed) => Dice(seed | 1),
            Loss::Nothing | Loss::Everything => Dice(1),
        };
        let mut order: Vec<usize> = self.tail.clone();
        match loss {
            Loss::Everything => order.clear(),
            Loss::Nothing => {}
            Loss::Some(_) => {
                // Unflushed writes reach the disk in any order, where they overlap too.
                for n in (1..order.len()).rev() {
                    if dice.below(4) == 0 {
                        order.swap(n, dice.below(n as u64 + 1) as usize);
                    }
                }
            }
        }
        for n in order {
            let keep = if loss == Loss::Nothing { 0 } else { dice.below(3) };
            match &self.log[n] {
                Event::Write { disk, offset, data } => {
                    let bytes = disks.entry(disk.clone()).or_default();
                    match keep {
                        0 => bytes.write(*offset, data),
                        1 => {}
                        _ => {
                            let mut done = 0;
                            while done < data.len() {
                                let at = *offset + done as u64;
                                let rest = SECTOR - (at % SECTOR as u64) as usize;
                                let count = rest.min(data.len() - done);
                                if dice.below(2) == 0 {
                                    bytes.write(at, &data[done..done + count]);
                                }
                                done += count;
                            }
                        }
                    }
                }
                Event::SetLen { disk, length } if keep == 0 => {
                    disks.entry(disk.clone()).or_default().set_len(*length);
                }
                Event::Discard { disk, offset, length } if keep != 1 => {
                    // Cut short: the second half of it.
                    let from = if keep == 0 { *offset } else { offset + length / 2 };
                    let count = offset + length - from;
                    disks.entry(disk.clone()).or_default().discard(from, count);
                }
                _ => {}
            }
        }
        Memory::of(disks)
    }

    fn play(&mut self, n: usize) {
        match &self.log[n] {
            Event::Create(disk) => {
                self.base.entry(disk.clone()).or_default();
            }
            Event::Write { .. }
            | Event::SetLen { .. }
            | Event::Discard { .. }
            | Event::FlushBegan { .. } => self.tail.push(n),
            Event::FlushEnded { disk, flush } => {
                let began = self.tail.iter().position(|n| {
                    matches!(&self.log[*n], Event::FlushBegan { flush: other } if other == flush)
                });
                let Some(began) = began else {
                    return;
                };
                let mut left = Vec::new();
                for (at, n) in std::mem::take(&mut self.tail).into_iter().enumerate() {
                    let mine = at <= began;
                    match &self.log[n] {
                        Event::Write { disk: of, offset, data } if mine && of == disk => {
                            self.base.entry(of.clone()).or_default().write(*offset, data);
                        }
                        Event::SetLen { disk: of, length } if mine && of == disk => {
                            self.base.entry(of.clone()).or_default().set_len(*length);
                        }
                        Event::Discard { disk: of, offset, length } if mine && of == disk => {
                            self.base.entry(of.clone()).or_default().discard(*offset, *length);
                        }
                        Event::FlushBegan { flush: other } if other == flush => {}
                        _ => left.push(n),
                    }
                }
                self.tail = left;
            }
        }
    }
}

impl Media for Recorder {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn Disk>> {
        let disk = self.below.create(path)?;
        lock(&self.log).push(Event::Create(path.to_owned()));
        Ok(Arc::new(Recorded { path: path.to_owned(), disk, recorder: self.clone() }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn Disk>> {
        let disk = self.below.open(path)?;
        Ok(Arc::new(Recorded { path: path.to_owned(), disk, recorder: self.clone() }))
    }
}

#[derive(Debug)]
struct Recorded {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    recorder: Recorder,
}

impl Disk for Recorded {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.disk.read(offset, buffer)
    }

    fn read_now(&self, offset: u64, buffer: &mut [u8]) -> bool {
        self.disk.read_now(offset, buffer)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut log = lock(&self.recorder.log);
        self.disk.write(offset, data)?;
        log.push(Event::Write { disk: self.path.clone(), offset, data: data.into() });
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let flush = self.recorder.flushes.fetch_add(1, Ordering::SeqCst);
        if flush == self.recorder.skipped.load(Ordering::SeqCst) {
            return Ok(());
        }
        let disk = self.path.clone();
        lock(&self.recorder.log).push(Event::FlushBegan { flush });
        lock(&self.recorder.log).push(Event::FlushEnded { disk, flush });
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        self.disk.size()
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut log = lock(&self.recorder.log);
        self.disk.set_len(length)?;
        log.push(Event::SetLen { disk: self.path.clone(), length });
        Ok(())
    }

    fn reserve(&self, _offset: u64, _length: u64) -> io::Result<()> {
        Ok(())
    }

    fn discard(&self, offset: u64, length: u64) -> io::Result<()> {
        let mut log = lock(&self.recorder.log);
        self.disk.discard(offset, length)?;
        log.push(Event::Discard { disk: self.path.clone(), offset, length });
        Ok(())
    }
}

/// Numbers by a seed (xorshift64*), the same everywhere.
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % bound.max(1)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded() -> (Recorder, Arc<dyn Disk>) {
        let recorder = Recorder::new();
        let disk = recorder.create(Path::new("d")).unwrap();
        (recorder, disk)
    }

    fn bytes(memory: &Memory) -> Vec<u8> {
        let all = memory.contents();
        let bytes = &all[Path::new("d")];
        let mut buffer = vec![0; bytes.len() as usize];
        assert!(bytes.read(0, &mut buffer));
        buffer
    }

    #[test]
    fn what_was_flushed_stays_and_what_was_not_may_go() {
        let (recorder, disk) = recorded();
        disk.write(0, &[1; 1024]).unwrap();
        disk.flush().unwrap();
        disk.write(512, &[2; 1024]).unwrap();
        let end = recorder.position();
        let mut replay = recorder.replay();
        assert_eq!(bytes(&replay.crash(end, Loss::Everything)), [1; 1024]);
        let all = bytes(&replay.crash(end, Loss::Nothing));
        assert_eq!((&all[..512], &all[512..]), (&[1; 512][..], &[2; 1024][..]));
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let found = bytes(&replay.crash(end, Loss::Some(seed * 7919)));
            assert_eq!(found[..512], [1; 512], "flushed");
            assert!(found[512..1024] == [1; 512] || found[512..1024] == [2; 512], "by sector");
            seen.insert(found);
        }
        assert_eq!(seen.len(), 4, "both sectors of the second write are kept or lost");
    }

    #[test]
    fn a_skipped_flush_keeps_nothing() {
        let (recorder, disk) = recorded();
        recorder.skip_flush(0);
        disk.write(0, &[1; 512]).unwrap();
        disk.flush().unwrap();
        let end = recorder.position();
        assert!(bytes(&recorder.replay().crash(end, Loss::Everything)).is_empty());
    }
}
