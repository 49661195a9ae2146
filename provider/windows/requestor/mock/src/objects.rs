//! What VSS hands out: a backup, its writer, the writer's component, a file of that, a task.

use provider::guid::Guid;
use vss_requestor::{
    interfaces::{ComponentInfo, Id, Raw, Text, This},
    vss::EXCHANGE,
};
use windows::{
    Win32::Storage::Vss::{
        IVssAsync, IVssAsync_Impl, IVssWMFiledesc, IVssWMFiledesc_Impl, VSS_S_ASYNC_FINISHED,
    },
    core::{BSTR, HRESULT, Interface as _, PCWSTR, Result, implement, w},
};

use crate::table::{note, object};

const INSTANCE: Guid = Guid(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
const SET: Guid = Guid(0x5e75_e75e_75e7_5e75_e75e_75e7_5e75_e75e);

/// What the SDK's `CreateVssBackupComponents` calls.
///
/// # Safety
/// `out` is a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn CreateVssBackupComponentsInternal(out: *mut This) -> Raw {
    macro_rules! table {
        ($interface:literal: $($name:literal $function:expr),* $(,)?) => {
            object($interface, &[$(($name, $function as *const () as usize)),*])
        };
    }
    let backup = table!("IVssBackupComponents":
        "InitializeForBackup" initialize, "SetBackupState" state,
        "GatherWriterMetadata" gather_metadata, "GetWriterMetadataCount" one,
        "GetWriterMetadata" metadata, "FreeWriterMetadata" free_metadata,
        "AddComponent" add, "PrepareForBackup" prepare, "AbortBackup" abort,
        "GatherWriterStatus" gather_status, "GetWriterStatusCount" one,
        "FreeWriterStatus" free_status, "GetWriterStatus" status,
        "SetBackupSucceeded" succeeded, "SaveAsXML" document, "BackupComplete" complete,
        "SetContext" context, "StartSnapshotSet" start_set, "AddToSnapshotSet" add_volume,
        "DoSnapshotSet" snapshot, "DeleteSnapshots" delete, "EnableWriterClasses" enable,
    );
    // SAFETY: as the caller says.
    unsafe { out.write(backup) };
    note("CreateVssBackupComponents")
}

/// Writes to a place that the caller gave.
macro_rules! put {
    ($($place:ident = $value:expr),* $(,)?) => {
        // SAFETY: the requestor gives a place of the type that the header says.
        unsafe { $($place.write($value);)* }
    };
}

fn text(text: &str) -> Text {
    BSTR::from(text).into_raw()
}

/// A text that was handed in.
fn read(text: *const u16) -> String {
    // SAFETY: null, or a text that ends in NUL.
    if text.is_null() { "null".into() } else { unsafe { PCWSTR(text).to_string() }.expect("text") }
}

fn task(name: &str, out: *mut This) -> Raw {
    put!(out = IVssAsync::from(Task(name.to_owned())).into_raw());
    note(name)
}

extern "system" fn initialize(_: This, xml: Text) -> Raw {
    note(&format!("InitializeForBackup {}", read(xml)))
}

extern "system" fn state(_: This, by_component: u8, system: u8, backup: i32, partial: u8) -> Raw {
    note(&format!("SetBackupState {by_component} {system} {backup} {partial}"))
}

extern "system" fn context(_: This, context: i32) -> Raw {
    note(&format!("SetContext {context:#x}"))
}

extern "system" fn enable(_: This, classes: *const Id, count: u32) -> Raw {
    // SAFETY: there is one at least.
    note(&format!("EnableWriterClasses {count} {}", Guid::from(unsafe { *classes })))
}

extern "system" fn gather_metadata(_: This, out: *mut This) -> Raw {
    task("GatherWriterMetadata", out)
}

extern "system" fn one(_: This, count: *mut u32) -> Raw {
    put!(count = 1);
    0
}

extern "system" fn metadata(_: This, at: u32, instance: *mut Id, out: *mut This) -> Raw {
    let writer = object(
        "IVssExamineWriterMetadata",
        &[
            ("GetIdentity", identity as *const () as usize),
            ("GetFileCounts", file_counts as *const () as usize),
            ("GetComponent", component as *const () as usize),
            ("SaveAsXML", writer_document as *const () as usize),
        ],
    );
    put!(instance = INSTANCE.into(), out = writer);
    note(&format!("GetWriterMetadata {at}"))
}

extern "system" fn identity(
    _: This,
    instance: *mut Id,
    class: *mut Id,
    name: *mut Text,
    usage: *mut i32,
    source: *mut i32,
) -> Raw {
    put!(instance = INSTANCE.into(), class = EXCHANGE.into());
    put!(name = text("Microsoft Exchange Writer"), usage = 3, source = 1);
    0
}

extern "system" fn file_counts(
    _: This,
    included: *mut u32,
    excluded: *mut u32,
    components: *mut u32,
) -> Raw {
    put!(included = 0, excluded = 0, components = 1);
    0
}

extern "system" fn writer_document(_: This, out: *mut Text) -> Raw {
    put!(out = text("<WRITER_METADATA/>"));
    0
}

extern "system" fn component(_: This, _: u32, out: *mut This) -> Raw {
    let component = object(
        "IVssWMComponent",
        &[
            ("GetComponentInfo", info as *const () as usize),
            ("FreeComponentInfo", free_info as *const () as usize),
            ("GetFile", file as *const () as usize),
            ("GetDatabaseFile", file as *const () as usize),
            ("GetDatabaseLogFile", file as *const () as usize),
        ],
    );
    put!(out = component);
    0
}

