//! `RMVSSPRV.dll` in a coordinator, as tests have it.

// Each test program takes what it needs.
#![allow(dead_code)]

use std::fs;

use ::provider::{
    guid::Guid,
    lun::LunInfo,
    settings::{LOCAL, MUN, REMOTE},
};
use lab::{
    Carrier, Lab, binaries,
    coordinator::{Coordinator, seen_by_windows},
};

use crate::providing::seeds_pair_in;

pub const DLL: &str = "RMVSSPRV.dll";
/// The same with `fault-injection`.
pub const FAULTY: &str = "rmvssprv-faults.dll";
pub const CLASS: &str = "7ee029c4-8eb4-4a12-9a85-891820483ea9";

pub const E_NOTIMPL: u32 = 0x8000_4001;
pub const E_ACCESSDENIED: u32 = 0x8007_0005;
pub const E_OUTOFMEMORY: u32 = 0x8007_000e;
pub const E_INVALIDARG: u32 = 0x8007_0057;
pub const NO_SUCH_KEY: u32 = 0x8007_0002;
pub const BAD_STATE: u32 = 0x8004_2301;
pub const ALREADY_REGISTERED: u32 = 0x8004_2303;
pub const NOT_REGISTERED: u32 = 0x8004_2304;
pub const VETO: u32 = 0x8004_2306;
pub const PROVIDER_IN_USE: u32 = 0x8004_2307;
pub const OBJECT_NOT_FOUND: u32 = 0x8004_2308;
pub const PENDING: u32 = 0x0004_2309;
pub const FINISHED: u32 = 0x0004_230a;
pub const NOT_OURS: u32 = 0x8004_230e;
pub const TOO_MANY_SNAPSHOTS: u32 = 0x8004_2317;
pub const UNSUPPORTED_CONTEXT: u32 = 0x8004_231b;

pub fn dll(name: &str) -> String {
    seen_by_windows(&binaries::windows(name))
}

/// The seed's pair, by `horcmd.exe` 50 and 51.
pub fn seeds_pair_on_windows() -> Lab {
    seeds_pair_in(Lab::on_windows(Carrier::Ipcmd))
}

/// What the provider looks for in the directory of an installation; beside daemons of Linux only
/// the names are there.
pub fn install(lab: &Lab) {
    for name in ["horcmstart", "paircreate", "pairdisplay", "pairresync", "pairsplit"] {
        fs::write(lab.conf(&format!("{name}.exe")), "").unwrap();
    }
}

/// A coordinator with an object of the provider's class, not loaded yet. The provider finds RAID
/// Manager in `C:\HORCM` by itself, and the daemons by what they have registered there.
pub fn vss(lab: &Lab, name: &str) -> Coordinator {
    let mut vss = Coordinator::start(lab);
    vss.say(&format!("register {}", dll(name))).ok();
    vss.say(&format!("create {CLASS}")).ok();
    for (name, value) in [(LOCAL, "50"), (REMOTE, "51"), (MUN, "2")] {
        vss.say(&format!("env {name} {value}")).ok();
    }
    if lab.wine().is_none() {
        install(lab);
        vss.say(&format!("env HORCMROOT {}", seen_by_windows(&lab.root()))).ok();
    }
    vss
}

pub fn guid(number: u128) -> String {
    Guid(number).to_string().to_uppercase().replace(['{', '}'], "")
}

/// A LUN in the words of the coordinator, byte for byte.
pub fn text(lun: &LunInfo) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let string = |text: &Option<String>| text.as_ref().map_or("-".into(), |it| hex(it.as_bytes()));
    let mut words = format!(
        "version={} type={} modifier={} queueing={} bus={} vendor={} product={} revision={} \
         serial={} signature={} descriptor=32",
        lun.version,
        lun.device_type,
        lun.device_type_modifier,
        u8::from(lun.command_queueing),
        lun.bus,
        string(&lun.vendor),
        string(&lun.product),
        string(&lun.revision),
        string(&lun.serial),
        guid(lun.signature.0),
    );
    for id in &lun.identifiers {
        words += &format!(" id={}:{}:{}", id.code_set, id.kind, hex(&id.bytes));
    }
    words
}

/// The names of the events of some answers.
pub fn names(events: &[String]) -> Vec<&str> {
    events.iter().map(|text| text.trim_start_matches('[').split(']').next().unwrap()).collect()
}
