//! What the tests of several files share: a small array in a directory of its own.

use std::{fmt, io, path::Path, sync::Arc};

use model::{LdevId, MuNumber, PairEnd, Serial, VolumeId};
use protocol::{
    RequestId,
    orders::{
        CreateOptions, LocalEnd, Order, OrderAnswer, PairChange, PairTarget, ResyncOptions,
        SplitOptions,
    },
};

use crate::{
    array::Array,
    clock::{Clock, SystemClock},
    config,
    copier::Stepped,
    directory::Directory,
    store::disk::{Disk, Faulty, Files, Media, Memory},
};

pub(crate) const SERIAL: u32 = 62_496;

/// A small array: a command device 16, volumes 17 to 25 of five slots, the last one short, and
/// volume 40 of another size.
pub(crate) struct TestArray {
    pub(crate) array: Arc<Array>,
    pub(crate) faults: Faulty,
    dir: tempfile::TempDir,
}

pub(crate) const VOLUME_BYTES: u64 = 4 * 256 * 1024 + 8192;

const TOML: &str = "
serial = 62496
[[port]]
name = \"CL2-C\"
[[ldev]]
ldev = 16
emulation = \"OPEN-V\"
size = \"1 MiB\"
command_device = true
[[ldev]]
ldev = \"17-25\"
emulation = \"OPEN-V\"
size = \"1032 KiB\"
[[ldev]]
ldev = 40
emulation = \"OPEN-V\"
size = \"2 MiB\"
[[lun]]
port = \"CL2-C\"
target = 25
lun = 0
ldev = \"16-25\"
";

impl TestArray {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Directory::init(&dir.path().join("a"), &config::parse(TOML).unwrap()).unwrap();
        Self::over(dir, Box::new(SystemClock))
    }

    /// With every second volume in another pool, so that pairs are copies between pools.
    pub(crate) fn in_two_pools() -> Self {
        let pools = "[[pool]]\nid = 0\n[[pool]]\nid = 1\n";
        let mut toml = TOML.replacen("[[port]]", &format!("{pools}[[port]]"), 1);
        let size = "emulation = \"OPEN-V\"\nsize = \"1032 KiB\"\n";
        let both = format!("ldev = \"17-25\"\n{size}");
        let ldevs: Vec<String> = (17..=25)
            .map(|n| format!("ldev = {n}\npool = {}\n{size}", u32::from(n % 2 == 0)))
            .collect();
        toml = toml.replace(&both, &ldevs.join("[[ldev]]\n"));
        let dir = tempfile::tempdir().unwrap();
        Directory::init(&dir.path().join("a"), &config::parse(&toml).unwrap()).unwrap();
        Self::over(dir, Box::new(SystemClock))
    }

    /// An array of this description in memory.
    pub(crate) fn described(toml: &str) -> Array {
        let media = Memory::default();
        let inventory = config::parse(toml).unwrap();
        Array::create_on(&media, "a".as_ref(), &inventory).unwrap();
        Self::opened(Arc::new(media))
    }

    /// An array on other disks, with nothing of the file system.
    pub(crate) fn opened(media: Arc<dyn Media>) -> Array {
        Array::open_on(media, "a".as_ref(), Box::new(SystemClock)).unwrap()
    }

    /// The small array, on such disks.
    pub(crate) fn hooked(media: Hooked) -> Array {
        Array::create_on(&media, "a".as_ref(), &config::parse(TOML).unwrap()).unwrap();
        Self::opened(Arc::new(media))
    }

    pub(crate) fn with_clock(clock: Box<dyn Clock>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Directory::init(&dir.path().join("a"), &config::parse(TOML).unwrap()).unwrap();
        Self::over(dir, clock)
    }

    fn over(dir: tempfile::TempDir, clock: Box<dyn Clock>) -> Self {
        let path = dir.path().join("a");
        let faults = Faulty::new(Arc::new(Files));
        let array = Array::open_on(Arc::new(faults.clone()), &path, clock);
        let array = Arc::new(array.expect("the directory is whole"));
        Self { array, faults, dir }
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("a")
    }

    /// Opens again what the files hold now, as after `kill -9`: the running array gets no chance
    /// to write anything more.
    pub(crate) fn crash(self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy_dir(&self.path(), &dir.path().join("a"));
        Self::over(dir, Box::new(SystemClock))
    }

    pub(crate) fn reopen(self) -> Self {
        let Self { array, dir, .. } = self;
        drop(array);
        Self::over(dir, Box::new(SystemClock))
    }

    pub(crate) fn run(&self, change: PairChange, pairs: &[(u32, u32, u32)]) -> OrderAnswer {
        let pairs = pairs.iter().map(|(p, mu, s)| target(*p, *mu, Some(*s))).collect();
        self.array.execute(RequestId::random(), &Order::Change { change, pairs })
    }

    pub(crate) fn copy_all(&self) {
        for _ in 0..10_000 {
            if self.array.step() == Stepped::Idle {
                return;
            }
        }
        panic!("the copy job does not end");
    }

    pub(crate) fn state(&self, n: u32, mu: u32) -> &'static str {
        self.array.status(end(n, mu)).unwrap().status.word()
    }

    pub(crate) fn read(&self, n: u32) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(VOLUME_BYTES).unwrap()];
        self.array.read(ldev(n), 0, &mut bytes).unwrap();
        bytes
    }

    pub(crate) fn write(&self, n: u32, offset: u64, byte: u8, length: usize) {
        self.array.write(ldev(n), offset, &vec![byte; length]).unwrap();
    }
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in from.read_dir().unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub(crate) fn ldev(n: u32) -> LdevId {
    LdevId::new(n).unwrap()
}

