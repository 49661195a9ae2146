//! What is in an archive: its frames, and the order they come in (`docs/archive.md`).
//!
//! | kind | payload | how often |
//! |---|---|---|
//! | 1 | [`Contents`] as JSON | once, first |
//! | 2 | a file of a writer, [`artifact::encode`] | behind it, any number |
//! | 3 | number of a volume, u32 | once for each, in their order; its data follow |
//! | 4 | offset u64, bytes | data as they are |
//! | 5 | offset u64, length u32, zstd frame | data, compressed |
//!
//! Data come in rising order, do not overlap, and hold 1 byte to [`CHUNK`] each. What no data
//! cover is zero.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use zstd::bulk::{Compressor, Decompressor};

use super::frame::{Damage, Format, Reader, Writer};
use crate::{
    catalogue::{
        Backup,
        artifact::{self, Allowance},
    },
    writer::Artifact,
};

/// The most bytes of a volume in one frame.
pub const CHUNK: usize = 1 << 20;

/// The best level that still keeps up with a disk.
const LEVEL: i32 = 3;

const CONTENTS: u8 = 1;
const ARTIFACT: u8 = 2;
const VOLUME: u8 = 3;
const PLAIN: u8 = 4;
const COMPRESSED: u8 = 5;

/// What an archive says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// The backup, as the catalogue had it.
    pub backup: Backup,
    /// The size of each of its volumes in bytes, in their order.
    pub sizes: Vec<u64>,
}

/// Writes an archive.
pub struct Packer<W> {
    frames: Writer<W>,
    compressor: Compressor<'static>,
    compressed: Vec<u8>,
}

impl<W: Write> Packer<W> {
    /// Writes what the archive holds, and the files of the writers.
    ///
    /// # Errors
    /// What `into` says; that the files are more than an archive may hold.
    pub fn new(into: W, contents: &Contents, artifacts: &[(String, Artifact)]) -> io::Result<Self> {
        Allowance::take_all(artifacts).map_err(io::Error::other)?;
        let mut frames = Writer::new(into, Format::Archive)?;
        frames.frame(CONTENTS, &[&serde_json::to_vec(contents)?])?;
        for (writer, file) in artifacts {
            let (names, bytes) = artifact::encode(writer, file);
            frames.frame(ARTIFACT, &[&names, bytes])?;
        }
        let compressed = vec![0; zstd::zstd_safe::compress_bound(CHUNK)];
        Ok(Self { frames, compressor: Compressor::new(LEVEL)?, compressed })
    }

    /// Begins the next volume.
    ///
    /// # Errors
    /// What the archive says.
    pub fn volume(&mut self, number: u32) -> io::Result<()> {
        self.frames.frame(VOLUME, &[&number.to_le_bytes()])
    }

    /// At most [`CHUNK`] bytes of the volume.
    ///
    /// # Errors
    /// What the archive says.
    pub fn data(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let at = offset.to_le_bytes();
        let length = self.compressor.compress_to_buffer(bytes, &mut self.compressed)?;
        if length >= bytes.len() {
            return self.frames.frame(PLAIN, &[&at, bytes]);
        }
        let plain = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
        self.frames.frame(COMPRESSED, &[&at, &plain, &self.compressed[..length]])
    }

    /// Writes the end; gives what was written to, and how many bytes it was.
    ///
    /// # Errors
    /// What the archive says.
    pub fn finish(self) -> io::Result<(W, u64)> {
        self.frames.finish()
    }
}

/// A piece of an archive.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A file of a writer, with the writer's name.
    Artifact(String, Artifact),
    /// The pieces of this volume follow, from its first byte to its last.
    Volume(usize),
    /// Bytes of it.
    Data {
        /// Where.
        offset: u64,
        /// What.
        bytes: &'a [u8],
    },
    /// A part of it is zero.
    Zeros {
        /// Where.
        offset: u64,
        /// How many bytes.
        length: u64,
    },
}

/// Reads an archive.
pub struct Unpacker<R> {
    frames: Reader<R>,
    contents: Contents,
    decompressor: Decompressor<'static>,
    artifacts: Allowance,
    /// The volume that is being read, and how far.
    at: Option<(usize, u64)>,
    /// A volume whose beginning is told when the one before has been.
    next: Option<Next>,
    plain: Vec<u8>,
}

/// What a frame brought that zeros come before.
#[derive(Debug, Clone, Copy)]
enum Next {
    Data(u64),
    Volume(usize),
    End,
}

