//! The disks of this host, as commands ask for them: device lists of words or standard input, the
//! portals of `horcm.hba`, and what is said about those that cannot be asked.

use std::{
    io::{self, BufRead, Read},
    path::PathBuf,
};

use model::{CciError, CciResult, Code};
use scsi::disks::{
    Found, Host, HostDisk,
    names::{Name, expand_all, range},
};

use crate::session::{Session, World};

/// The most bytes of a device list on standard input.
const MOST_BYTES: u64 = 1 << 20;

/// Where disks are looked for: `HORCM_HBA`, or else `$HORCMROOT/etc/horcm.hba`.
///
/// # Errors
/// EX_ENOENT when that file cannot be read or has a bad line.
pub fn host(world: &World<'_>) -> CciResult<Host> {
    let named = world.environment.get("HORCM_HBA").map(PathBuf::from);
    let hba = named.unwrap_or_else(|| world.home.root().join("etc/horcm.hba"));
    Host::of_file(&hba).map_err(|error| {
        CciError::new(Code::ExEnoent)
            .object("the portals of the built-in initiator")
            .cause(error.to_string())
            .advice("correct the file; docs/horcmd.md describes it")
    })
}

/// Waits for disks.
///
/// # Errors
/// EX_COMERR when the operating system gives no means to wait.
pub fn wait<T>(asked: impl Future<Output = T>) -> CciResult<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        CciError::new(Code::ExComerr).object("the disks").cause(error.to_string())
    })?;
    Ok(runtime.block_on(asked))
}

/// The names of a device list: these words, or without any, or for `-`, those of standard input.
///
/// # Errors
/// EX_REQARG when there is no list at all; EX_INVARG for one that is not text, too long, or names a
/// range without a disk; EX_ERANGE for one of too many names.
pub fn device_list(session: &mut Session<'_, '_>, words: &[String]) -> CciResult<Vec<Name>> {
    let mut typed: Vec<String> = words.iter().filter(|word| *word != "-").cloned().collect();
    if words.is_empty() || typed.len() < words.len() {
        let Some(input) = session.world.input.take() else {
            let command = session.command;
            return Err(CciError::new(Code::ExReqarg)
                .object(format!("the device list of {command}"))
                .cause("standard input is the prompt's")
                .advice("name the devices behind the options, such as $Phys"));
        };
        typed.extend(read(input).map_err(|error| {
            CciError::new(Code::ExInvarg)
                .object("the device list on standard input")
                .cause(error.to_string())
        })?);
    }
    let backwards = |word: &&String| {
        range(&word.to_ascii_lowercase()).is_some_and(|numbers| numbers.is_empty())
    };
    if let Some(word) = typed.iter().find(backwards) {
        return Err(CciError::new(Code::ExInvarg)
            .object(word.as_str())
            .cause("the range ends before it begins"));
    }
    expand_all(&typed)
}

fn read(input: Box<dyn BufRead + Send>) -> io::Result<Vec<String>> {
    let mut text = String::new();
    let read = input.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    if read as u64 > MOST_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it has more than 1 MiB"));
    }
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

/// The disks of a device list that are there; those that hide or are none are left out. What could
/// not be asked is said on standard error.
///
/// # Errors
/// As [`host`] and [`wait`]; EX_ENODEV when none of the devices named one by one is a disk, or no
/// portal of `horcm.hba` answers and nothing else is found.
pub fn disks(session: &mut Session<'_, '_>, names: &[Name]) -> CciResult<Vec<HostDisk>> {
    let host = host(session.world)?;
    let Found { disks, faults } = wait(host.named(names))?;
    let found: Vec<HostDisk> = disks.into_iter().filter(|disk| disk.inquiry.is_some()).collect();
    if found.is_empty()
        && let Some(error) = nothing(names, &faults)
    {
        return Err(error);
    }
    if !session.quiet {
        for (portal, error) in &faults {
            // Nobody can be told that standard error is closed.
            let _ = writeln!(session.world.errors, "{}: portal {portal}: {error}", session.command);
        }
    }
    Ok(found)
}

/// Why there is nothing; `None` where `$Phys` and the like simply have nothing to list.
fn nothing(names: &[Name], faults: &[(String, io::Error)]) -> Option<CciError> {
    let single = names.iter().find(|name| matches!(name, Name::Harddisk(_) | Name::File(_)));
    if let Some((portal, error)) = faults.first() {
        return Some(
            CciError::new(Code::ExEnodev)
                .object(format!("portal {portal}"))
                .cause(error.to_string())
                .advice("see that the storage system runs, and horcm.hba names its portal"),
        );
    }
    single.map(|name| {
        CciError::new(Code::ExEnodev)
            .object(name.to_string())
            .cause("it is no SCSI disk of this host, or it hides")
            .advice("inqraid -CLI $Phys lists those that there are")
    })
}
