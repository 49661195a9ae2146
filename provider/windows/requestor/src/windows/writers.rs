//! What writers say of themselves.

use windows::{
    Win32::Storage::Vss::IVssWMFiledesc,
    core::{Interface as _, PCWSTR},
};

use super::{NOTHING, done, object, of_error, text};
use crate::{
    interfaces::{Id, Object, Text, This, WriterComponent, WriterMetadata},
    vss::{Answer, Component, ComponentId, Writer},
};

/// A writer, with all of its components.
pub(super) fn described(instance: Id, metadata: &Object<WriterMetadata>) -> Answer<Writer> {
    let (mut itself, mut class) = (Id::default(), Id::default());
    let (mut usage, mut source) = (0, 0);
    text(|name| {
        let (itself, class) = (&mut itself, &mut class);
        call!(*metadata, get_identity, itself, class, name, &mut usage, &mut source)
    })?;
    let (mut included, mut excluded, mut components) = (0, 0, 0);
    call!(*metadata, get_file_counts, &mut included, &mut excluded, &mut components)?;
    let component = |at| {
        let component = object(|it| call!(*metadata, get_component, at, it))?;
        let known = |kind, path, name| ComponentId {
            instance: instance.into(),
            class: class.into(),
            kind,
            path,
            name,
        };
        described_component(&component, known)
    };
    Ok(Writer {
        class: class.into(),
        components: (0..components).map(component).collect::<Answer<_>>()?,
        document: text(|it| call!(*metadata, save_as_xml, it))?,
    })
}

fn described_component(
    component: &Object<WriterComponent>,
    id: impl FnOnce(i32, Option<String>, String) -> ComponentId,
) -> Answer<Component> {
    let mut place = std::ptr::null();
    call!(*component, get_component_info, &mut place)?;
    // SAFETY: null, or a structure that stays until it is freed.
    let info = unsafe { place.as_ref() }.ok_or(NOTHING)?;
    let counts = [info.files, info.databases, info.logs];
    // SAFETY: its texts end in NUL.
    let (path, name, caption) =
        unsafe { (borrowed(info.path), borrowed(info.name), borrowed(info.caption)) };
    let (kind, selectable) = (info.kind, info.selectable);
    call!(*component, free_component_info, place)?;
    let table = component.table();
    let methods = [table.get_file, table.get_database_file, table.get_database_log_file];
    let mut directories = Vec::new();
    for (method, count) in methods.into_iter().zip(counts) {
        for at in 0..count {
            let mut file: This = std::ptr::null_mut();
            // SAFETY: a place for the pointer, which is then ours.
            let file = unsafe {
                done(method(component.this(), at, &mut file))?;
                if file.is_null() {
                    return Err(NOTHING);
                }
                IVssWMFiledesc::from_raw(file)
            };
            // SAFETY: no arguments.
            let path = unsafe { file.GetPath() }.map_err(|error| of_error(&error))?;
            directories.push(path.to_string());
        }
    }
    let path = path.filter(|path| !path.is_empty());
    let id = id(kind, path, name.unwrap_or_default());
    Ok(Component { id, caption, selectable, directories })
}

/// A text that belongs to VSS.
///
/// # Safety
/// It is null, or ends in NUL.
unsafe fn borrowed(text: Text) -> Option<String> {
    if text.is_null() {
        return None;
    }
    let text = PCWSTR(text);
    // SAFETY: as the caller says.
    Some(String::from_utf16_lossy(unsafe { text.as_wide() }))
}
