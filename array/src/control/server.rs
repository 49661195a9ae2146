//! The array's side of the control socket: a thread a client, a bounded number of them.

use std::{
    io,
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use model::{CciError, Code, LdevId};

use super::{
    frame::{Answer, Ask, Frame, StatusRow},
    short_name,
};
use crate::{
    array::Array,
    store::{Content, PAGE},
};

/// Clients served at once; a further one is told so.
const MAX_CLIENTS: usize = 16;
/// LDEVs on one page of status.
const STATUS_PAGE: usize = 2048;
/// Bytes read at once for an export: few pages, so that holes are seen as such.
const PIECE: u64 = 4 * PAGE as u64;

/// A listening control socket; its name goes away with it.
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlSocket {
    /// Listens in the directory of an array that the caller has locked; a socket left behind by
    /// a killed array is replaced.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn bind(dir: &Path) -> io::Result<Self> {
        let path = crate::directory::socket(dir);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let (_dir, name) = short_name(dir)?;
        let listener = UnixListener::bind(name)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// Serves clients until the process ends.
    pub fn serve(&self, array: &Arc<Array>) {
        let clients = Arc::new(AtomicUsize::new(0));
        for stream in self.listener.incoming() {
            let Ok(mut stream) = stream else {
                // Out of descriptors, most likely; the next client may have more luck.
                std::thread::park_timeout(std::time::Duration::from_millis(100));
                continue;
            };
            if clients.fetch_add(1, Ordering::SeqCst) >= MAX_CLIENTS {
                clients.fetch_sub(1, Ordering::SeqCst);
                let busy = CciError::new(Code::ExCmdrje)
                    .cause(format!("{MAX_CLIENTS} imports and exports run already"))
                    .advice("try again when one of them has ended");
                let _ = Frame::Answer(Err(busy)).send(&mut stream);
                continue;
            }
            let (array, clients) = (Arc::clone(array), Arc::clone(&clients));
            std::thread::spawn(move || {
                if let Err(error) = converse(&array, &mut stream) {
                    log::debug!("a client of the control socket went away: {error}");
                }
                clients.fetch_sub(1, Ordering::SeqCst);
            });
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn converse(array: &Array, stream: &mut UnixStream) -> io::Result<()> {
    while let Some(ask) = next_ask(stream)? {
        let done = match ask {
            Ask::Import { ldev, offset } => import(array, stream, ldev, offset)?,
            Ask::Export { ldev, offset, length, force } => {
                export(array, stream, ldev, (offset, length), force)?
            }
            Ask::Pools => {
                Frame::Answer(Ok(Answer::Pools(array.pools()))).send(stream)?;
                Ok(())
            }
            Ask::Grow { pool, path, bytes, preallocate } => {
                match array.grow_pool(pool, &path, bytes, preallocate) {
                    Ok(()) => {
                        Frame::Answer(Ok(Answer::Pools(array.pools()))).send(stream)?;
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            }
            Ask::Status { from } => {
                Frame::Answer(Ok(status(array, from))).send(stream)?;
                Ok(())
            }
        };
        if let Err(error) = done {
            Frame::Answer(Err(error)).send(stream)?;
        }
    }
    Ok(())
}

/// `None` when the client has no more to ask.
fn next_ask(stream: &mut UnixStream) -> io::Result<Option<Ask>> {
    match Frame::receive(stream) {
        Ok(Frame::Ask(ask)) => Ok(Some(ask)),
        Ok(_) => Err(io::ErrorKind::InvalidData.into()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// The outer error is the socket's, the inner one the array's.
type Outcome = io::Result<Result<(), CciError>>;

fn import(array: &Array, stream: &mut UnixStream, ldev: LdevId, offset: u64) -> Outcome {
    let length = match array.check_writable(ldev).and_then(|()| room(array, ldev, offset)) {
        Ok(length) => length,
        Err(error) => return Ok(Err(error)),
    };
    Frame::Answer(Ok(Answer::Ready { length })).send(stream)?;
    let mut bytes = 0;
    loop {
        let written = match Frame::receive(stream)? {
            Frame::Bytes(data) => {
                array.write(ldev, offset.saturating_add(bytes), &data).map(|()| data.len() as u64)
            }
            Frame::Zeros(count) => {
                write_zeros(array, ldev, offset.saturating_add(bytes), count).map(|()| count)
            }
            Frame::End => break,
            Frame::Ask(_) | Frame::Answer(_) => return Err(io::ErrorKind::InvalidData.into()),
        };
        match written {
            Ok(count) => bytes += count,
            Err(error) => return Ok(Err(error)),
        }
        Frame::Answer(Ok(Answer::Taken)).send(stream)?;
    }
    if let Err(error) = array.flush(ldev) {
        return Ok(Err(error));
    }
    Frame::Answer(Ok(Answer::Done { bytes })).send(stream)?;
    Ok(Ok(()))
}

/// Writes zeros where there are none yet.
fn write_zeros(array: &Array, ldev: LdevId, offset: u64, count: u64) -> Result<(), CciError> {
    if count > room(array, ldev, offset)? {
        let past = array.read(ldev, offset.saturating_add(count), &mut [0]);
        return past.map(drop);
    }
    array.zero(ldev, offset, count)
}

fn export(
    array: &Array,
    stream: &mut UnixStream,
    ldev: LdevId,
    (offset, length): (u64, Option<u64>),
    force: bool,
) -> Outcome {
    let check = || if force { Ok(()) } else { array.check_exportable(ldev) };
    let length = match check().and_then(|()| room(array, ldev, offset)) {
        Ok(room) => length.unwrap_or(room).min(room),
        Err(error) => return Ok(Err(error)),
    };
    Frame::Answer(Ok(Answer::Ready { length })).send(stream)?;
    let (mut done, mut zeros) = (0, 0);
    while done < length {
        let at = offset + done;
        let piece = (PIECE - at % PIECE).min(length - done);
        let mut bytes = vec![0; usize::try_from(piece).unwrap_or(0)];
        let read = array.read(ldev, at, &mut bytes);
        // Checked after the read: then what was read is of the state that was asked for.
        match read.and_then(|content| check().map(|()| content)) {
            Ok(Content::Zeros) => zeros += piece,
            Ok(Content::Bytes) => {
                if zeros > 0 {
                    Frame::Zeros(zeros).send(stream)?;
                    zeros = 0;
                }
                Frame::Bytes(bytes).send(stream)?;
            }
            Err(error) => return Ok(Err(error)),
        }
        done += piece;
    }
    if zeros > 0 {
        Frame::Zeros(zeros).send(stream)?;
    }
    Frame::End.send(stream)?;
    Ok(Ok(()))
}

/// Bytes from `offset` to the end of a volume.
fn room(array: &Array, ldev: LdevId, offset: u64) -> Result<u64, CciError> {
    let size = array.ldev(ldev).map_or(0, |ldev| ldev.size.bytes());
    match size.checked_sub(offset) {
        Some(room) => Ok(room),
        // The store words it.
        None => array.read(ldev, offset, &mut [0]).map(|_| 0),
    }
}

fn status(array: &Array, from: u32) -> Answer {
    let mut ldevs: Vec<LdevId> = array.ldevs.keys().copied().collect();
    ldevs.sort_unstable();
    let skip = usize::try_from(from).unwrap_or(usize::MAX);
    let page = ldevs.iter().skip(skip).take(STATUS_PAGE);
    let rows = page
        .filter_map(|ldev| {
            let known = array.ldev(*ldev)?;
            Some(StatusRow {
                ldev: *ldev,
                emulation: known.emulation,
                command_device: known.command_device,
                size: known.size,
                path: array.ports.first(*ldev),
                mirrors: array.mirrors(*ldev),
            })
        })
        .collect();
    let next = skip.saturating_add(STATUS_PAGE);
    Answer::Status {
        serial: array.head.serial,
        rows,
        next: (next < ldevs.len()).then(|| u32::try_from(next).ok()).flatten(),
    }
}
