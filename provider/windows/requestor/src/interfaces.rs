//! The interfaces of VSS that the `windows` crate has not, as they lie in memory.
//!
//! They are C++ classes of `vsbackup.h` (Windows SDK; the reference of Microsoft Learn lists the
//! methods, mingw-w64's header of that name has them in their order). A slot of the table is a
//! method; slots that nobody calls stand together in arrays. `tests/tests/drmexgbackup.rs` compares
//! the slots with mingw-w64's.

use std::{ffi::c_void, mem::offset_of, ptr::NonNull};

use provider::guid::Guid;

/// An interface pointer, or where one is put.
pub type This = *mut c_void;
/// An HRESULT.
pub type Raw = i32;
/// A BSTR that belongs to VSS, or will belong to the caller.
pub type Text = *const u16;

/// A method that only works.
pub type Plain = unsafe extern "system" fn(This) -> Raw;
/// A method that starts a task: an IVssAsync comes out.
pub type Starts = unsafe extern "system" fn(This, *mut This) -> Raw;
/// A method that counts.
pub type Counts = unsafe extern "system" fn(This, *mut u32) -> Raw;
/// A method that hands out the interface of this number.
pub type Gets = unsafe extern "system" fn(This, u32, *mut This) -> Raw;
/// A method that hands out a BSTR.
pub type Tells = unsafe extern "system" fn(This, *mut Text) -> Raw;

/// A GUID in memory; VSS takes it by value.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Id(pub u32, pub u16, pub u16, pub [u8; 8]);

impl From<Guid> for Id {
    fn from(Guid(digits): Guid) -> Self {
        let [a, b, c, d, e, f, g, h, rest @ ..] = digits.to_be_bytes();
        Self(
            u32::from_be_bytes([a, b, c, d]),
            u16::from_be_bytes([e, f]),
            u16::from_be_bytes([g, h]),
            rest,
        )
    }
}

impl From<Id> for Guid {
    fn from(Id(a, b, c, rest): Id) -> Self {
        let head = u128::from(a) << 96 | u128::from(b) << 80 | u128::from(c) << 64;
        Self(head | u128::from(u64::from_be_bytes(rest)))
    }
}

/// IUnknown: the first three slots of every table.
#[repr(C)]
#[derive(Debug)]
pub struct Unknown {
    query_interface: usize,
    add_ref: usize,
    /// Release
    pub release: unsafe extern "system" fn(This) -> u32,
}

