//! `sync`, `mount` and `umount` on Windows. Only `sync` is there: volumes are mounted by
//! `mountvol`, which is the system's own.

use std::{fs::File, io};

use model::{CciError, Code};
use scsi::disks::names::{Name, expand};

use super::failed;
use crate::{
    failure::{Failure, Outcome},
    finding::{host, wait},
    session::Session,
};

/// Flushes volumes by their letters (`D:`), or disks.
pub(super) fn sync(session: &mut Session<'_, '_>, words: &[String]) -> Outcome {
    for word in words {
        flush(session, word)?;
        writeln!(session.out(), "[SYNC] {word}")?;
    }
    Ok(0)
}

fn flush(session: &Session<'_, '_>, word: &str) -> Result<(), Failure> {
    let failed =
        |error: io::Error| CciError::new(Code::ExEnodev).object(word).cause(error.to_string());
    if let [drive, b':'] = word.as_bytes()
        && drive.is_ascii_alphabetic()
    {
        let volume = File::options().write(true).open(format!(r"\\.\{word}"));
        return Ok(volume.and_then(|volume| volume.sync_all()).map_err(failed)?);
    }
    let names = if word.eq_ignore_ascii_case("all") { vec![Name::Physical] } else { expand(word) };
    let host = host(session.world)?;
    let flushed = async {
        for disk in host.named(&names).await.disks.iter().filter(|disk| disk.inquiry.is_some()) {
            host.open(disk).await?.flush().await?;
        }
        Ok::<(), io::Error>(())
    };
    Ok(wait(flushed)?.map_err(failed)?)
}

/// Not here.
pub(super) fn mount(_: &mut Session<'_, '_>, _: &[String]) -> Outcome {
    Err(not_here("mount").into())
}

/// Not here.
pub(super) fn umount(_: &mut Session<'_, '_>, _: &[String]) -> Outcome {
    Err(not_here("umount").into())
}

fn not_here(command: &str) -> CciError {
    failed(command, Code::ExEnosup, "volumes are mounted on Linux only")
        .advice("use mountvol, or mountvol /D, of Windows")
}
