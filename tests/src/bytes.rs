//! Bytes to write and files to compare.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use rustix::fs::SeekFrom;

/// `length` bytes that no other `seed` shares, so that a misplaced block shows.
#[must_use]
pub fn pattern(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        // xorshift64*: cheap, and good enough to tell blocks apart.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Where two files first differ: `None` when they hold the same bytes. Holes of both are passed
/// over, so that large sparse volumes take no longer than what they hold.
///
/// # Errors
/// When one cannot be read.
pub fn first_difference(left: &Path, right: &Path) -> io::Result<Option<u64>> {
    const CHUNK: u64 = 1 << 20;
    let (left, right) = (File::open(left)?, File::open(right)?);
    let (left_end, right_end) = (left.metadata()?.len(), right.metadata()?.len());
    let end = left_end.min(right_end);
    let mut offset = 0;
    while let Some(data) =
        next_data(&left, offset)?.into_iter().chain(next_data(&right, offset)?).min()
    {
        if data >= end {
            break;
        }
        let length = CHUNK.min(end - data) as usize;
        let (mut a, mut b) = (vec![0; length], vec![0; length]);
        left.read_exact_at(&mut a, data)?;
        right.read_exact_at(&mut b, data)?;
        if let Some(at) = a.iter().zip(&b).position(|(x, y)| x != y) {
            return Ok(Some(data + at as u64));
        }
        offset = data + length as u64;
    }
    Ok((left_end != right_end).then_some(end))
}

/// The first byte from `offset` on that lies in no hole.
fn next_data(file: &File, offset: u64) -> io::Result<Option<u64>> {
    match rustix::fs::seek(file, SeekFrom::Data(offset)) {
        Ok(data) => Ok(Some(data)),
        Err(rustix::io::Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