pub(crate) fn end(n: u32, mu: u32) -> LocalEnd {
    LocalEnd { ldev: ldev(n), mu: MuNumber::new(mu).unwrap() }
}

pub(crate) fn target(p: u32, mu: u32, s: Option<u32>) -> PairTarget {
    PairTarget {
        end: end(p, mu),
        partner: s.map(|s| PairEnd {
            volume: VolumeId { serial: Serial::new(SERIAL).unwrap(), ldev: ldev(s) },
            mu: MuNumber::new(0).unwrap(),
        }),
    }
}

pub(crate) fn create() -> PairChange {
    PairChange::Create(CreateOptions::default())
}

pub(crate) fn split() -> PairChange {
    PairChange::Split(SplitOptions { writable: true, ..SplitOptions::default() })
}

pub(crate) fn quick_split() -> PairChange {
    PairChange::Split(SplitOptions {
        writable: true,
        mode: Some(model::SplitMode::Quick),
        pace: None,
        fresh: false,
    })
}

pub(crate) fn resync() -> PairChange {
    PairChange::Resync(ResyncOptions::default())
}

pub(crate) fn restore() -> PairChange {
    PairChange::Resync(ResyncOptions { restore: true, ..ResyncOptions::default() })
}

/// Disks in memory that do something before each write.
pub(crate) struct Hooked {
    below: Memory,
    before: Hook,
}

type Hook = Arc<dyn Fn(&[u8]) + Send + Sync>;

impl Hooked {
    pub(crate) fn new(before: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        Self { below: Memory::default(), before: Arc::new(before) }
    }

    fn hook(&self, disk: Arc<dyn Disk>) -> Arc<dyn Disk> {
        Arc::new(HookedDisk { disk, before: Arc::clone(&self.before) })
    }
}

impl Media for Hooked {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn Disk>> {
        Ok(self.hook(self.below.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn Disk>> {
        Ok(self.hook(self.below.open(path)?))
    }
}

struct HookedDisk {
    disk: Arc<dyn Disk>,
    before: Hook,
}

impl fmt::Debug for HookedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.disk.fmt(f)
    }
}

impl Disk for HookedDisk {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.disk.read(offset, buffer)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        (self.before)(data);
        self.disk.write(offset, data)
    }

    fn flush(&self) -> io::Result<()> {
        self.disk.flush()
    }

    fn size(&self) -> io::Result<u64> {
        self.disk.size()
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.disk.set_len(length)
    }

    fn reserve(&self, offset: u64, length: u64) -> io::Result<()> {
        self.disk.reserve(offset, length)
    }

    fn discard(&self, offset: u64, length: u64) -> io::Result<()> {
        self.disk.discard(offset, length)
    }
}
