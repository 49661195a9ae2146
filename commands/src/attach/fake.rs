//! A disk of memory with a volatile cache, whose array can be killed, cut off, and put back.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use rustix::io::Errno;
use scsi::{iscsi::initiator::Reply, sense::Sense};

use super::{
    cdb,
    lun::Lun,
    target::{Command, Target},
    unflushed::Content,
};

const BLOCK: usize = 512;

/// Something that befalls the array.
pub(crate) type Happening = fn(&mut State);

/// The array's side.
#[derive(Debug)]
pub(crate) struct State {
    /// What survives a kill.
    pub(crate) durable: Vec<u8>,
    /// What hosts read.
    pub(crate) cached: Vec<u8>,
    /// Whether logins are taken.
    pub(crate) up: bool,
    /// Sessions of an earlier number are over.
    pub(crate) session: u64,
    pub(crate) identity: u8,
    pub(crate) protected: bool,
    /// News for the session there is.
    pub(crate) news: Vec<Sense>,
    /// WRITEs and WRITE SAMEs that were carried out.
    pub(crate) writes: usize,
    /// What every SYNCHRONIZE CACHE is answered instead.
    pub(crate) flush_fails: Option<Reply>,
    /// So many READ CAPACITY more are refused.
    pub(crate) capacity_fails: usize,
    /// What happens right after the next command of an opcode was carried out.
    pub(crate) after: Vec<(u8, Happening)>,
}

/// The array.
#[derive(Debug, Clone)]
pub(crate) struct Array(Arc<Mutex<State>>);

impl Array {
    pub(crate) fn new(size: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            durable: vec![0; size],
            cached: vec![0; size],
            up: true,
            session: 0,
            identity: 1,
            protected: false,
            news: Vec::new(),
            writes: 0,
            flush_fails: None,
            capacity_fails: 0,
            after: Vec::new(),
        })))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `kill -9`: sessions and cache are gone. It stays down until [`Array::start`].
    pub(crate) fn kill(&self) {
        let mut state = self.state();
        state.cached = state.durable.clone();
        state.session += 1;
        state.up = false;
    }

    /// What is to happen right after the next command of this opcode was carried out.
    pub(crate) fn after(&self, opcode: u8, happens: Happening) {
        self.state().after.push((opcode, happens));
    }

    pub(crate) fn start(&self) {
        self.state().up = true;
    }

    /// Only the connection is lost.
    pub(crate) fn cut(&self) {
        self.state().session += 1;
    }

    /// A LUN of this array, with its keeper.
    pub(crate) async fn lun(&self, patience: Duration) -> Arc<Lun<Self>> {
        let lun = Lun::open(self.clone(), patience).await.unwrap();
        tokio::spawn(Arc::clone(&lun).keep());
        lun
    }
}

fn good(data: Vec<u8>) -> Reply {
    Reply { status: 0, sense: Bytes::new(), data: data.into(), residual: 0 }
}

fn check(sense: Sense) -> Reply {
    refusal(2, Some(sense))
}

/// A status other than GOOD, with sense data where it has such.
pub(crate) fn refusal(status: u8, sense: Option<Sense>) -> Reply {
    let sense = sense.map(|sense| Bytes::copy_from_slice(&sense.fixed())).unwrap_or_default();
    Reply { status, sense, data: Bytes::new(), residual: 0 }
}

/// A WRITE of one block.
pub(crate) fn write(block: u64, byte: u8) -> Command {
    let data = Bytes::from(vec![byte; 512]);
    let leaves = Some((block * 512, Content::Bytes(data.clone())));
    Command { cdb: cdb::write(block, 1).to_vec(), data, read: 0, leaves }
}

/// The last byte of a block.
pub(crate) async fn read(lun: &Lun<Array>, block: u64) -> Result<u8, Errno> {
    Ok(lun.command(&Command::get(&cdb::read(block, 1), 512), lun.deadline()).await?[511])
}

impl Target for Array {
    type Session = (Self, u64);

    async fn login(&self) -> Result<Self::Session, String> {
        let mut state = self.state();
        if !state.up {
            return Err("connection refused".to_owned());
        }
        // A login ends the session before it.
        state.session += 1;
        state.news = vec![Sense::POWER_ON];
        Ok((self.clone(), state.session))
    }

