//! VSS itself, by IVssBackupComponents of `vssapi.dll`.
//!
//! `connect` makes the object, `writers` reads what writers say of themselves, `volume` finds
//! volumes.

/// A method of the object, with its arguments.
macro_rules! call {
    ($object:expr, $method:ident $(, $argument:expr)*) => {{
        let object = &$object;
        // SAFETY: vsbackup.h says what the method takes; texts and places outlive the call.
        $crate::windows::done(unsafe { (object.table().$method)(object.this() $(, $argument)*) })
    }};
}

mod connect;
mod volume;
mod writers;

use std::time::{Duration, Instant};

use provider::guid::Guid;
use windows::{
    Win32::Storage::Vss::{
        IVssAsync, VSS_BT_COPY, VSS_BT_FULL, VSS_OBJECT_SNAPSHOT_SET, VSS_S_ASYNC_CANCELLED,
        VSS_S_ASYNC_FINISHED,
    },
    core::{BSTR, Error, HRESULT, HSTRING, Interface as _},
};

use crate::{
    interfaces::{self, Id, Object, Raw, Text, This},
    vss::{Answer, BackupType, ComponentId, Hresult, Progress, Task, Vss, Writer, WriterStatus},
};

/// E_POINTER: VSS said success, and gave nothing.
const NOTHING: Hresult = Hresult(0x8000_4003);

/// An object of IVssBackupComponents.
#[derive(Debug)]
pub struct BackupComponents {
    /// Let go before the object that made it.
    task: Option<IVssAsync>,
    object: Object<interfaces::BackupComponents>,
    began: Instant,
}

fn done(raw: Raw) -> Answer {
    if raw < 0 { Err(Hresult(raw.cast_unsigned())) } else { Ok(()) }
}

fn of_error(error: &Error) -> Hresult {
    Hresult(error.code().0.cast_unsigned())
}

/// Asks for something that comes out by a place for it.
fn got<T: Default>(ask: impl FnOnce(&mut T) -> Answer) -> Answer<T> {
    let mut place = T::default();
    ask(&mut place)?;
    Ok(place)
}

/// Asks for an object.
fn object<T>(ask: impl FnOnce(&mut This) -> Answer) -> Answer<Object<T>> {
    let mut place: This = std::ptr::null_mut();
    ask(&mut place)?;
    // SAFETY: VSS hands out a reference of the type that the caller asked for.
    unsafe { Object::take(place) }.ok_or(NOTHING)
}

/// Asks for a text, which is then ours.
fn text(ask: impl FnOnce(*mut Text) -> Answer) -> Answer<String> {
    let mut place = BSTR::new();
    // A BSTR is its pointer.
    ask((&raw mut place).cast())?;
    Ok(place.to_string())
}

/// A name as methods take it: pointers last as long as this.
struct Name<'c> {
    id: &'c ComponentId,
    path: Option<HSTRING>,
    name: HSTRING,
}

impl<'c> Name<'c> {
    fn of(id: &'c ComponentId) -> Self {
        Self { id, path: id.path.as_ref().map(HSTRING::from), name: HSTRING::from(&id.name) }
    }

    fn path(&self) -> *const u16 {
        self.path.as_ref().map_or(std::ptr::null(), |path| path.as_ptr())
    }
}

impl Vss for BackupComponents {
    fn initialize_for_backup(&mut self) -> Answer {
        call!(self.object, initialize_for_backup, std::ptr::null())
    }

    fn set_context(&mut self, context: i32) -> Answer {
        call!(self.object, set_context, context)
    }

    fn set_backup_state(&mut self, backup: BackupType) -> Answer {
        let backup = match backup {
            BackupType::Full => VSS_BT_FULL,
            BackupType::Copy => VSS_BT_COPY,
        };
        call!(self.object, set_backup_state, true, false, backup.0, false)
    }

    fn enable_writer_class(&mut self, class: Guid) -> Answer {
        call!(self.object, enable_writer_classes, &Id::from(class), 1)
    }

    fn start(&mut self, task: Task) -> Answer {
        self.task = None;
        let table = self.object.table();
        let method = match task {
            Task::GatherWriterMetadata => table.gather_writer_metadata,
            Task::PrepareForBackup => table.prepare_for_backup,
            Task::DoSnapshotSet => table.do_snapshot_set,
            Task::GatherWriterStatus => table.gather_writer_status,
            Task::BackupComplete => table.backup_complete,
        };
        let mut place: This = std::ptr::null_mut();
        // SAFETY: a place for the pointer.
        done(unsafe { method(self.object.this(), &mut place) })?;
        if place.is_null() {
            return Err(NOTHING);
        }
        // SAFETY: a reference that is ours.
        self.task = Some(unsafe { IVssAsync::from_raw(place) });
        Ok(())
    }

