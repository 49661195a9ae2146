//! PDUs to and from a stream of bytes (RFC 7143, 11.1): the basic header segment, additional ones,
//! the header digest; then the data segment, padded to four bytes, and its digest.

use std::{collections::VecDeque, io::IoSlice};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::pdu::{BHS, Bhs};

/// What is read ahead, in bytes.
const AHEAD: usize = 32 << 10;
/// Data of which at least this much is missing is read straight into its place.
const DIRECT: usize = 16 << 10;
/// Data that is less than this is copied behind its header.
const SMALL: usize = 1024;
/// Pieces in one vectored write.
const PIECES: usize = 64;

/// Bytes that are no PDU, or one that was damaged. The connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A header digest is wrong.
    #[error("a header digest is wrong")]
    HeaderDigest,
    /// A data digest is wrong.
    #[error("a data digest is wrong")]
    DataDigest(Bhs),
    /// A data segment is longer than this side takes.
    #[error("a data segment of {length} bytes is longer than {most}")]
    TooLong {
        /// Its header.
        bhs: Bhs,
        /// Bytes it has.
        length: usize,
        /// Bytes it may have.
        most: usize,
    },
}

/// A PDU that has come.
#[derive(Debug)]
pub struct Pdu {
    /// The basic header segment.
    pub bhs: Bhs,
    /// The additional ones.
    pub ahs: Bytes,
    /// The data segment, behind what was in the buffer that it was read to.
    pub data: BytesMut,
}

/// A PDU whose data is still coming.
struct Body {
    bhs: Bhs,
    ahs: Bytes,
    data: BytesMut,
    /// Where the data begins and ends in it.
    start: usize,
    end: usize,
}

impl Body {
    fn missing(&self) -> usize {
        self.end - self.data.len()
    }

    const fn padding(&self) -> usize {
        (self.end - self.start).wrapping_neg() % 4
    }
}

/// Cuts a stream into PDUs. What it keeps is bounded by `most` and one read ahead.
pub struct Decoder {
    /// Whether headers have digests.
    pub header_digest: bool,
    /// Whether data has digests.
    pub data_digest: bool,
    /// Bytes that a data segment may have.
    pub most: usize,
    buffer: BytesMut,
    body: Option<Body>,
}

impl Decoder {
    /// Without digests, as at login.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let buffer = BytesMut::new();
        Self { header_digest: false, data_digest: false, most, buffer, body: None }
    }

    /// Takes bytes in.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Reads some more; 0 bytes are the end of the stream. Dropped, it loses nothing.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<usize> {
        if let Some(body) = self.body.as_mut().filter(|_| self.buffer.is_empty()) {
            let missing = body.missing();
            if missing >= DIRECT {
                return stream.read_buf(&mut (&mut body.data).limit(missing)).await;
            }
        }
        self.buffer.reserve(AHEAD);
        stream.read_buf(&mut self.buffer).await
    }

    /// The next PDU that is there as a whole. `place` is asked once for each that has data, by its
    /// header and the length of its data, for the buffer to read to; the data goes behind what is
    /// in it.
    ///
    /// # Errors
    /// A [`WireError`], or what `place` answers.
    pub fn next<E: From<WireError>>(
        &mut self,
        mut place: impl FnMut(&Bhs, usize) -> Result<BytesMut, E>,
    ) -> Result<Option<Pdu>, E> {
        let mut body = match self.body.take() {
            Some(body) => body,
            None => match self.head()? {
                None => return Ok(None),
                Some((bhs, ahs, length)) => {
                    let mut data = BytesMut::new();
                    if length > 0 {
                        data = place(&bhs, length)?;
                        data.reserve(length);
                    }
                    let start = data.len();
                    Body { bhs, ahs, data, start, end: start + length }
                }
            },
        };
        let here = body.missing().min(self.buffer.len());
        body.data.extend_from_slice(&self.buffer[..here]);
        self.buffer.advance(here);
        let digest = self.data_digest && body.end > body.start;
        let tail = body.padding() + if digest { 4 } else { 0 };
        if body.missing() > 0 || self.buffer.len() < tail {
            self.body = Some(body);
            return Ok(None);
        }
        if digest {
            let sum = crc32c::crc32c(&body.data[body.start..]);
            let sum = crc32c::crc32c_append(sum, &self.buffer[..body.padding()]);
            if self.buffer[body.padding()..tail] != sum.to_le_bytes() {
                return Err(WireError::DataDigest(body.bhs).into());
            }
        }
        self.buffer.advance(tail);
        Ok(Some(Pdu { bhs: body.bhs, ahs: body.ahs, data: body.data }))
    }

    fn head(&mut self) -> Result<Option<(Bhs, Bytes, usize)>, WireError> {
        let Some(bhs) = self.buffer.first_chunk::<BHS>().copied() else { return Ok(None) };
        let [words, a, b, c] = [bhs[4], bhs[5], bhs[6], bhs[7]];
        let head = BHS + usize::from(words) * 4;
        let whole = head + if self.header_digest { 4 } else { 0 };
        if self.buffer.len() < whole {
            return Ok(None);
        }
        if self.header_digest
            && self.buffer[head..whole] != crc32c::crc32c(&self.buffer[..head]).to_le_bytes()
        {
            return Err(WireError::HeaderDigest);
        }
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        if length > self.most {
            return Err(WireError::TooLong { bhs, length, most: self.most });
        }
        let ahs = Bytes::copy_from_slice(&self.buffer[BHS..head]);
        self.buffer.advance(whole);
        Ok(Some((bhs, ahs, length)))
    }
}

