//! The DLL as a file: registered, asked for a class, its messages; and the process' environment.

use std::{ffi::c_void, mem};

use windows::Win32::{
    Foundation::HMODULE,
    Storage::Vss::VSSCoordinator,
    System::{
        Com::IClassFactory,
        Diagnostics::Debug::{
            FORMAT_MESSAGE_ARGUMENT_ARRAY, FORMAT_MESSAGE_FROM_HMODULE, FormatMessageW,
        },
        Environment::SetEnvironmentVariableW,
        LibraryLoader::{GetProcAddress, LoadLibraryW},
    },
};
use windows_core::{GUID, HRESULT, HSTRING, Interface, PCSTR, PCWSTR, PWSTR, s};
use windows_registry::{CLASSES_ROOT, LOCAL_MACHINE, Type};

use crate::Answer;

/// What [`command`] takes.
pub const COMMANDS: [&str; 6] = ["env", "register", "unregister", "unloadable", "class", "keys"];
/// Severity "error" of a message id.
const ERROR: u32 = 0xc000_0000;

type NoArguments = unsafe extern "system" fn() -> HRESULT;
type GetClassObject =
    unsafe extern "system" fn(*const GUID, *const GUID, *mut *mut c_void) -> HRESULT;

/// Runs a command.
pub fn command(name: &str, words: &[&str]) -> Answer {
    match name {
        "env" => environment(words),
        "register" => plain(words[0], s!("DllRegisterServer")),
        "unregister" => plain(words[0], s!("DllUnregisterServer")),
        "unloadable" => plain(words[0], s!("DllCanUnloadNow")),
        "class" => class(words[0], words[1]),
        _ => keys(words[0]),
    }
}

/// `env NAME VALUE`: sets a variable; without a value it is taken away.
fn environment(words: &[&str]) -> Answer {
    let name = HSTRING::from(words[0]);
    let value = words.get(1).map(|value| HSTRING::from(*value));
    let value = value.as_ref().map_or(PCWSTR::null(), |value| PCWSTR(value.as_ptr()));
    // SAFETY: texts that end in NUL and outlive the call.
    unsafe { SetEnvironmentVariableW(&name, value) }?;
    Ok((Vec::new(), HRESULT(0)))
}

fn load(path: &str) -> windows_core::Result<HMODULE> {
    // SAFETY: a text that ends in NUL and outlives the call.
    unsafe { LoadLibraryW(&HSTRING::from(path)) }
}

fn plain(path: &str, name: PCSTR) -> Answer {
    let module = load(path)?;
    // SAFETY: COM names these functions and says that they have no arguments.
    let hresult = unsafe {
        let function = GetProcAddress(module, name).ok_or("no such function")?;
        mem::transmute::<unsafe extern "system" fn() -> isize, NoArguments>(function)()
    };
    Ok((Vec::new(), hresult))
}

/// `class DLL CLSID`: what `DllGetClassObject` says to arguments of all kinds.
fn class(path: &str, class: &str) -> Answer {
    let module = load(path)?;
    // SAFETY: COM says what its arguments are.
    let ask = unsafe {
        let function = GetProcAddress(module, s!("DllGetClassObject")).ok_or("no such function")?;
        mem::transmute::<unsafe extern "system" fn() -> isize, GetClassObject>(function)
    };
    let class = GUID::try_from(class)?;
    let mut lines = Vec::new();
    let none = std::ptr::null();
    let mut ask = |what: &str, class: *const GUID, iid: *const GUID, place: bool| {
        let mut out: *mut c_void = std::ptr::null_mut();
        let to = if place { &raw mut out } else { std::ptr::null_mut() };
        // SAFETY: pointers to what is there, or null, which must be refused.
        let hresult = unsafe { ask(class, iid, to) };
        if !out.is_null() {
            // SAFETY: an interface that is ours to release.
            drop(unsafe { IClassFactory::from_raw(out) });
        }
        lines.push(format!("{what} {:#010x}", hresult.0));
    };
    ask("the class", &class, &IClassFactory::IID, true);
    ask("another class", &VSSCoordinator, &IClassFactory::IID, true);
    ask("another interface", &class, &VSSCoordinator, true);
    ask("no class", none, &IClassFactory::IID, true);
    ask("no interface", &class, none, true);
    ask("no place", &class, &IClassFactory::IID, false);
    Ok((lines, HRESULT(0)))
}

/// `keys CLSID`: what the registry says of the class and of the event source, and what the event
/// viewer makes of each event.
fn keys(class: &str) -> Answer {
    let mut lines = Vec::new();
    let server = CLASSES_ROOT.open(format!(r"CLSID\{{{class}}}\InprocServer32"));
    let server = match server {
        Ok(server) => server,
        Err(error) => return Ok((lines, error.code())),
    };
    lines.push(format!("InprocServer32 {}", server.get_string("")?));
    lines.push(format!("ThreadingModel {}", server.get_string("ThreadingModel")?));
    let source =
        LOCAL_MACHINE.open(r"SYSTEM\CurrentControlSet\Services\Eventlog\Application\RMVSSPRV")?;
    let file = source.get_string("EventMessageFile")?;
    let expanded = source.get_type("EventMessageFile")? == Type::ExpandString;
    lines.push(format!("EventMessageFile {file} {expanded}"));
    for name in ["CustomSource", "TypesSupported"] {
        lines.push(format!("{name} {}", source.get_u32(name)?));
    }
    let module = load(&file)?;
    for id in 0..=18 {
        lines.push(format!("{id} {}", message(module, id)));
    }
    Ok((lines, HRESULT(0)))
}

/// A message as the event viewer shows it, with `inserted` for its insert.
fn message(module: HMODULE, id: u32) -> String {
    let inserted = HSTRING::from("inserted");
    let inserts = [inserted.as_ptr()];
    let mut text = [0_u16; 256];
    let flags = FORMAT_MESSAGE_FROM_HMODULE | FORMAT_MESSAGE_ARGUMENT_ARRAY;
    // SAFETY: a module with a message table, a place of the size that is told, and one insert, a
    // text that ends in NUL.
    let length = unsafe {
        FormatMessageW(
            flags,
            Some(module.0.cast_const()),
            ERROR | id,
            0,
            PWSTR(text.as_mut_ptr()),
            256,
            Some(inserts.as_ptr().cast::<*const i8>()),
        )
    };
    let length = usize::try_from(length).unwrap_or(0);
    String::from_utf16_lossy(&text[..length]).trim_end().to_owned()
}