extern "system" fn info(_: This, out: *mut *const ComponentInfo) -> Raw {
    let info = ComponentInfo {
        kind: 2,
        path: w!(r"Server\EX1").as_ptr(),
        name: w!("d4e0").as_ptr(),
        caption: w!("Mailbox Database 1").as_ptr(),
        icon: std::ptr::null(),
        icon_size: 0,
        restore_metadata: false,
        notify_on_backup_complete: true,
        selectable: true,
        selectable_for_restore: false,
        flags: 0,
        files: 1,
        databases: 0,
        logs: 1,
        dependencies: 0,
    };
    put!(out = Box::into_raw(Box::new(info)));
    0
}

extern "system" fn free_info(_: This, info: *const ComponentInfo) -> Raw {
    // SAFETY: `info` made it, and it is given back once.
    drop(unsafe { Box::from_raw(info.cast_mut()) });
    note("FreeComponentInfo")
}

extern "system" fn file(_: This, _: u32, out: *mut This) -> Raw {
    put!(out = IVssWMFiledesc::from(File).into_raw());
    0
}

extern "system" fn add(
    _: This,
    instance: Id,
    class: Id,
    kind: i32,
    path: *const u16,
    name: *const u16,
) -> Raw {
    let (instance, class) = (Guid::from(instance), Guid::from(class));
    assert_eq!((instance, class), (INSTANCE, EXCHANGE), "ids by value");
    note(&format!("AddComponent {kind} {} {}", read(path), read(name)))
}

extern "system" fn start_set(_: This, out: *mut Id) -> Raw {
    put!(out = SET.into());
    note("StartSnapshotSet")
}

extern "system" fn add_volume(_: This, volume: *const u16, provider: Id, out: *mut Id) -> Raw {
    put!(out = Guid(1).into());
    note(&format!("AddToSnapshotSet {} {}", read(volume), Guid::from(provider)))
}

extern "system" fn prepare(_: This, out: *mut This) -> Raw {
    task("PrepareForBackup", out)
}

extern "system" fn gather_status(_: This, out: *mut This) -> Raw {
    task("GatherWriterStatus", out)
}

extern "system" fn status(
    _: This,
    _: u32,
    instance: *mut Id,
    class: *mut Id,
    name: *mut Text,
    state: *mut u32,
    failure: *mut Raw,
) -> Raw {
    put!(instance = INSTANCE.into(), class = EXCHANGE.into());
    put!(name = text("Microsoft Exchange Writer"), state = 5, failure = 0);
    note("GetWriterStatus")
}

extern "system" fn snapshot(_: This, out: *mut This) -> Raw {
    task("DoSnapshotSet", out)
}

extern "system" fn succeeded(
    _: This,
    instance: Id,
    class: Id,
    kind: i32,
    path: *const u16,
    name: *const u16,
    succeeded: u8,
) -> Raw {
    let (instance, class) = (Guid::from(instance), Guid::from(class));
    assert_eq!((instance, class), (INSTANCE, EXCHANGE), "ids by value");
    note(&format!("SetBackupSucceeded {kind} {} {} {succeeded}", read(path), read(name)))
}

extern "system" fn document(_: This, out: *mut Text) -> Raw {
    put!(out = text("<BACKUP_COMPONENTS \u{e9}/>"));
    note("SaveAsXML")
}

extern "system" fn complete(_: This, out: *mut This) -> Raw {
    task("BackupComplete", out)
}

extern "system" fn free_metadata(_: This) -> Raw {
    note("FreeWriterMetadata")
}

extern "system" fn free_status(_: This) -> Raw {
    note("FreeWriterStatus")
}

extern "system" fn delete(
    _: This,
    set: Id,
    kind: i32,
    force: i32,
    deleted: *mut i32,
    kept: *mut Id,
) -> Raw {
    put!(deleted = 1, kept = Id::default());
    assert_eq!(Guid::from(set), SET);
    note(&format!("DeleteSnapshots {kind} {force}"))
}

extern "system" fn abort(_: This) -> Raw {
    note("AbortBackup")
}

#[implement(IVssAsync)]
struct Task(String);

impl IVssAsync_Impl for Task_Impl {
    fn Cancel(&self) -> Result<()> {
        HRESULT(note("Cancel")).ok()
    }

    fn Wait(&self, _: u32) -> Result<()> {
        Ok(())
    }

    fn QueryStatus(&self, status: *mut HRESULT, _: *mut i32) -> Result<()> {
        put!(status = VSS_S_ASYNC_FINISHED);
        Ok(())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        note(&format!("release {}", self.0));
    }
}

#[implement(IVssWMFiledesc)]
struct File;

impl IVssWMFiledesc_Impl for File_Impl {
    fn GetPath(&self) -> Result<BSTR> {
        Ok(BSTR::from(r"%SystemDrive%\db"))
    }

    fn GetFilespec(&self) -> Result<BSTR> {
        Ok(BSTR::from("*.edb"))
    }

    fn GetRecursive(&self) -> Result<bool> {
        Ok(false)
    }

    fn GetAlternateLocation(&self) -> Result<BSTR> {
        Ok(BSTR::new())
    }

    fn GetBackupTypeMask(&self) -> Result<u32> {
        Ok(0)
    }
}
