//! Between the freeze and the thaw of the file systems the coordinator allocates nothing: memory may
//! only be had by writing out what is frozen. File systems and provider are of cardboard here; the
//! end-to-end tests of freezing count what real ones allocate.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use model::VolumeId;
use provider::{
    error::Refused,
    guid::{Guid, SetId, SnapshotId},
    host::WallClock,
    lun::LunInfo,
};
use shadowcopy::{
    catalogue::{BackupId, State},
    coordinator::{Around, Plan, Policy, run},
    copies::Copies,
    freezer::{Fault, Freezer, Held},
    ledger::{Findings, Ledger},
    limits::Limits,
    mountinfo::Mounts,
    observer::StepsTo,
    places::Places,
    volume::MountedVolume,
};

static FROZEN: AtomicBool = AtomicBool::new(false);
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator, with what it was called with.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if FROZEN.load(SeqCst) {
            ALLOCATED.fetch_add(1, SeqCst);
        }
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Ice;

impl Freezer for Ice {
    fn arm(&mut self, _: Limits) -> Result<(), Fault> {
        Ok(())
    }

    fn writers_freeze(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn freeze(&mut self, _: Duration) -> Result<(), Fault> {
        FROZEN.store(true, SeqCst);
        Ok(())
    }

    fn left(&self) -> Duration {
        Duration::from_millis(10_000)
    }

    fn thaw(&mut self) -> Result<Held, Fault> {
        FROZEN.store(false, SeqCst);
        Ok(Held(Duration::ZERO))
    }

    fn writers_thaw(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn disarm(&mut self) {}

    fn abandon(&mut self) {}
}

struct Shelf;

impl Copies for Shelf {
    fn begin_prepare(&mut self, _: SetId, _: SnapshotId, _: &LunInfo) -> Result<(), Refused> {
        Ok(())
    }

    fn end_prepare(&mut self, _: SetId) -> Result<(), Refused> {
        Ok(())
    }

    fn pre_commit(&mut self, _: SetId) -> Result<(), Refused> {
        Ok(())
    }

    fn commit(&mut self, _: SetId) -> Result<(), Refused> {
        assert!(FROZEN.load(SeqCst));
        Ok(())
    }

    fn post_commit(&mut self, _: SetId, _: usize) -> Result<(), Refused> {
        Ok(())
    }

    fn final_commit(&mut self, _: SetId) -> Result<(), Refused> {
        Ok(())
    }

    fn abort(&mut self, _: SetId) -> Result<(), Refused> {
        Ok(())
    }
}

struct Book;

impl Ledger for Book {
    fn finish(&mut self, _: BackupId, _: &Findings) -> Result<(), String> {
        Ok(())
    }

    fn abort(&mut self, _: BackupId, _: &Findings) -> Result<(), String> {
        Ok(())
    }

    fn state(&mut self, _: BackupId) -> Result<Option<State>, String> {
        Ok(None)
    }
}

struct Nowhere;

impl Places for Nowhere {
    fn mounts(&self) -> io::Result<Mounts> {
        Ok(Mounts::default())
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.into())
    }
}

#[test]
fn the_coordinator_allocates_nothing_while_file_systems_are_frozen() {
    let volume = MountedVolume {
        mount: "/srv/pg".into(),
        device: "/dev/loop1".into(),
        file_system: "ext4".into(),
        lun: LunInfo::default(),
        volume: VolumeId { serial: "62496".parse().unwrap(), ldev: "18".parse().unwrap() },
    };
    let plan = Plan {
        id: BackupId::FIRST,
        set: SetId(Guid(1)),
        volumes: vec![(SnapshotId(Guid(2)), volume)],
        limits: Limits::default(),
        policy: Policy::Abort,
    };
    let (_reader, steps) = io::pipe().unwrap();
    let around = Around {
        freezer: &mut Ice,
        places: &Nowhere,
        ledger: &mut Book,
        observer: &mut StepsTo::new(steps.into()).unwrap(),
        clock: &WallClock::default(),
    };
    let finished = run(&plan, Vec::new(), Shelf, around);
    assert_eq!(finished.findings.state, State::Consistent);
    assert_eq!(ALLOCATED.load(SeqCst), 0);
}