    fn look(&mut self) -> Answer<Progress> {
        let task = self.task.as_ref().ok_or(NOTHING)?;
        let mut status = HRESULT(0);
        // SAFETY: a place for the status; the other is reserved.
        unsafe { task.QueryStatus(&mut status, std::ptr::null_mut()) }
            .map_err(|error| of_error(&error))?;
        done(status.0)?;
        Ok(match status {
            VSS_S_ASYNC_FINISHED => Progress::Finished,
            VSS_S_ASYNC_CANCELLED => Progress::Cancelled,
            _ => Progress::Pending,
        })
    }

    fn cancel(&mut self) -> Answer {
        let task = self.task.as_ref().ok_or(NOTHING)?;
        // SAFETY: no arguments.
        unsafe { task.Cancel() }.map_err(|error| of_error(&error))
    }

    /// Not IVssAsync::Wait: before Windows Vista it knew no limit, and a task that hangs might
    /// hang in it.
    fn wait(&mut self, most: Duration) {
        std::thread::sleep(most);
    }

    fn clock(&self) -> Duration {
        self.began.elapsed()
    }

    fn writers(&mut self) -> Answer<Vec<Writer>> {
        let count = got(|it| call!(self.object, get_writer_metadata_count, it))?;
        let writer = |at| {
            let mut instance = Id::default();
            let metadata =
                object(|it| call!(self.object, get_writer_metadata, at, &mut instance, it))?;
            writers::described(instance, &metadata)
        };
        (0..count).map(writer).collect()
    }

    fn free_writer_metadata(&mut self) -> Answer {
        call!(self.object, free_writer_metadata)
    }

    fn volume_of(&mut self, directory: &str) -> Answer<String> {
        volume::of(directory)
    }

    fn add_component(&mut self, component: &ComponentId) -> Answer {
        let it = Name::of(component);
        let (instance, class) = (it.id.instance.into(), it.id.class.into());
        let (path, name) = (it.path(), it.name.as_ptr());
        call!(self.object, add_component, instance, class, it.id.kind, path, name)
    }

    fn start_snapshot_set(&mut self) -> Answer<Guid> {
        got::<Id>(|it| call!(self.object, start_snapshot_set, it)).map(Guid::from)
    }

    fn add_to_snapshot_set(&mut self, volume: &str, provider: Guid) -> Answer {
        let volume = HSTRING::from(volume);
        let mut copy = Id::default();
        call!(self.object, add_to_snapshot_set, volume.as_ptr(), provider.into(), &mut copy)
    }

    fn writer_statuses(&mut self) -> Answer<Vec<WriterStatus>> {
        let count: u32 = got(|it| call!(self.object, get_writer_status_count, it))?;
        let status = |at| {
            let (mut instance, mut class) = (Id::default(), Id::default());
            let (mut state, mut failure) = (0, 0);
            let name = text(|it| {
                let (instance, class) = (&mut instance, &mut class);
                let (state, failure) = (&mut state, &mut failure);
                call!(self.object, get_writer_status, at, instance, class, it, state, failure)
            })?;
            let failure = Hresult(failure.cast_unsigned());
            Ok(WriterStatus { instance: instance.into(), name, state, failure })
        };
        (0..count).map(status).collect()
    }

    fn free_writer_status(&mut self) -> Answer {
        call!(self.object, free_writer_status)
    }

    fn set_backup_succeeded(&mut self, component: &ComponentId, succeeded: bool) -> Answer {
        let it = Name::of(component);
        let (instance, class) = (it.id.instance.into(), it.id.class.into());
        let (path, name, kind) = (it.path(), it.name.as_ptr(), it.id.kind);
        call!(self.object, set_backup_succeeded, instance, class, kind, path, name, succeeded)
    }

    fn document(&mut self) -> Answer<String> {
        text(|it| call!(self.object, save_as_xml, it))
    }

    fn delete_snapshot_set(&mut self, set: Guid) -> Answer {
        let (mut deleted, mut not_deleted) = (0, Id::default());
        let (deleted, not_deleted) = (&mut deleted, &mut not_deleted);
        let kind = VSS_OBJECT_SNAPSHOT_SET.0;
        call!(self.object, delete_snapshots, set.into(), kind, 1, deleted, not_deleted)
    }

    fn abort_backup(&mut self) -> Answer {
        call!(self.object, abort_backup)
    }
}