/// PDUs on their way out.
#[derive(Default)]
pub struct Outbox {
    /// Whether headers have digests.
    pub header_digest: bool,
    /// Whether data has digests.
    pub data_digest: bool,
    ready: VecDeque<Bytes>,
    /// Headers and small things, behind `ready`.
    tail: BytesMut,
    length: usize,
}

impl Outbox {
    /// An empty one with digests as agreed.
    #[must_use]
    pub fn new(header_digest: bool, data_digest: bool) -> Self {
        Self { header_digest, data_digest, ..Self::default() }
    }

    /// Bytes that wait.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Appends a PDU. The pieces of its data are at most 2^24 - 1 bytes in all, `ahs` a whole
    /// number of words.
    pub fn push(&mut self, mut bhs: Bhs, ahs: &[u8], data: &[Bytes]) {
        let length: usize = data.iter().map(Bytes::len).sum();
        bhs[4] = (ahs.len() / 4).to_be_bytes()[size_of::<usize>() - 1];
        bhs[5..8].copy_from_slice(&length.to_be_bytes()[size_of::<usize>() - 3..]);
        self.small(&bhs);
        self.small(ahs);
        if self.header_digest {
            self.small(&crc32c::crc32c_append(crc32c::crc32c(&bhs), ahs).to_le_bytes());
        }
        if length == 0 {
            return;
        }
        for piece in data {
            if piece.len() < SMALL {
                self.small(piece);
            } else {
                self.seal();
                self.length += piece.len();
                self.ready.push_back(piece.clone());
            }
        }
        let padding = &[0; 3][..length.wrapping_neg() % 4];
        self.small(padding);
        if self.data_digest {
            let sum = data.iter().fold(0, |sum, piece| crc32c::crc32c_append(sum, piece));
            self.small(&crc32c::crc32c_append(sum, padding).to_le_bytes());
        }
    }

