//! Bytes to write and files to compare.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

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

/// Where two files first differ: `None` when they hold the same bytes.
///
/// # Errors
/// When one cannot be read.
pub fn first_difference(left: &Path, right: &Path) -> io::Result<Option<u64>> {
    const CHUNK: usize = 1 << 20;
    let (mut left, mut right) = (File::open(left)?, File::open(right)?);
    let (mut a, mut b) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut offset = 0u64;
    loop {
        let (n, m) = (read_full(&mut left, &mut a)?, read_full(&mut right, &mut b)?);
        let same = n.min(m);
        if a[..same] != b[..same] {
            let at = a[..same].iter().zip(&b[..same]).position(|(x, y)| x != y).unwrap_or(same);
            return Ok(Some(offset + at as u64));
        }
        if n != m {
            return Ok(Some(offset + same as u64));
        }
        if n == 0 {
            return Ok(None);
        }
        offset += n as u64;
    }
}

fn read_full(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}
