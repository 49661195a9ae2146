//! The other end of an import or export: a plain file, whose holes stay holes, or a stream.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
};

use super::PIECE;

/// Where an import comes from.
pub enum Input {
    /// A plain file: its holes are passed over.
    Sparse(File),
    /// A pipe or a device.
    Plain(Box<dyn Read>),
}

impl Input {
    /// Passes over the whole pieces of a hole that begins here; tells their bytes.
    pub(super) fn skip_hole(&mut self) -> io::Result<u64> {
        let Self::Sparse(file) = self else { return Ok(0) };
        let here = file.stream_position()?;
        let data = match rustix::fs::seek(&*file, rustix::fs::SeekFrom::Data(here)) {
            Ok(data) => data,
            Err(rustix::io::Errno::NXIO) => file.metadata()?.len().max(here),
            // A file system that knows no holes has none.
            Err(_) => here,
        };
        let whole = (data - here) / PIECE as u64 * PIECE as u64;
        file.seek(SeekFrom::Start(here + whole))?;
        Ok(whole)
    }

    /// Reads until the buffer is full or the input ends.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let input: &mut dyn Read = match self {
            Self::Sparse(file) => file,
            Self::Plain(input) => input,
        };
        let mut filled = 0;
        while filled < buffer.len() {
            match input.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

/// Where an export goes.
pub enum Output {
    /// A plain file: zeros become holes.
    Sparse(File),
    /// A pipe or a device: zeros are written out.
    Plain(Box<dyn Write>),
}

impl Output {
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Sparse(file) => file.write_all(bytes),
            Self::Plain(out) => out.write_all(bytes),
        }
    }

    pub(super) fn zeros(&mut self, count: u64) -> io::Result<()> {
        match self {
            Self::Sparse(file) => {
                let count = i64::try_from(count).map_err(|_| io::ErrorKind::InvalidData)?;
                file.seek(SeekFrom::Current(count)).map(drop)
            }
            Self::Plain(out) => io::copy(&mut io::repeat(0).take(count), out).map(drop),
        }
    }

    /// A hole at the end counts too.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Sparse(file) => {
                let end = file.stream_position()?;
                file.set_len(end)
            }
            Self::Plain(out) => out.flush(),
        }
    }
}