impl<R: Read> Unpacker<R> {
    /// Reads what the archive holds.
    ///
    /// # Errors
    /// See [`Damage`].
    pub fn new(from: R) -> Result<Self, Damage> {
        let mut frames = Reader::new(from, Format::Archive)?;
        let position = frames.position();
        let wrong = |what| Damage::At { position, what };
        let contents: Contents = match frames.next_frame()? {
            Some((CONTENTS, payload)) => serde_json::from_slice(payload)
                .map_err(|_| wrong("what it holds is not described as it should be"))?,
            _ => return Err(wrong("it does not begin with what it holds")),
        };
        if contents.sizes.len() != contents.backup.volumes.len() {
            return Err(wrong("it has not one size for each volume"));
        }
        let decompressor = Decompressor::new().map_err(Damage::Io)?;
        let artifacts = Allowance::default();
        Ok(Self {
            frames,
            contents,
            decompressor,
            artifacts,
            at: None,
            next: None,
            plain: Vec::new(),
        })
    }

    /// What the archive holds.
    #[must_use]
    pub const fn contents(&self) -> &Contents {
        &self.contents
    }

    /// The next piece; `None` once the end has proved that the whole is as it was written.
    ///
    /// # Errors
    /// See [`Damage`].
    pub fn next_piece(&mut self) -> Result<Option<Piece<'_>>, Damage> {
        let next = match self.next.take() {
            Some(next) => next,
            None => match self.next_frame()? {
                Frame::Artifact(writer, file) => return Ok(Some(Piece::Artifact(writer, file))),
                Frame::Next(next) => next,
            },
        };
        if let Some((volume, done)) = self.at {
            let until = match next {
                Next::Data(offset) => offset,
                Next::Volume(_) | Next::End => self.size(volume),
            };
            if done < until {
                self.at = Some((volume, until));
                self.next = Some(next);
                return Ok(Some(Piece::Zeros { offset: done, length: until - done }));
            }
        }
        Ok(match next {
            Next::Data(offset) => {
                if let Some((_, done)) = &mut self.at {
                    *done = offset + self.plain.len() as u64;
                }
                Some(Piece::Data { offset, bytes: &self.plain })
            }
            Next::Volume(volume) => {
                self.at = Some((volume, 0));
                Some(Piece::Volume(volume))
            }
            Next::End => {
                self.next = Some(Next::End);
                None
            }
        })
    }

    fn size(&self, volume: usize) -> u64 {
        self.contents.sizes.get(volume).copied().unwrap_or(0)
    }

    fn next_frame(&mut self) -> Result<Frame, Damage> {
        let position = self.frames.position();
        let wrong = |what| Damage::At { position, what };
        let volumes = self.contents.sizes.len();
        let begun = self.at.map_or(0, |(volume, _)| volume + 1);
        let Some((kind, payload)) = self.frames.next_frame()? else {
            if begun < volumes {
                return Err(wrong("it ends before its last volume"));
            }
            return Ok(Frame::Next(Next::End));
        };
        match (kind, self.at) {
            (ARTIFACT, None) => {
                let (writer, file) = artifact::decode(payload).map_err(wrong)?;
                self.artifacts.take(&file).map_err(wrong)?;
                Ok(Frame::Artifact(writer, file))
            }
            (VOLUME, _) => {
                let number = payload.try_into().map(u32::from_le_bytes);
                if number.is_ok_and(|number| number as usize == begun && begun < volumes) {
                    return Ok(Frame::Next(Next::Volume(begun)));
                }
                Err(wrong("this is not the next volume"))
            }
            (PLAIN | COMPRESSED, Some((volume, done))) => {
                let (offset, data) = take(payload)
                    .map(|(at, rest)| (u64::from_le_bytes(at), rest))
                    .ok_or_else(|| wrong("the data are too short"))?;
                self.plain.clear();
                if kind == PLAIN {
                    self.plain.extend_from_slice(&data[..data.len().min(CHUNK + 1)]);
                } else {
                    let (length, data) = take(data)
                        .map(|(length, rest)| (u32::from_le_bytes(length), rest))
                        .ok_or_else(|| wrong("the data are too short"))?;
                    let length = length as usize;
                    if length > CHUNK {
                        return Err(wrong("the data claim to be too long"));
                    }
                    self.plain.reserve(length);
                    let taken = self.decompressor.decompress_to_buffer(data, &mut self.plain);
                    if taken.ok() != Some(length) {
                        return Err(wrong("the data cannot be decompressed"));
                    }
                }
                let size = self.contents.sizes.get(volume).copied().unwrap_or(0);
                let end = offset.checked_add(self.plain.len() as u64);
                let fits = offset >= done && end.is_some_and(|end| end <= size);
                if !fits || self.plain.is_empty() || self.plain.len() > CHUNK {
                    return Err(wrong("the data do not belong here"));
                }
                Ok(Frame::Next(Next::Data(offset)))
            }
            _ => Err(wrong("nothing of this kind belongs here")),
        }
    }
}

