//! The control socket `DIR/arrayd.sock`: import, export and status while the array runs. A unix
//! stream socket that only the owner of the array can open.
//!
//! | file | what it holds |
//! |---|---|
//! | [`frame`] | what travels, as byte table and types |
//! | [`server`] | the array's side |
//! | [`ends`] | files and pipes that bytes come from and go to |
//! | [`client`] | the side of `arrayd import`, `export` and `status` |

pub mod client;
pub mod ends;
pub mod frame;
pub mod server;

use std::{
    fs::File,
    io,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

/// Bytes read from a file at once: half a frame, a multiple of every block size.
const PIECE: usize = 512 * 1024;

/// A short name for the control socket: the name of a unix socket has at most 107 bytes, the
/// directory of an array may have more. It lasts as long as the returned file.
fn short_name(dir: &Path) -> io::Result<(File, PathBuf)> {
    let dir = File::open(dir)?;
    let name = crate::directory::socket(Path::new(&format!("/proc/self/fd/{}", dir.as_raw_fd())));
    Ok((dir, name))
}
