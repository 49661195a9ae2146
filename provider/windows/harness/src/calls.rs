//! The provider's methods, each called through its vtable as VSS calls it.

use std::thread::{self, JoinHandle};

use windows::Win32::{
    Storage::{
        VirtualDiskService::VDS_LUN_INFORMATION as Lun,
        Vss::{
            IVssAsync, IVssHardwareSnapshotProvider, IVssHardwareSnapshotProvider_Vtbl,
            IVssHardwareSnapshotProviderEx, IVssHardwareSnapshotProviderEx_Vtbl,
            IVssProviderCreateSnapshotSet, IVssProviderNotifications,
        },
    },
    System::Com::{CLSCTX_INPROC_SERVER, CoCreateInstance},
};
use windows_core::{BOOL, GUID, HRESULT, Interface};

use crate::{Answer, luns::Luns};

type Failure = Box<dyn std::error::Error>;
const DONE: HRESULT = HRESULT(0);

/// A provider with all its interfaces, and what was begun with it.
#[derive(Default)]
pub struct Caller {
    provider: Option<Provider>,
    /// Another object of the class.
    other: Option<Provider>,
    revert: Option<IVssAsync>,
    waiting: Option<JoinHandle<HRESULT>>,
}

struct Provider {
    hardware: IVssHardwareSnapshotProviderEx,
    create: IVssProviderCreateSnapshotSet,
    notifications: IVssProviderNotifications,
}

impl Caller {
    /// Makes a call: `create CLSID`, `release`, `swap` (from here on to the other object),
    /// `background CALL`, `join`, or a method.
    pub fn call(&mut self, name: &str, words: &[&str], luns: &mut Luns) -> Answer {
        match name {
            "create" => {
                let class = GUID::try_from(words[0])?;
                // SAFETY: a class, and nothing to aggregate.
                let made = unsafe { CoCreateInstance(&class, None, CLSCTX_INPROC_SERVER) };
                let base: IVssHardwareSnapshotProvider = made?;
                self.provider = Some(Provider {
                    hardware: base.cast()?,
                    create: base.cast()?,
                    notifications: base.cast()?,
                });
                Ok((Vec::new(), DONE))
            }
            "swap" => {
                std::mem::swap(&mut self.provider, &mut self.other);
                Ok((Vec::new(), DONE))
            }
            "release" => {
                self.revert = None;
                self.provider = None;
                Ok((Vec::new(), DONE))
            }
            "background" => {
                let create = self.provider()?.create.clone();
                let (name, set) = (words[0].to_owned(), GUID::try_from(words[1])?);
                let create = Everywhere(create);
                self.waiting = Some(thread::spawn(move || {
                    let create = create;
                    step(&create.0, &name, set).unwrap_or(HRESULT(-1))
                }));
                Ok((Vec::new(), DONE))
            }
            "join" => {
                let waiting = self.waiting.take().ok_or("nobody waits")?;
                Ok((Vec::new(), waiting.join().map_err(|_| "it panicked")?))
            }
            "Wait" | "QueryStatus" | "Cancel" => self.revert(name, words),
            "ResyncLuns" => self.resync(words, luns),
            _ if name.ends_with("Snapshots") => self.step(name, words),
            _ => self.hardware(name, words, luns),
        }
    }

    fn provider(&self) -> Result<&Provider, Failure> {
        self.provider.as_ref().ok_or_else(|| "no provider was created".into())
    }

    /// The hardware interface as a pointer, with its vtables.
    ///
    /// # Errors
    /// Without a provider.
    pub fn raw(
        &self,
    ) -> Result<
        (
            *mut core::ffi::c_void,
            &IVssHardwareSnapshotProvider_Vtbl,
            &IVssHardwareSnapshotProviderEx_Vtbl,
        ),
        Failure,
    > {
        let hardware = &self.provider()?.hardware;
        let vtable = Interface::vtable(hardware);
        Ok((hardware.as_raw(), &vtable.base__, vtable))
    }