/// IVssBackupComponents, as far as EnableWriterClasses.
#[repr(C)]
#[derive(Debug)]
pub struct BackupComponents {
    unknown: Unknown,
    _writer_components: [usize; 2],
    /// InitializeForBackup; null is a new document.
    pub initialize_for_backup: unsafe extern "system" fn(This, Text) -> Raw,
    /// SetBackupState: by components, with system state, VSS_BACKUP_TYPE, partial files.
    pub set_backup_state: unsafe extern "system" fn(This, bool, bool, i32, bool) -> Raw,
    _restore: [usize; 2],
    /// GatherWriterMetadata
    pub gather_writer_metadata: Starts,
    /// GetWriterMetadataCount
    pub get_writer_metadata_count: Counts,
    /// GetWriterMetadata: number; instance, IVssExamineWriterMetadata.
    pub get_writer_metadata: unsafe extern "system" fn(This, u32, *mut Id, *mut This) -> Raw,
    /// FreeWriterMetadata
    pub free_writer_metadata: Plain,
    /// AddComponent: instance, class, VSS_COMPONENT_TYPE, path or null, name.
    pub add_component: unsafe extern "system" fn(This, Id, Id, i32, *const u16, *const u16) -> Raw,
    /// PrepareForBackup
    pub prepare_for_backup: Starts,
    /// AbortBackup
    pub abort_backup: Plain,
    /// GatherWriterStatus
    pub gather_writer_status: Starts,
    /// GetWriterStatusCount
    pub get_writer_status_count: Counts,
    /// FreeWriterStatus
    pub free_writer_status: Plain,
    /// GetWriterStatus: number; instance, class, name, VSS_WRITER_STATE, HRESULT.
    pub get_writer_status: unsafe extern "system" fn(
        This,
        u32,
        *mut Id,
        *mut Id,
        *mut Text,
        *mut u32,
        *mut Raw,
    ) -> Raw,
    /// SetBackupSucceeded: as AddComponent, and whether it did.
    pub set_backup_succeeded:
        unsafe extern "system" fn(This, Id, Id, i32, *const u16, *const u16, bool) -> Raw,
    _options: [usize; 5],
    /// SaveAsXML
    pub save_as_xml: Tells,
    /// BackupComplete
    pub backup_complete: Starts,
    _restores: [usize; 7],
    /// SetContext
    pub set_context: unsafe extern "system" fn(This, i32) -> Raw,
    /// StartSnapshotSet
    pub start_snapshot_set: unsafe extern "system" fn(This, *mut Id) -> Raw,
    /// AddToSnapshotSet: volume, provider; the shadow copy's id.
    pub add_to_snapshot_set: unsafe extern "system" fn(This, *const u16, Id, *mut Id) -> Raw,
    /// DoSnapshotSet
    pub do_snapshot_set: Starts,
    /// DeleteSnapshots: id, VSS_OBJECT_TYPE, force; how many, and which could not be.
    pub delete_snapshots: unsafe extern "system" fn(This, Id, i32, i32, *mut i32, *mut Id) -> Raw,
    _copies: [usize; 6],
    /// EnableWriterClasses: classes and their number.
    pub enable_writer_classes: unsafe extern "system" fn(This, *const Id, u32) -> Raw,
}

/// IVssExamineWriterMetadata, as far as SaveAsXML.
#[repr(C)]
#[derive(Debug)]
pub struct WriterMetadata {
    unknown: Unknown,
    /// GetIdentity: instance, class, name, VSS_USAGE_TYPE, VSS_SOURCE_TYPE.
    pub get_identity:
        unsafe extern "system" fn(This, *mut Id, *mut Id, *mut Text, *mut i32, *mut i32) -> Raw,
    /// GetFileCounts: included, excluded, components.
    pub get_file_counts: unsafe extern "system" fn(This, *mut u32, *mut u32, *mut u32) -> Raw,
    _files: [usize; 2],
    /// GetComponent: an IVssWMComponent.
    pub get_component: Gets,
    _restore: [usize; 4],
    /// SaveAsXML
    pub save_as_xml: Tells,
}

/// IVssWMComponent, as far as GetDatabaseLogFile.
#[repr(C)]
#[derive(Debug)]
pub struct WriterComponent {
    unknown: Unknown,
    /// GetComponentInfo
    pub get_component_info: unsafe extern "system" fn(This, *mut *const ComponentInfo) -> Raw,
    /// FreeComponentInfo
    pub free_component_info: unsafe extern "system" fn(This, *const ComponentInfo) -> Raw,
    /// GetFile: an IVssWMFiledesc, as the next two.
    pub get_file: Gets,
    /// GetDatabaseFile
    pub get_database_file: Gets,
    /// GetDatabaseLogFile
    pub get_database_log_file: Gets,
}