/// A frame, understood. Data lie in `plain`.
enum Frame {
    Artifact(String, Artifact),
    Next(Next),
}

fn take<const N: usize>(bytes: &[u8]) -> Option<([u8; N], &[u8])> {
    bytes.split_first_chunk().map(|(first, rest)| (*first, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogue::record::fake::{backup, volume};

    fn contents(sizes: &[u64]) -> Contents {
        let mut backup = backup(7);
        backup.volumes = (0..).take(sizes.len()).map(volume).collect();
        Contents { backup, sizes: sizes.to_vec() }
    }

    /// The volumes of an archive, and its writers' files.
    type Unpacked = (Vec<Vec<u8>>, Vec<(String, Artifact)>);

    fn unpack(bytes: &[u8]) -> Result<Unpacked, Damage> {
        let mut archive = Unpacker::new(bytes)?;
        let (mut volumes, mut artifacts): (Vec<Vec<u8>>, _) = (Vec::new(), Vec::new());
        while let Some(piece) = archive.next_piece()? {
            match piece {
                Piece::Artifact(writer, file) => artifacts.push((writer, file)),
                Piece::Volume(number) => {
                    assert_eq!(number, volumes.len());
                    volumes.push(Vec::new());
                }
                Piece::Data { offset, bytes } => {
                    let volume = volumes.last_mut().unwrap();
                    assert_eq!(offset, volume.len() as u64);
                    volume.extend(bytes);
                }
                Piece::Zeros { offset, length } => {
                    let volume = volumes.last_mut().unwrap();
                    assert_eq!(offset, volume.len() as u64);
                    volume.resize(volume.len() + usize::try_from(length).unwrap(), 0);
                }
            }
        }
        assert!(archive.next_piece()?.is_none(), "the end stays the end");
        Ok((volumes, artifacts))
    }

    proptest! {
        #[test]
        fn volumes_come_back_as_they_were(
            volumes in proptest::collection::vec(
                proptest::collection::vec((any::<bool>(), any::<u8>(), 1_usize..3000), 0..6), 1..4),
            label in proptest::collection::vec(any::<u8>(), 0..50),
        ) {
            let plain: Vec<Vec<u8>> = volumes.iter().map(|parts| {
                parts.iter().flat_map(|(stored, byte, length)| {
                    let odd = byte | 1;
                    (0..*length).map(move |at| if *stored { odd.wrapping_mul(at as u8) | 1 } else { 0 })
                }).collect()
            }).collect();
            let sizes: Vec<_> = plain.iter().map(|volume| volume.len() as u64).collect();
            let contents = contents(&sizes);
            let files = [("w/1".to_owned(), Artifact { name: "label".to_owned(), bytes: label })];
            let mut packer = Packer::new(Vec::new(), &contents, &files).unwrap();
            for ((parts, plain), number) in volumes.iter().zip(&plain).zip(0..) {
                packer.volume(number).unwrap();
                let mut offset = 0;
                for (stored, _, length) in parts {
                    if *stored {
                        packer.data(offset as u64, &plain[offset..offset + length]).unwrap();
                    }
                    offset += length;
                }
            }
            let (bytes, _) = packer.finish().unwrap();
            let archive = Unpacker::new(bytes.as_slice()).unwrap();
            prop_assert_eq!(archive.contents(), &contents);
            prop_assert_eq!(unpack(&bytes).unwrap(), (plain, files.to_vec()));
        }
    }

    /// An archive of one volume of 100 bytes, with these frames behind its head.
    fn with(frames: &[(u8, &[u8])]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), Format::Archive).unwrap();
        let head = serde_json::to_vec(&contents(&[100])).unwrap();
        writer.frame(CONTENTS, &[&head]).unwrap();
        for (kind, payload) in frames {
            writer.frame(*kind, &[payload]).unwrap();
        }
        writer.finish().unwrap().0
    }

    fn at(offset: u64, rest: &[u8]) -> Vec<u8> {
        [&offset.to_le_bytes(), rest].concat()
    }

    #[test]
    fn more_files_of_writers_than_a_backup_may_have_are_neither_written_nor_read() {
        let file = |n: usize| (n.to_string(), Artifact { name: "f".to_owned(), bytes: vec![1] });
        let files: Vec<_> = (0..=artifact::MOST_FILES).map(file).collect();
        assert!(Packer::new(Vec::new(), &contents(&[]), &files).is_err());
        let mut frames = Writer::new(Vec::new(), Format::Archive).unwrap();
        frames.frame(CONTENTS, &[&serde_json::to_vec(&contents(&[])).unwrap()]).unwrap();
        for (writer, file) in &files {
            let (names, bytes) = artifact::encode(writer, file);
            frames.frame(ARTIFACT, &[&names, bytes]).unwrap();
        }
        let damage = unpack(&frames.finish().unwrap().0).unwrap_err();
        assert!(damage.to_string().contains("more than 1024 files of writers"), "{damage}");
        let packer = Packer::new(Vec::new(), &contents(&[]), &files[1..]).unwrap();
        assert_eq!(unpack(&packer.finish().unwrap().0).unwrap().1.len(), artifact::MOST_FILES);
    }

    #[test]
    fn what_is_whole_but_makes_no_sense_is_refused() {
        let volume: (u8, &[u8]) = (VOLUME, &[0; 4]);
        let good = at(96, b"abcd");
        assert!(unpack(&with(&[volume, (PLAIN, &good)])).is_ok());
        let bomb = zstd::bulk::compress(&vec![0; CHUNK + 1], 3).unwrap();
        let claims = |length: u32| at(0, &[&length.to_le_bytes(), bomb.as_slice()].concat());
        for (what, frames) in [
            ("no volume at all", vec![]),
            ("data before a volume", vec![(PLAIN, good.as_slice())]),
            ("a second volume", vec![volume, (VOLUME, &[1, 0, 0, 0])]),
            ("the same volume again", vec![volume, volume]),
            ("an odd number", vec![(VOLUME, &[0; 3])]),
            ("a writer's file too late", vec![volume, (ARTIFACT, &[1, 0, 1, 0, b'w', b'f'])]),
            ("an unknown kind", vec![volume, (9, &[])]),
            ("another head", vec![(CONTENTS, b"{}")]),
            ("no bytes", vec![volume, (PLAIN, &at(0, b""))]),
            ("half an offset", vec![volume, (PLAIN, &[0; 7])]),
            ("behind the end", vec![volume, (PLAIN, &at(97, b"abcd"))]),
            ("an offset that overflows", vec![volume, (PLAIN, &at(u64::MAX, b"abcd"))]),
            ("data backwards", vec![volume, (PLAIN, &good), (PLAIN, &at(0, b"a"))]),
            ("data twice", vec![volume, (PLAIN, &good), (PLAIN, &good)]),
            ("more than a chunk", vec![volume, (PLAIN, &at(0, &vec![1; CHUNK + 1]))]),
            ("no zstd", vec![volume, (COMPRESSED, &at(0, &[4, 0, 0, 0, 1, 2, 3]))]),
            ("a bomb", vec![volume, (COMPRESSED, &claims(100))]),
            ("a bomb that says so", vec![volume, (COMPRESSED, &claims(u32::MAX))]),
        ] {
            let refused = unpack(&with(&frames));
            assert!(matches!(refused, Err(Damage::At { .. })), "{what}: {refused:?}");
        }
    }

    #[test]
    fn zeros_of_any_size_take_no_room() {
        let mut packer = Packer::new(Vec::new(), &contents(&[1 << 60]), &[]).unwrap();
        packer.volume(0).unwrap();
        let (bytes, _) = packer.finish().unwrap();
        assert!(bytes.len() < 4096, "{}", bytes.len());
        let mut archive = Unpacker::new(bytes.as_slice()).unwrap();
        assert_eq!(archive.next_piece().unwrap(), Some(Piece::Volume(0)));
        let zeros = Piece::Zeros { offset: 0, length: 1 << 60 };
        assert_eq!(archive.next_piece().unwrap(), Some(zeros));
        assert_eq!(archive.next_piece().unwrap(), None);
    }
}