    fn step(&self, name: &str, words: &[&str]) -> Answer {
        let create = &self.provider()?.create;
        let set = GUID::try_from(words[0])?;
        if name == "PostCommitSnapshots" {
            let post_commit = Interface::vtable(create).PostCommitSnapshots;
            // SAFETY: VSS's contract.
            return Ok((Vec::new(), unsafe {
                post_commit(create.as_raw(), set, words[1].parse()?)
            }));
        }
        Ok((Vec::new(), step(create, name, set)?))
    }

    fn hardware(&self, name: &str, words: &[&str], luns: &mut Luns) -> Answer {
        let (this, base, extended) = self.raw()?;
        let notifications = &self.provider()?.notifications;
        let mut lines = Vec::new();
        // SAFETY: each call hands in what VSS's contract says: arrays of as many LUNs as it counts,
        // places for answers, device names that nobody looks at.
        let hresult = unsafe {
            match name {
                "OnLoad" => {
                    let on_load = Interface::vtable(notifications).OnLoad;
                    on_load(notifications.as_raw(), std::ptr::null_mut())
                }
                "OnUnload" => {
                    let on_unload = Interface::vtable(notifications).OnUnload;
                    on_unload(notifications.as_raw(), BOOL(words[0].parse()?))
                }
                "AreLunsSupported" => {
                    let mut array = array(&words[1..], luns)?;
                    let (count, mut supported) = (i32::try_from(array.len())?, BOOL(-1));
                    let (devices, place) = (std::ptr::null(), array.as_mut_ptr());
                    let context = number(words[0])?.cast_signed();
                    let hresult = (base.AreLunsSupported)(
                        this,
                        count,
                        context,
                        devices,
                        place,
                        &mut supported,
                    );
                    lines.push(format!("supported {}", supported.0));
                    luns.put(words[1..].iter().copied().zip(array));
                    hresult
                }
                "FillInLunInfo" => {
                    let (mut lun, mut supported) = (luns.get(words[0])?, BOOL(-1));
                    let hresult =
                        (base.FillInLunInfo)(this, std::ptr::null(), &mut lun, &mut supported);
                    lines.push(format!("supported {}", supported.0));
                    luns.put([(words[0], lun)]);
                    hresult
                }
                "BeginPrepareSnapshot" => {
                    let (set, snapshot) = (GUID::try_from(words[0])?, GUID::try_from(words[1])?);
                    let mut array = array(&words[3..], luns)?;
                    let (count, place) = (i32::try_from(array.len())?, array.as_mut_ptr());
                    let context = number(words[2])?.cast_signed();
                    (base.BeginPrepareSnapshot)(
                        this,
                        set,
                        snapshot,
                        context,
                        count,
                        std::ptr::null(),
                        place,
                    )
                }
                "GetTargetLuns" => {
                    let (sources, targets) = pairs(words)?;
                    let from = array(&sources, luns)?;
                    let mut to: Vec<Lun> = targets.iter().map(|it| luns.get_or_empty(it)).collect();
                    let (count, place) = (i32::try_from(from.len())?, to.as_mut_ptr());
                    let hresult =
                        (base.GetTargetLuns)(this, count, std::ptr::null(), from.as_ptr(), place);
                    luns.put(targets.into_iter().zip(to));
                    hresult
                }
                "LocateLuns" => {
                    let array = array(words, luns)?;
                    (base.LocateLuns)(this, i32::try_from(array.len())?, array.as_ptr())
                }
                "OnLunEmpty" => (base.OnLunEmpty)(this, std::ptr::null(), &luns.get(words[0])?),
                "GetProviderCapabilities" => {
                    let mut mask = 0;
                    (extended.GetProviderCapabilities)(this, &mut mask)
                }
                "OnLunStateChange" => {
                    let (copies, originals) = pairs(&words[1..])?;
                    let (copies, originals) = (array(&copies, luns)?, array(&originals, luns)?);
                    let (count, flags) = (u32::try_from(copies.len())?, number(words[0])?);
                    let (copies, originals) = (copies.as_ptr(), originals.as_ptr());
                    (extended.OnLunStateChange)(this, copies, originals, count, flags)
                }
                "OnReuseLuns" => {
                    (extended.OnReuseLuns)(this, std::ptr::null(), std::ptr::null(), 0)
                }
                _ => return Err("no such call".into()),
            }
        };
        Ok((lines, hresult))
    }

