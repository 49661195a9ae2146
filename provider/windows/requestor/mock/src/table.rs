//! Objects whose tables are filled by name.

use std::{env, ffi::c_void};

use vss_requestor::interfaces::{Raw, SLOTS, This};

/// VSS_E_UNEXPECTED
const REFUSED: Raw = 0x8004_2302_u32.cast_signed();

/// An object: the pointer to its table comes first, as COM has it.
#[repr(C)]
struct Object {
    table: *const [usize; 64],
    name: &'static str,
}

/// Makes an object of an interface; its methods are those named. It is never freed, for the process
/// is short; that it is released is noted.
pub fn object(interface: &'static str, methods: &[(&str, usize)]) -> This {
    let slots = SLOTS.iter().find(|it| it.0 == interface).expect("a known interface").1;
    let mut table = Box::new([unexpected as *const () as usize; 64]);
    table[2] = release as *const () as usize;
    for (slot, name) in slots {
        let method = methods.iter().find(|method| method.0 == *name);
        table[*slot] = method.unwrap_or_else(|| panic!("{interface} lacks {name}")).1;
    }
    Box::into_raw(Box::new(Object { table: Box::leak(table), name: interface })).cast::<c_void>()
}

extern "system" fn unexpected() -> Raw {
    eprintln!("a slot that is not known was called");
    std::process::abort()
}

unsafe extern "system" fn release(this: This) -> u32 {
    // SAFETY: only objects of this file have this method.
    let name = unsafe { &*this.cast::<Object>() }.name;
    note(&format!("release {name}"));
    0
}

/// Notes a call, and says what it returns.
pub fn note(line: &str) -> Raw {
    eprintln!("{line}");
    let name = line.split(' ').next();
    let refused = env::var("VSS_MOCK_REFUSES").ok();
    if refused.is_some() && refused.as_deref() == name { REFUSED } else { 0 }
}