/// VSS_COMPONENTINFO, 72 bytes.
#[repr(C)]
#[derive(Debug)]
pub struct ComponentInfo {
    /// VSS_COMPONENT_TYPE
    pub kind: i32,
    /// Logical path, or null.
    pub path: Text,
    /// Name.
    pub name: Text,
    /// Caption, or null.
    pub caption: Text,
    /// A picture of it, and its size in bytes.
    pub icon: *const u8,
    /// See `icon`.
    pub icon_size: u32,
    /// Whether there is metadata for a restore.
    pub restore_metadata: bool,
    /// Whether it wants to hear of BackupComplete.
    pub notify_on_backup_complete: bool,
    /// Whether it may be left out.
    pub selectable: bool,
    /// The same for a restore.
    pub selectable_for_restore: bool,
    /// VSS_COMPONENT_FLAGS.
    pub flags: u32,
    /// How many files it has for GetFile.
    pub files: u32,
    /// For GetDatabaseFile.
    pub databases: u32,
    /// For GetDatabaseLogFile.
    pub logs: u32,
    /// How many other components it needs.
    pub dependencies: u32,
}

const _: () = assert!(size_of::<ComponentInfo>() == 72, "as vsbackup.h has it");

macro_rules! slots {
    ($table:ident: $($field:ident $method:literal),*) => {
        &[$((offset_of!($table, $field) / size_of::<usize>(), $method)),*]
    };
}

/// Interfaces, with the slot and name of each method that is called.
pub const SLOTS: &[(&str, &[(usize, &str)])] = &[
    (
        "IVssBackupComponents",
        slots!(BackupComponents:
            initialize_for_backup "InitializeForBackup",
            set_backup_state "SetBackupState",
            gather_writer_metadata "GatherWriterMetadata",
            get_writer_metadata_count "GetWriterMetadataCount",
            get_writer_metadata "GetWriterMetadata",
            free_writer_metadata "FreeWriterMetadata",
            add_component "AddComponent",
            prepare_for_backup "PrepareForBackup",
            abort_backup "AbortBackup",
            gather_writer_status "GatherWriterStatus",
            get_writer_status_count "GetWriterStatusCount",
            free_writer_status "FreeWriterStatus",
            get_writer_status "GetWriterStatus",
            set_backup_succeeded "SetBackupSucceeded",
            save_as_xml "SaveAsXML",
            backup_complete "BackupComplete",
            set_context "SetContext",
            start_snapshot_set "StartSnapshotSet",
            add_to_snapshot_set "AddToSnapshotSet",
            do_snapshot_set "DoSnapshotSet",
            delete_snapshots "DeleteSnapshots",
            enable_writer_classes "EnableWriterClasses"
        ),
    ),
    (
        "IVssExamineWriterMetadata",
        slots!(WriterMetadata:
            get_identity "GetIdentity",
            get_file_counts "GetFileCounts",
            get_component "GetComponent",
            save_as_xml "SaveAsXML"
        ),
    ),
    (
        "IVssWMComponent",
        slots!(WriterComponent:
            get_component_info "GetComponentInfo",
            free_component_info "FreeComponentInfo",
            get_file "GetFile",
            get_database_file "GetDatabaseFile",
            get_database_log_file "GetDatabaseLogFile"
        ),
    ),
];

/// A reference to an object whose table is a `T`; it goes with it.
#[derive(Debug)]
pub struct Object<T>(NonNull<*const T>);

impl<T> Object<T> {
    /// Takes a pointer over; `None` if it is null.
    ///
    /// # Safety
    /// It is null, or a reference that is ours to an object whose table begins as `T` does.
    #[must_use]
    pub unsafe fn take(pointer: This) -> Option<Self> {
        NonNull::new(pointer.cast()).map(Self)
    }

    /// The object, as its methods want it.
    #[must_use]
    pub const fn this(&self) -> This {
        self.0.as_ptr().cast()
    }

    /// Its methods.
    #[must_use]
    pub const fn table(&self) -> &T {
        // SAFETY: an object begins with the pointer to its table, which lives as long as it.
        unsafe { &**self.0.as_ptr() }
    }
}

impl<T> Drop for Object<T> {
    fn drop(&mut self) {
        // SAFETY: every table begins with IUnknown's, and the reference is ours.
        unsafe {
            let table = *self.0.as_ptr().cast::<*const Unknown>();
            ((*table).release)(self.this());
        }
    }
}
