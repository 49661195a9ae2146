//! Frames: what archives and exports of the catalogue are made of.
//!
//! A file is a head, frames, and an end frame. All numbers are little-endian.
//!
//! | bytes | head |
//! |---|---|
//! | 0-7 | what it is: `DRMARCHV` an archive of volumes, `DRMCATLG` an export of the catalogue |
//! | 8-11 | version of the format, 1 |
//!
//! | bytes | frame |
//! |---|---|
//! | 0 | kind |
//! | 1-3 | 0 |
//! | 4-7 | length n of the payload, at most [`MOST_PAYLOAD`] |
//! | 8-11 | CRC-32C of bytes 0-7 and the payload |
//! | 12-(11+n) | payload |
//!
//! The end frame has kind 0 and 32 bytes of payload: SHA-256 of everything before it. Nothing
//! follows it. So what is cut off, swapped, repeated or changed does not go unseen, and a reader
//! never holds more than one frame.
//!
//! | version | what changed |
//! |---|---|
//! | 1 | the first |

use std::{
    fmt,
    io::{self, Read, Write},
};

use sha2::{Digest, Sha256};

/// The version written, and the only one read.
pub const VERSION: u32 = 1;

/// The longest payload: an artifact of 16 MiB with its names.
pub const MOST_PAYLOAD: usize = (16 << 20) + 1024;

const HEADER: usize = 12;
const END: u8 = 0;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An archive of volumes.
    Archive,
    /// An export of the catalogue.
    Catalogue,
}

impl Format {
    const fn magic(self) -> [u8; 8] {
        match self {
            Self::Archive => *b"DRMARCHV",
            Self::Catalogue => *b"DRMCATLG",
        }
    }

    /// As messages call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Archive => "archive of drmmediabackup",
            Self::Catalogue => "export of drmdbexport",
        }
    }
}

/// Why a file was not read to its end.
#[derive(Debug)]
pub enum Damage {
    /// The file system, or whoever writes the stream.
    Io(io::Error),
    /// It is something else.
    Foreign(Format),
    /// A later version wrote it.
    Newer(u32),
    /// It ends too early, or something is not as it was written. The position is that of the frame.
    At {
        /// Bytes from the beginning.
        position: u64,
        /// What is wrong there.
        what: &'static str,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Foreign(format) => write!(f, "it is no {}", format.name()),
            Self::Newer(version) => {
                write!(f, "a later version of these commands wrote it (format {version})")
            }
            Self::At { position, what } => write!(f, "at byte {position}: {what}"),
        }
    }
}

impl std::error::Error for Damage {}

/// Writes a file of frames.
#[derive(Debug)]
pub struct Writer<W> {
    inner: W,
    sum: Sha256,
    written: u64,
}

impl<W: Write> Writer<W> {
    /// Writes the head.
    ///
    /// # Errors
    /// What `inner` says.
    pub fn new(inner: W, format: Format) -> io::Result<Self> {
        let mut writer = Self { inner, sum: Sha256::new(), written: 0 };
        writer.put(&format.magic())?;
        writer.put(&VERSION.to_le_bytes())?;
        Ok(writer)
    }

    /// Writes a frame whose payload is these parts, one behind the other.
    ///
    /// # Errors
    /// What `inner` says; `InvalidInput` for more than [`MOST_PAYLOAD`].
    pub fn frame(&mut self, kind: u8, parts: &[&[u8]]) -> io::Result<()> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let length = u32::try_from(length).ok().filter(|n| *n as usize <= MOST_PAYLOAD);
        let length = length.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "more than a frame can hold")
        })?;
        let mut start = [0; 8];
        start[0] = kind;
        start[4..].copy_from_slice(&length.to_le_bytes());
        let crc =
            parts.iter().fold(crc32c::crc32c(&start), |crc, part| crc32c::crc32c_append(crc, part));
        self.put(&start)?;
        self.put(&crc.to_le_bytes())?;
        parts.iter().try_for_each(|part| self.put(part))
    }

    /// Writes the end frame. Nothing is flushed or synchronised.
    ///
    /// # Errors
    /// What `inner` says.
    pub fn finish(mut self) -> io::Result<(W, u64)> {
        let sum = self.sum.clone().finalize();
        self.frame(END, &[&sum])?;
        Ok((self.inner, self.written))
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_all(bytes)?;
        self.sum.update(bytes);
        self.written += bytes.len() as u64;
        Ok(())
    }
}

/// Reads a file of frames, one at a time.
#[derive(Debug)]
pub struct Reader<R> {
    inner: R,
    sum: Sha256,
    position: u64,
    payload: Vec<u8>,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// Reads the head.
    ///
    /// # Errors
    /// See [`Damage`].
    pub fn new(mut inner: R, format: Format) -> Result<Self, Damage> {
        let mut head = Vec::with_capacity(HEADER);
        inner.by_ref().take(12).read_to_end(&mut head).map_err(Damage::Io)?;
        let Some((magic, version)) = head.split_at_checked(8) else {
            return Err(Damage::Foreign(format));
        };
        let version = <[u8; 4]>::try_from(version).map_err(|_| Damage::Foreign(format))?;
        let version = u32::from_le_bytes(version);
        if *magic != format.magic() || version == 0 {
            return Err(Damage::Foreign(format));
        }
        if version > VERSION {
            return Err(Damage::Newer(version));
        }
        let sum = Sha256::new_with_prefix(&head);
        Ok(Self { inner, sum, position: 12, payload: Vec::new(), ended: false })
    }