    async fn command(
        (array, session): &Self::Session,
        cdb: &[u8],
        data: Bytes,
        read: u32,
    ) -> Result<Reply, String> {
        // Others have their say between sending and carrying out, and before the reply arrives.
        tokio::task::yield_now().await;
        let reply = {
            let mut state = array.state();
            if state.session != *session {
                return Err("the connection is lost".to_owned());
            }
            let news = state.news.len();
            let reply = state.carry_out(cdb, &data, read);
            // A command that only heard news was not carried out.
            if state.news.len() == news
                && let Some(at) = state.after.iter().position(|(opcode, _)| *opcode == cdb[0])
            {
                let (_, happens) = state.after.remove(at);
                happens(&mut state);
            }
            reply
        };
        tokio::task::yield_now().await;
        if array.state().session == *session { Ok(reply) } else { Err("lost".to_owned()) }
    }
}

impl State {
    /// A reset, as hosts hear of it: what was not flushed is gone, the session is not.
    pub(crate) fn reset(&mut self) {
        self.cached = self.durable.clone();
        self.news.push(Sense::POWER_ON);
    }

    fn carry_out(&mut self, cdb: &[u8], data: &[u8], read: u32) -> Reply {
        if cdb[0] != 0x12 && !self.news.is_empty() {
            return check(self.news.remove(0));
        }
        let lba = || u64::from_be_bytes(cdb[2..10].try_into().unwrap()) as usize;
        let count = || u32::from_be_bytes(cdb[10..14].try_into().unwrap()) as usize;
        let range = || lba() * BLOCK..(lba() + count()) * BLOCK;
        match cdb[0] {
            0x00 => good(Vec::new()),
            0x12 => match (cdb[1], cdb[2]) {
                (0, _) => good(vec![0; 96]),
                (_, 0x83) => good(vec![0, 0x83, 0, 5, 2, 1, 0, 1, self.identity]),
                (_, 0xb0) => {
                    // 8 blocks a transfer, 16 a WRITE SAME.
                    let mut page = vec![0; 64];
                    (page[11], page[43]) = (8, 16);
                    good(page)
                }
                (_, 0xb2) => good(vec![0, 0xb2, 0, 4, 0, 0xe4, 2, 0]),
                _ => check(Sense::INVALID_FIELD_IN_CDB),
            },
            0x9e if cdb[1] == 0x10 && self.capacity_fails > 0 => {
                self.capacity_fails -= 1;
                check(Sense::INVALID_FIELD_IN_CDB)
            }
            0x9e if cdb[1] == 0x10 => {
                let mut capacity = vec![0; 32];
                let last = (self.cached.len() / BLOCK - 1) as u64;
                capacity[..8].copy_from_slice(&last.to_be_bytes());
                capacity[8..12].copy_from_slice(&(BLOCK as u32).to_be_bytes());
                good(capacity)
            }
            0x9e => {
                let mut status = vec![0; 8];
                for block in lba()..(lba() + 4).min(self.cached.len() / BLOCK) {
                    let mapped = self.cached[block * BLOCK..][..BLOCK].iter().any(|b| *b != 0);
                    status.extend((block as u64).to_be_bytes());
                    status.extend([0, 0, 0, 1, u8::from(!mapped), 0, 0, 0]);
                }
                good(status)
            }
            0x1a => good(vec![3, 0, if self.protected { 0x80 } else { 0 }, 0]),
            0x35 => match &self.flush_fails {
                Some(reply) => reply.clone(),
                None => {
                    self.durable = self.cached.clone();
                    good(Vec::new())
                }
            },
            0x88 => {
                assert!(count() <= 8 && count() * BLOCK == read as usize);
                good(self.cached[range()].to_vec())
            }
            0x8a | 0x93 if self.protected => check(Sense::WRITE_PROTECTED),
            0x8a => {
                assert!(count() <= 8 && count() * BLOCK == data.len());
                self.writes += 1;
                self.cached[range()].copy_from_slice(data);
                good(Vec::new())
            }
            0x93 => {
                assert!(count() <= 16 && data == [0; BLOCK] && cdb[1] == 0x08);
                self.writes += 1;
                self.cached[range()].fill(0);
                good(Vec::new())
            }
            _ => check(Sense::INVALID_OPCODE),
        }
    }
}
