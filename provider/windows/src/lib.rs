//! `RMVSSPRV.dll`: the shadow-copy hardware provider as VSS loads it. Empty on other systems.
//!
//! COM in, `provider` out: each call of the coordinator becomes one of the core, which does all
//! there is to do. Here are only the shapes: classes, structures, registry, event log.
//!
//! | file | what it holds |
//! |---|---|
//! | `identity` | who the provider is: class, provider, version, event source |
//! | `factory` | the class factory, `DllGetClassObject`, `DllCanUnloadNow` |
//! | `register`, `registry`, `admin` | `DllRegisterServer`, `DllUnregisterServer`; the keys they write; what the coordinator is told |
//! | `desk` | the one provider of the process: loaded, called, unloaded |
//! | `object`, `hardware`, `hardware_ex`, `create` | the object, and its interfaces |
//! | `resync` | a revert under way, as `IVssAsync` |
//! | `lun`, `memory` | `VDS_LUN_INFORMATION` read and written; memory of the COM task allocator |
//! | `host`, `installation` | account, environment, where RAID Manager is |
//! | `event_log` | the Application log |
//! | `resident` | code and data held in memory while writes are held |
//! | `fault` | failures for tests; nothing in a DLL that is shipped |
//!
//! Cargo names it `rmvssprv.dll`; RMVSSPRV.dll is its name in the manual (MK-94HC074 3.5).
//!
//! The message table is a resource that `build.rs` makes of the core's table of events.

#[cfg(windows)]
mod admin;
#[cfg(windows)]
mod create;
#[cfg(windows)]
mod desk;
#[cfg(windows)]
mod event_log;
#[cfg(windows)]
mod factory;
#[cfg(windows)]
mod fault;
#[cfg(windows)]
mod hardware;
#[cfg(windows)]
mod hardware_ex;
#[cfg(windows)]
mod host;
#[cfg(windows)]
mod identity;
#[cfg(windows)]
mod installation;
#[cfg(windows)]
mod lun;
#[cfg(windows)]
mod memory;
#[cfg(windows)]
mod object;
#[cfg(windows)]
mod register;
#[cfg(windows)]
mod registry;
#[cfg(windows)]
mod resident;
#[cfg(windows)]
mod resync;