    /// The next frame, its kind and its payload; `None` behind the end frame, once everything has
    /// proved to be as it was written.
    ///
    /// # Errors
    /// See [`Damage`]. What came before such an error was whole, each frame by its own checksum.
    pub fn next_frame(&mut self) -> Result<Option<(u8, &[u8])>, Damage> {
        if self.ended {
            return Ok(None);
        }
        let wrong = |position, what| Damage::At { position, what };
        let at = self.position;
        let mut header = [0; HEADER];
        self.inner.read_exact(&mut header).map_err(|error| cut_off(error, at))?;
        let [kind, z1, z2, z3, l0, l1, l2, l3, c0, c1, c2, c3] = header;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if [z1, z2, z3] != [0; 3] || length > MOST_PAYLOAD {
            return Err(wrong(at, "no frame begins here"));
        }
        // Room is made as bytes come, not as a length claims.
        self.payload.clear();
        let taken = self.inner.by_ref().take(length as u64).read_to_end(&mut self.payload);
        if taken.map_err(Damage::Io)? < length {
            return Err(wrong(at, "the frame is cut off"));
        }
        let crc = crc32c::crc32c_append(crc32c::crc32c(&header[..8]), &self.payload);
        if crc != u32::from_le_bytes([c0, c1, c2, c3]) {
            return Err(wrong(at, "the checksum of the frame does not match"));
        }
        if kind == END {
            let sum = std::mem::take(&mut self.sum).finalize();
            if self.payload.as_slice() != sum.as_slice() {
                return Err(wrong(at, "the checksum of the whole does not match"));
            }
            if self.inner.read(&mut [0]).map_err(Damage::Io)? != 0 {
                return Err(wrong(at, "something follows the end"));
            }
            self.ended = true;
            return Ok(None);
        }
        self.sum.update(header);
        self.sum.update(&self.payload);
        self.position += (HEADER + length) as u64;
        Ok(Some((kind, &self.payload)))
    }

    /// Where the next frame begins, in bytes from the beginning.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.position
    }
}

fn cut_off(error: io::Error, position: u64) -> Damage {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return Damage::At { position, what: "it ends before its end frame" };
    }
    Damage::Io(error)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(frames: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), Format::Archive).unwrap();
        for (kind, payload) in frames {
            let (front, back) = payload.split_at(payload.len() / 2);
            writer.frame(*kind, &[front, back]).unwrap();
        }
        let (bytes, length) = writer.finish().unwrap();
        assert_eq!(bytes.len() as u64, length);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<(u8, Vec<u8>)>, Damage> {
        let mut reader = Reader::new(bytes, Format::Archive)?;
        let mut frames = Vec::new();
        while let Some((kind, payload)) = reader.next_frame()? {
            frames.push((kind, payload.to_vec()));
        }
        Ok(frames)
    }

    fn frames() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
        proptest::collection::vec((1_u8.., proptest::collection::vec(any::<u8>(), 0..40)), 0..6)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(frames in frames()) {
            prop_assert_eq!(read(&written(&frames)).unwrap(), frames);
        }

        #[test]
        fn no_change_of_any_byte_goes_unseen(
            frames in frames(), at in any::<proptest::sample::Index>(), flip in 1_u8..,
        ) {
            let mut bytes = written(&frames);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert!(read(&bytes).is_err());
        }

        #[test]
        fn nothing_cut_off_or_added_goes_unseen(
            frames in frames(), at in any::<proptest::sample::Index>(), more in any::<u8>(),
        ) {
            let mut bytes = written(&frames);
            prop_assert!(read(&bytes[..at.index(bytes.len())]).is_err());
            bytes.push(more);
            prop_assert!(read(&bytes).is_err());
        }

        #[test]
        fn no_frame_left_out_or_swapped_goes_unseen(frames in frames(), swap in any::<bool>()) {
            prop_assume!(frames.len() >= 2 && frames[0] != frames[1]);
            let lengths: Vec<_> = frames.iter().map(|(_, payload)| HEADER + payload.len()).collect();
            let bytes = written(&frames);
            let (head, rest) = bytes.split_at(12);
            let (first, rest) = rest.split_at(lengths[0]);
            let (second, rest) = rest.split_at(lengths[1]);
            let parts: &[&[u8]] =
                if swap { &[head, second, first, rest] } else { &[head, second, rest] };
            prop_assert!(read(&parts.concat()).is_err());
        }
    }

    #[test]
    fn other_files_and_later_versions_are_told_apart() {
        let bytes = written(&[]);
        assert!(matches!(
            Reader::new(bytes.as_slice(), Format::Catalogue),
            Err(Damage::Foreign(_))
        ));
        assert!(matches!(Reader::new(&b"PK"[..], Format::Archive), Err(Damage::Foreign(_))));
        let mut newer = bytes;
        newer[8] = 2;
        assert!(matches!(Reader::new(newer.as_slice(), Format::Archive), Err(Damage::Newer(2))));
    }

    #[test]
    fn a_length_that_claims_much_takes_no_room() {
        let mut bytes = written(&[]);
        bytes.truncate(12);
        bytes.extend([1, 0, 0, 0]);
        bytes.extend(u32::try_from(MOST_PAYLOAD).unwrap().to_le_bytes());
        bytes.extend([0; 4]);
        let mut reader = Reader::new(bytes.as_slice(), Format::Archive).unwrap();
        assert!(reader.next_frame().is_err());
        assert!(reader.payload.capacity() < 4096, "{}", reader.payload.capacity());
    }
}