    fn small(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        self.length += bytes.len();
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.ready.push_back(self.tail.split().freeze());
        }
    }

    /// Writes some of what waits; how many bytes. Dropped, it loses nothing.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn write(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
    ) -> std::io::Result<usize> {
        self.seal();
        let mut slices = [IoSlice::new(&[]); PIECES];
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.ready) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        let written = stream.write_vectored(&slices[..count]).await?;
        if written == 0 && self.length > 0 {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        self.length -= written;
        let mut left = written;
        while let Some(piece) = self.ready.front_mut() {
            if piece.len() > left {
                piece.advance(left);
                break;
            }
            left -= piece.len();
            self.ready.pop_front();
        }
        Ok(written)
    }

    /// Writes all that waits.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn flush(&mut self, stream: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
        while !self.is_empty() {
            self.write(stream).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fresh(_: &Bhs, _: usize) -> Result<BytesMut, WireError> {
        Ok(BytesMut::new())
    }

    async fn written(outbox: &mut Outbox) -> Vec<u8> {
        let mut bytes = Vec::new();
        outbox.flush(&mut bytes).await.unwrap();
        assert!(outbox.is_empty());
        bytes
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_portions_are_taken_without_panic_and_without_growth(
            portions in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..40),
            header_digest: bool,
            data_digest: bool,
        ) {
            let mut decoder = Decoder { header_digest, data_digest, ..Decoder::new(1000) };
            for portion in portions {
                // Else no length fits.
                let low = portion.iter().map(|byte| byte & 3).collect::<Vec<_>>();
                decoder.feed(&low);
                loop {
                    match decoder.next(fresh) {
                        Ok(Some(pdu)) => prop_assert!(pdu.data.len() <= 1000),
                        Ok(None) => break,
                        Err(_) => return Ok(()),
                    }
                }
            }
        }

        #[test]
        fn pdus_come_out_as_they_went_in_however_the_stream_is_cut(
            pdus in prop::collection::vec(
                (any::<u8>(), 0..3_usize, prop::collection::vec(
                    prop::collection::vec(any::<u8>(), 0..2000), 0..3)), 1..6),
            header_digest: bool,
            data_digest: bool,
            cut in 1..3000_usize,
        ) {
            let mut outbox = Outbox { header_digest, data_digest, ..Outbox::default() };
            for (byte, words, data) in &pdus {
                let data: Vec<Bytes> = data.iter().cloned().map(Bytes::from).collect();
                outbox.push([*byte; BHS], &vec![*byte; words * 4], &data);
            }
            let bytes = block_on(written(&mut outbox));
            let mut decoder = Decoder { header_digest, data_digest, ..Decoder::new(6000) };
            let mut come = Vec::new();
            for portion in bytes.chunks(cut) {
                decoder.feed(portion);
                while let Some(pdu) = decoder.next(fresh).unwrap() {
                    come.push(pdu);
                }
            }
            prop_assert_eq!(come.len(), pdus.len());
            for (pdu, (byte, words, data)) in come.iter().zip(&pdus) {
                prop_assert_eq!((pdu.bhs[0], pdu.bhs[47], pdu.ahs.len()), (*byte, *byte, words * 4));
                prop_assert_eq!(&pdu.data[..], &data.concat()[..]);
            }
        }
    }

    #[test]
    fn a_digest_is_the_standards_and_one_wrong_bit_is_seen() {
        let mut outbox = Outbox { header_digest: true, data_digest: true, ..Outbox::default() };
        outbox.push([1; BHS], &[], &[Bytes::from_static(&[0; 32])]);
        let bytes = block_on(written(&mut outbox));
        // RFC 7143, appendix A.4: 32 bytes of zeros.
        assert_eq!(bytes[84..], [0xaa, 0x36, 0x91, 0x8a]);
        for (at, expected) in [
            (3, WireError::HeaderDigest),
            (50, WireError::HeaderDigest),
            (60, WireError::DataDigest(bytes[..BHS].try_into().unwrap())),
            (86, WireError::DataDigest(bytes[..BHS].try_into().unwrap())),
        ] {
            let mut decoder =
                Decoder { header_digest: true, data_digest: true, ..Decoder::new(100) };
            let mut bad = bytes.clone();
            bad[at] ^= 4;
            decoder.feed(&bad);
            assert_eq!(decoder.next(fresh).unwrap_err(), expected, "byte {at}");
        }
    }

    #[test]
    fn a_segment_that_is_too_long_is_refused_by_its_header_alone() {
        let mut decoder = Decoder::new(512);
        let mut bhs = [0; BHS];
        bhs[6..8].copy_from_slice(&513_u16.to_be_bytes());
        decoder.feed(&bhs);
        let error = decoder.next(fresh).unwrap_err();
        assert_eq!(error, WireError::TooLong { bhs, length: 513, most: 512 });
    }
}
