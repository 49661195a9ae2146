//! This host.

use std::env;

use model::VolumeId;
use provider::host::{Host, Installation};
use windows::{
    Win32::{
        Security::{
            CheckTokenMembership, CreateWellKnownSid, PSID, WELL_KNOWN_SID_TYPE,
            WinBuiltinAdministratorsSid, WinLocalSystemSid,
        },
        System::Environment::SetEnvironmentVariableW,
    },
    core::{BOOL, HSTRING, Result},
};

use crate::{fault, installation::Found};

/// This host, with RAID Manager as it was found when the provider was loaded.
#[derive(Debug)]
pub struct ThisHost(Found);

impl ThisHost {
    pub const fn new(found: Found) -> Self {
        Self(found)
    }
}

impl Host for ThisHost {
    /// Local System, or an administrator, as the COM+ application runs under.
    fn privileged(&self) -> bool {
        let accounts = [WinLocalSystemSid, WinBuiltinAdministratorsSid];
        !fault::is("account") && accounts.into_iter().any(|it| runs_as(it).unwrap_or(false))
    }

    /// What the process was started with: of a service, the system's variables.
    fn variable(&self, name: &str) -> std::result::Result<Option<String>, String> {
        match env::var_os(name) {
            None => Ok(None),
            Some(value) => value
                .into_string()
                .map(Some)
                .map_err(|value| format!("{} is not text", value.to_string_lossy())),
        }
    }

    fn set_variable(&mut self, name: &str, value: &str) -> std::result::Result<(), String> {
        if fault::is("set-variable") {
            return Err("a failure that a test asked for".to_owned());
        }
        let (name, value) = (HSTRING::from(name), HSTRING::from(value));
        // SAFETY: both end in NUL and outlive the call; the system guards the environment itself.
        unsafe { SetEnvironmentVariableW(&name, &value) }.map_err(|error| error.message())
    }

    fn installation(&self) -> Installation {
        self.0.state.clone()
    }

    /// Nobody that VSS would not know: it holds the volumes of originals alone before it asks for
    /// a revert, and refuses it where it cannot.
    fn user_of(&self, _: VolumeId) -> Option<String> {
        None
    }
}

/// Whether this thread's account is, or belongs to, a well-known one.
fn runs_as(account: WELL_KNOWN_SID_TYPE) -> Result<bool> {
    // SECURITY_MAX_SID_SIZE, in words.
    let mut sid = [0_u32; 17];
    let mut size = u32::try_from(size_of_val(&sid)).unwrap_or_default();
    let place = PSID(sid.as_mut_ptr().cast());
    let mut is = BOOL::default();
    // SAFETY: a place of the size that is told, aligned for a SID, and used only while it is there.
    unsafe {
        CreateWellKnownSid(account, None, Some(place), &mut size)?;
        CheckTokenMembership(None, place, &mut is)?;
    }
    Ok(is.as_bool())
}
