//! The side of `arrayd import`, `export` and `status`.

use std::{
    io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use model::{CciError, LdevId, Serial};

use crate::store::PoolFigures;

use super::{
    PIECE,
    ends::{Input, Output},
    frame::{Answer, Ask, Frame, StatusRow},
    short_name,
};
use crate::store::is_zero;

/// Why an exchange with a running array failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("{}: the array does not run; start it with: arrayd run {}", .0.display(), .0.display())]
    NotRunning(PathBuf),
    /// The array refused.
    #[error("{0}")]
    Refused(Box<CciError>),
    /// The input holds more than fits from the offset to the end of the volume.
    #[error("the input has more bytes than fit: {0} bytes are left in the volume from there")]
    TooLong(u64),
    /// The array went away, or it answered something else than a frame.
    #[error("the connection to the array broke: {0}")]
    Socket(io::Error),
    /// The file of the other side.
    #[error("{0}: {1}")]
    File(String, io::Error),
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        Self::Socket(error)
    }
}

/// A connection to a running array.
pub struct Client {
    stream: UnixStream,
}

impl Client {
    /// Connects to the array in `dir`.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`] when nobody listens there.
    pub fn connect(dir: &Path) -> Result<Self, ClientError> {
        let not_running = || ClientError::NotRunning(dir.to_owned());
        let (_dir, name) = short_name(dir).map_err(|_| not_running())?;
        match UnixStream::connect(name) {
            Ok(stream) => Ok(Self { stream }),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                Err(not_running())
            }
            Err(error) => Err(ClientError::Socket(error)),
        }
    }

    /// Writes `input` into an LDEV from `offset` on. `moved` is told the bytes done and, where
    /// known, the bytes in all. At return all of it is durable.
    ///
    /// # Errors
    /// The array's refusal, and the failures of input and socket.
    pub fn import(
        &mut self,
        (ldev, offset): (LdevId, u64),
        input: &mut Input,
        name: &str,
        mut moved: impl FnMut(u64),
    ) -> Result<u64, ClientError> {
        let room = self.ready(Ask::Import { ldev, offset })?;
        let (mut done, mut zeros) = (0, 0);
        let mut buffer = vec![0; PIECE];
        let file = |error| ClientError::File(name.to_owned(), error);
        loop {
            let hole = input.skip_hole().map_err(file)?;
            let read = input.fill(&mut buffer).map_err(file)?;
            let data = &buffer[..read];
            zeros += hole;
            done += hole + read as u64;
            if done > room {
                return Err(ClientError::TooLong(room));
            }
            let blank = is_zero(data);
            if blank {
                zeros += read as u64;
            }
            if zeros > 0 && (!blank || read < PIECE) {
                self.put(&Frame::Zeros(std::mem::take(&mut zeros)))?;
            }
            if !blank {
                self.put(&Frame::Bytes(data.to_vec()))?;
            }
            moved(done);
            if read < PIECE {
                break;
            }
        }
        Frame::End.send(&mut self.stream)?;
        match self.answer()? {
            Answer::Done { bytes } => Ok(bytes),
            _ => Err(unexpected()),
        }
    }

    /// Reads an LDEV into what `open` opens once the array has agreed. `moved` is told the bytes done and the bytes in all.
    ///
    /// # Errors
    /// The array's refusal, and the failures of output and socket.
    pub fn export(
        &mut self,
        ask: Ask,
        open: &mut dyn FnMut() -> io::Result<Output>,
        name: &str,
        mut moved: impl FnMut(u64, u64),
    ) -> Result<u64, ClientError> {
        let length = self.ready(ask)?;
        let file = |error| ClientError::File(name.to_owned(), error);
        let mut output = open().map_err(file)?;
        let mut done = 0;
        loop {
            match Frame::receive(&mut self.stream)? {
                Frame::Bytes(bytes) => {
                    output.bytes(&bytes).map_err(file)?;
                    done += bytes.len() as u64;
                }
                Frame::Zeros(count) => {
                    output.zeros(count).map_err(file)?;
                    done += count;
                }
                Frame::End if done == length => break,
                Frame::Answer(Err(error)) => return Err(ClientError::Refused(Box::new(error))),
                _ => return Err(unexpected()),
            }
            moved(done, length);
        }
        output.finish().map_err(file)?;
        Ok(done)
    }

    /// All LDEVs and their pairs.
    ///
    /// # Errors
    /// The failures of the socket.
    pub fn status(&mut self) -> Result<(Serial, Vec<StatusRow>), ClientError> {
        let mut all = Vec::new();
        let mut from = 0;
        loop {
            Frame::Ask(Ask::Status { from }).send(&mut self.stream)?;
            let Answer::Status { serial, rows, next } = self.answer()? else {
                return Err(unexpected());
            };
            all.extend(rows);
            match next {
                Some(next) if next > from => from = next,
                _ => return Ok((serial, all)),
            }
        }
    }

    /// How the pools stand.
    ///
    /// # Errors
    /// The failures of the socket.
    pub fn pools(&mut self) -> Result<Vec<PoolFigures>, ClientError> {
        Frame::Ask(Ask::Pools).send(&mut self.stream)?;
        match self.answer()? {
            Answer::Pools(pools) => Ok(pools),
            _ => Err(unexpected()),
        }
    }

    /// Makes a pool larger; how the pools stand then.
    ///
    /// # Errors
    /// The array's refusal, and the failures of the socket.
    pub fn grow(&mut self, ask: &Ask) -> Result<Vec<PoolFigures>, ClientError> {
        Frame::Ask(ask.clone()).send(&mut self.stream)?;
        match self.answer()? {
            Answer::Pools(pools) => Ok(pools),
            _ => Err(unexpected()),
        }
    }

    fn ready(&mut self, ask: Ask) -> Result<u64, ClientError> {
        Frame::Ask(ask).send(&mut self.stream)?;
        match self.answer()? {
            Answer::Ready { length } => Ok(length),
            _ => Err(unexpected()),
        }
    }

    fn put(&mut self, frame: &Frame) -> Result<(), ClientError> {
        frame.send(&mut self.stream)?;
        match self.answer()? {
            Answer::Taken => Ok(()),
            _ => Err(unexpected()),
        }
    }

    fn answer(&mut self) -> Result<Answer, ClientError> {
        match Frame::receive(&mut self.stream)? {
            Frame::Answer(Ok(answer)) => Ok(answer),
            Frame::Answer(Err(error)) => Err(ClientError::Refused(Box::new(error))),
            _ => Err(unexpected()),
        }
    }
}

fn unexpected() -> ClientError {
    ClientError::Socket(io::ErrorKind::InvalidData.into())
}