    fn resync(&mut self, words: &[&str], luns: &Luns) -> Answer {
        let (this, _, extended) = self.raw()?;
        let (copies, originals) = pairs(words)?;
        let (copies, originals) = (array(&copies, luns)?, array(&originals, luns)?);
        let mut revert = std::ptr::null_mut();
        let count = u32::try_from(copies.len())?;
        // SAFETY: VSS's contract, and a place for an interface.
        let hresult = unsafe {
            (extended.ResyncLuns)(this, copies.as_ptr(), originals.as_ptr(), count, &mut revert)
        };
        // SAFETY: null, or an interface that is ours.
        self.revert = (!revert.is_null()).then(|| unsafe { IVssAsync::from_raw(revert) });
        Ok((Vec::new(), hresult))
    }

    fn revert(&self, name: &str, words: &[&str]) -> Answer {
        let revert = self.revert.as_ref().ok_or("nothing is being reverted")?;
        let (this, vtable) = (revert.as_raw(), Interface::vtable(revert));
        let mut lines = Vec::new();
        // SAFETY: VSS's contract, and places for the answers; null must be refused.
        let hresult = unsafe {
            match name {
                "Wait" => (vtable.Wait)(this, words[0].parse()?),
                "Cancel" => (vtable.Cancel)(this),
                _ if words == ["null"] => {
                    (vtable.QueryStatus)(this, std::ptr::null_mut(), std::ptr::null_mut())
                }
                _ => {
                    let (mut status, mut reserved) = (HRESULT(-1), 0);
                    let hresult = (vtable.QueryStatus)(this, &mut status, &mut reserved);
                    lines.push(format!("status {:#010x}", status.0));
                    hresult
                }
            }
        };
        Ok((lines, hresult))
    }
}

/// The provider is free-threaded, so COM makes no proxy, and the pointer is good on any thread.
struct Everywhere(IVssProviderCreateSnapshotSet);

// SAFETY: as above; that it holds is what the test with two threads is about.
unsafe impl Send for Everywhere {}

fn step(create: &IVssProviderCreateSnapshotSet, name: &str, set: GUID) -> Result<HRESULT, Failure> {
    let vtable = Interface::vtable(create);
    let method = match name {
        "EndPrepareSnapshots" => vtable.EndPrepareSnapshots,
        "PreCommitSnapshots" => vtable.PreCommitSnapshots,
        "CommitSnapshots" => vtable.CommitSnapshots,
        "PreFinalCommitSnapshots" => vtable.PreFinalCommitSnapshots,
        "PostFinalCommitSnapshots" => vtable.PostFinalCommitSnapshots,
        "AbortSnapshots" => vtable.AbortSnapshots,
        _ => return Err("no such call".into()),
    };
    // SAFETY: VSS's contract.
    Ok(unsafe { method(create.as_raw(), set) })
}

/// A number, also as `0x20`.
fn number(text: &str) -> Result<u32, Failure> {
    match text.strip_prefix("0x") {
        Some(digits) => Ok(u32::from_str_radix(digits, 16)?),
        None => Ok(text.parse()?),
    }
}

/// `A=B C=D` as `A C` and `B D`.
fn pairs<'a>(words: &[&'a str]) -> Result<(Vec<&'a str>, Vec<&'a str>), Failure> {
    let pairs: Option<Vec<_>> = words.iter().map(|word| word.split_once('=')).collect();
    Ok(pairs.ok_or("two LUNs are A=B")?.into_iter().unzip())
}

fn array(names: &[&str], luns: &Luns) -> Result<Vec<Lun>, Failure> {
    names.iter().map(|name| luns.get(name)).collect()
}
