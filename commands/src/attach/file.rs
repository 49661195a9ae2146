//! The volume as the kernel's FUSE asks for it: one regular file, which is the root of its mount.
//!
//! Nothing is cached by the kernel (FOPEN_DIRECT_IO, attributes live for no time), so that what a
//! resync or another host changes is seen at once. Requests go on to the runtime and are answered
//! from there, in any order; this thread only takes them in, and must never wait: who asks for
//! anything at all, such as `detach -force`, is behind it.

use std::{
    ffi::OsStr,
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use fuser::{
    FileAttr, FileHandle, FileType, Filesystem, FopenFlags, INodeNo, InitFlags, IoctlFlags,
    KernelConfig, LockOwner, OpenAccMode, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyIoctl,
    ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, WriteFlags,
};
use rustix::{fs::OFlags, io::Errno};
use tokio::{runtime::Handle, sync::oneshot};

use super::{
    target::Target,
    volume::{Seek, Volume},
};

/// The most of one request, in bytes.
const REQUEST: u32 = 1 << 20;
/// Requests that the kernel may have under way behind its callers' backs.
const BACKGROUND: u16 = 128;
/// What discards and file sizes are best multiples of, in bytes.
const UNIT: u32 = 4096;

/// `fallocate` modes (linux/falloc.h).
const KEEP_SIZE: i32 = 0x01;
const PUNCH_HOLE: i32 = 0x02;
const ZERO_RANGE: i32 = 0x10;

/// Names and values of extended attributes.
pub type Attributes = Vec<(&'static str, Vec<u8>)>;

/// The file.
pub struct File<T: Target> {
    /// What it shows.
    pub volume: Arc<Volume<T>>,
    /// Where requests are carried out.
    pub runtime: Handle,
    /// Its owner.
    pub owner: (u32, u32),
    /// Since when it is there.
    pub since: SystemTime,
    /// Its extended attributes as they are now.
    pub attributes: Box<dyn Fn() -> Attributes + Send + Sync>,
    /// Told when it is unmounted.
    pub ended: Option<oneshot::Sender<()>>,
}

fn errno(error: Errno) -> fuser::Errno {
    fuser::Errno::from_i32(error.raw_os_error())
}

impl<T: Target> File<T> {
    /// A file of a volume.
    pub fn new(
        volume: Arc<Volume<T>>,
        attributes: Box<dyn Fn() -> Attributes + Send + Sync>,
        ended: oneshot::Sender<()>,
    ) -> Self {
        let owner = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        Self {
            volume,
            runtime: Handle::current(),
            owner,
            since: SystemTime::now(),
            attributes,
            ended: Some(ended),
        }
    }

    fn attr(&self) -> FileAttr {
        let size = self.volume.lun().facts().extent;
        FileAttr {
            ino: INodeNo::ROOT,
            size,
            blocks: size.div_ceil(512),
            atime: self.since,
            mtime: self.since,
            ctime: self.since,
            crtime: self.since,
            kind: FileType::RegularFile,
            perm: if self.volume.writable() { 0o600 } else { 0o400 },
            nlink: 1,
            uid: self.owner.0,
            gid: self.owner.1,
            rdev: 0,
            blksize: UNIT,
            flags: 0,
        }
    }

    fn answer(
        &self,
        reply: ReplyEmpty,
        work: impl Future<Output = Result<(), Errno>> + Send + 'static,
    ) {
        self.runtime.spawn(async move {
            match work.await {
                Ok(()) => reply.ok(),
                Err(error) => reply.error(errno(error)),
            }
        });
    }
}

impl<T: Target> Filesystem for File<T> {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Each is a wish: a kernel that has less gives less.
        let _ = config.set_max_write(REQUEST);
        let _ = config.set_max_background(BACKGROUND);
        let _ = config.add_capabilities(InitFlags::FUSE_ASYNC_DIO);
        Ok(())
    }

    fn destroy(&mut self) {
        if let Some(ended) = self.ended.take() {
            // Nobody waits where the process ends anyway.
            let _ = ended.send(());
        }
    }

    fn getattr(&self, _: &Request, _: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&Duration::ZERO, &self.attr());
    }

    /// A LUN has no owner, mode or times to set; its size cannot be set either. Emptying it, as
    /// O_TRUNC does before a copy, is passed over as a block device does.
    fn setattr(
        &self,
        _: &Request,
        _: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _: Option<fuser::TimeOrNow>,
        _: Option<fuser::TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let attr = self.attr();
        let other_size = size.is_some_and(|size| size != 0 && size != attr.size);
        if other_size {
            reply.error(fuser::Errno::EINVAL);
        } else if mode.is_some() || uid.is_some() || gid.is_some() {
            reply.error(fuser::Errno::EPERM);
        } else {
            reply.attr(&Duration::ZERO, &attr);
        }
    }

    fn open(&self, _: &Request, _: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        if flags.acc_mode() != OpenAccMode::O_RDONLY && !self.volume.writable() {
            reply.error(fuser::Errno::EROFS);
            return;
        }
        let direct = FopenFlags::FOPEN_DIRECT_IO
            | FopenFlags::FOPEN_PARALLEL_DIRECT_WRITES
            | FopenFlags::FOPEN_NOFLUSH;
        reply.opened(FileHandle(0), direct);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let volume = Arc::clone(&self.volume);
        self.runtime.spawn(async move {
            match volume.read(offset, size.into()).await {
                Ok(data) => reply.data(&data),
                Err(error) => reply.error(errno(error)),
            }
        });
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let (volume, data) = (Arc::clone(&self.volume), Bytes::copy_from_slice(data));
        let durable = OFlags::from_bits_retain(flags.0 as u32).intersects(OFlags::DSYNC);
        self.runtime.spawn(async move {
            let mut written = volume.write(offset, data).await;
            if durable && written.is_ok() {
                written = volume.lun().flush().await.and(written);
            }
            match written {
                Ok(written) => reply.written(u32::try_from(written).unwrap_or(u32::MAX)),
                Err(error) => reply.error(errno(error)),
            }
        });
    }

    /// Some duplicate of the file is closed, perhaps by a child that a process with the file open
    /// has just started. It promises nothing, and must not wait for an array that is away.
    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let volume = Arc::clone(&self.volume);
        self.answer(reply, async move { volume.lun().flush().await });
    }

    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        // All of a LUN is allocated as far as writes go, so only what makes zeros is left.
        if !matches!(mode & !KEEP_SIZE, PUNCH_HOLE | ZERO_RANGE) {
            reply.error(fuser::Errno::EOPNOTSUPP);
            return;
        }
        let volume = Arc::clone(&self.volume);
        self.answer(reply, async move { volume.zero(offset, length).await });
    }

    fn lseek(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        const SEEK_DATA: i32 = 3;
        const SEEK_HOLE: i32 = 4;
        let what = match whence {
            SEEK_DATA => Seek::Data,
            SEEK_HOLE => Seek::Hole,
            _ => return reply.error(fuser::Errno::EINVAL),
        };
        let Ok(offset) = u64::try_from(offset) else {
            return reply.error(fuser::Errno::ENXIO);
        };
        let volume = Arc::clone(&self.volume);
        self.runtime.spawn(async move {
            match volume.seek(offset, what).await {
                Ok(at) => reply.offset(i64::try_from(at).unwrap_or(i64::MAX)),
                // By ENOSYS the kernel takes all of the file for data.
                Err(Errno::OPNOTSUPP) => reply.error(fuser::Errno::ENOSYS),
                Err(error) => reply.error(errno(error)),
            }
        });
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let blocks = self.volume.lun().facts().extent / u64::from(UNIT);
        reply.statfs(blocks, 0, 0, 1, 0, UNIT, 255, UNIT);
    }

    fn getxattr(&self, _: &Request, _: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let found = (self.attributes)().into_iter().find(|(known, _)| name == OsStr::new(known));
        match found {
            Some((_, value)) => give(&value, size, reply),
            None => reply.error(fuser::Errno::ENODATA),
        }
    }

    fn listxattr(&self, _: &Request, _: INodeNo, size: u32, reply: ReplyXattr) {
        let names = (self.attributes)().into_iter().map(|(name, _)| format!("{name}\0"));
        give(names.collect::<String>().as_bytes(), size, reply);
    }

    fn ioctl(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: IoctlFlags,
        _: u32,
        _: &[u8],
        _: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(fuser::Errno::ENOTTY);
    }
}

/// A value to who asks with room for so many bytes, or with none for its length.
fn give(value: &[u8], room: u32, reply: ReplyXattr) {
    let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
    if room == 0 {
        reply.size(length);
    } else if length > room {
        reply.error(fuser::Errno::ERANGE);
    } else {
        reply.data(value);
    }
}
