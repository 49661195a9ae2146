//! The class VSS would be, in this process: `IVssAdmin`, that notes what it is told.

use std::sync::{Arc, Mutex, PoisonError};

use windows::Win32::{
    Foundation::{CLASS_E_NOAGGREGATION, E_NOTIMPL},
    Storage::Vss::{IVssAdmin, IVssAdmin_Impl, IVssEnumObject, VSS_PROVIDER_TYPE, VSSCoordinator},
    System::Com::{
        CLSCTX_INPROC_SERVER, CoRegisterClassObject, IClassFactory, IClassFactory_Impl,
        REGCLS_MULTIPLEUSE,
    },
};
use windows_core::{
    BOOL, Error, GUID, HRESULT, IUnknown, Interface, PCWSTR, Ref, Result, implement,
};

/// What it was told, and what it answers.
#[derive(Debug, Default)]
struct Notes {
    told: Vec<String>,
    answer: HRESULT,
}

/// The coordinator.
#[derive(Debug)]
pub struct Coordinator(Arc<Mutex<Notes>>);

impl Coordinator {
    /// Takes the place of VSS in this process, until it ends.
    pub fn start() -> Result<Self> {
        let notes = Arc::default();
        let factory = IClassFactory::from(Factory(Arc::clone(&notes)));
        // SAFETY: COM keeps the factory; it is good for any thread.
        unsafe {
            CoRegisterClassObject(
                &VSSCoordinator,
                &factory,
                CLSCTX_INPROC_SERVER,
                REGCLS_MULTIPLEUSE,
            )?;
        }
        Ok(Self(notes))
    }

    /// `answer HRESULT`: what it answers from now on.
    pub fn answer(&self, words: &[&str]) -> crate::Answer {
        let code = u32::from_str_radix(words[0].trim_start_matches("0x"), 16)?;
        lock(&self.0).answer = HRESULT(code.cast_signed());
        Ok((Vec::new(), HRESULT(0)))
    }

    /// What it was told since it was asked last.
    pub fn told(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.0).told)
    }
}

fn lock(notes: &Mutex<Notes>) -> std::sync::MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note(notes: &Mutex<Notes>, what: String) -> Result<()> {
    let mut notes = lock(notes);
    notes.told.push(what);
    if notes.answer.0 == 0 { Ok(()) } else { Err(Error::from_hresult(notes.answer)) }
}

#[implement(IClassFactory)]
struct Factory(Arc<Mutex<Notes>>);

impl IClassFactory_Impl for Factory_Impl {
    fn CreateInstance(
        &self,
        outer: Ref<'_, IUnknown>,
        iid: *const GUID,
        out: *mut *mut core::ffi::c_void,
    ) -> Result<()> {
        if !outer.is_null() {
            return Err(CLASS_E_NOAGGREGATION.into());
        }
        // SAFETY: COM's contract.
        unsafe { IVssAdmin::from(Admin(Arc::clone(&self.0))).query(iid, out).ok() }
    }

    fn LockServer(&self, _: BOOL) -> Result<()> {
        Ok(())
    }
}

#[implement(IVssAdmin)]
struct Admin(Arc<Mutex<Notes>>);

impl IVssAdmin_Impl for Admin_Impl {
    fn RegisterProvider(
        &self,
        provider: &GUID,
        class: &GUID,
        name: *const u16,
        kind: VSS_PROVIDER_TYPE,
        version: *const u16,
        version_id: &GUID,
    ) -> Result<()> {
        // SAFETY: VSS's contract: texts that end in NUL.
        let [name, version] = [name, version].map(|text| unsafe { PCWSTR(text).to_string() });
        let (name, version) = (name.unwrap_or_default(), version.unwrap_or_default());
        note(
            &self.0,
            format!(
                "RegisterProvider {provider:?} {class:?} '{name}' {} '{version}' {version_id:?}",
                kind.0
            ),
        )
    }

    fn UnregisterProvider(&self, provider: &GUID) -> Result<()> {
        note(&self.0, format!("UnregisterProvider {provider:?}"))
    }

    fn QueryProviders(&self) -> Result<IVssEnumObject> {
        Err(E_NOTIMPL.into())
    }

    fn AbortAllSnapshotsInProgress(&self) -> Result<()> {
        Err(E_NOTIMPL.into())
    }
}
