//! What the coordinator is told of the provider.

use windows::{
    Win32::{
        Foundation::RPC_E_CHANGED_MODE,
        Storage::Vss::{
            IVssAdmin, VSS_E_PROVIDER_ALREADY_REGISTERED, VSS_E_PROVIDER_NOT_REGISTERED,
            VSS_PROV_HARDWARE, VSSCoordinator,
        },
        System::Com::{
            CLSCTX_INPROC_SERVER, CLSCTX_LOCAL_SERVER, COINIT_MULTITHREADED, CoCreateInstance,
            CoInitializeEx, CoUninitialize,
        },
    },
    core::{HRESULT, HSTRING, Result},
};

use crate::identity;

/// COM on this thread. Whoever loads the DLL to register it may have started it, in either way.
struct Apartment(bool);

impl Apartment {
    fn enter() -> Result<Self> {
        // SAFETY: no pointer; undone in drop, on the same thread, where it succeeded.
        match unsafe { CoInitializeEx(None, COINIT_MULTITHREADED) } {
            RPC_E_CHANGED_MODE => Ok(Self(false)),
            entered => entered.ok().map(|()| Self(true)),
        }
    }
}

impl Drop for Apartment {
    fn drop(&mut self) {
        if self.0 {
            // SAFETY: balances the initialisation that succeeded.
            unsafe { CoUninitialize() };
        }
    }
}

/// Registers the provider. One that is registered already is fine: its class stays the same.
pub fn register() -> Result<()> {
    let _apartment = Apartment::enter()?;
    let (name, version) = (HSTRING::from(identity::NAME), HSTRING::from(identity::VERSION));
    // SAFETY: the strings outlive the call and end in NUL.
    let told = unsafe {
        coordinator()?.RegisterProvider(
            identity::PROVIDER,
            identity::CLASS,
            name.as_ptr(),
            VSS_PROV_HARDWARE,
            version.as_ptr(),
            identity::version_id(),
        )
    };
    unless(told, VSS_E_PROVIDER_ALREADY_REGISTERED)
}

/// Takes the provider out. One that is not registered is fine.
pub fn unregister() -> Result<()> {
    let _apartment = Apartment::enter()?;
    // SAFETY: no pointer.
    let told = unsafe { coordinator()?.UnregisterProvider(identity::PROVIDER) };
    unless(told, VSS_E_PROVIDER_NOT_REGISTERED)
}

fn coordinator() -> Result<IVssAdmin> {
    // SAFETY: a class and nothing to aggregate.
    unsafe { CoCreateInstance(&VSSCoordinator, None, CLSCTX_LOCAL_SERVER | CLSCTX_INPROC_SERVER) }
}

fn unless(told: Result<()>, fine: HRESULT) -> Result<()> {
    match told {
        Err(error) if error.code() == fine => Ok(()),
        told => told,
    }
}
