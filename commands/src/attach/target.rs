//! Where a LUN is reached, and what is sent to it.

use bytes::Bytes;
use scsi::iscsi::initiator::Reply;

use super::unflushed::Content;

/// Where a LUN is reached.
pub trait Target: Send + Sync + 'static {
    /// A session.
    type Session: Send + Sync + 'static;

    /// Logs in, within a few seconds.
    fn login(&self) -> impl Future<Output = Result<Self::Session, String>> + Send;

    /// Sends a command with data, or with room for so many bytes. An error says that the session
    /// is over; whether the command was carried out is not known then. This must not be bounded
    /// by a time: a command that is given up may still be carried out, after others.
    fn command(
        session: &Self::Session,
        cdb: &[u8],
        data: Bytes,
        read: u32,
    ) -> impl Future<Output = Result<Reply, String>> + Send;
}

/// A command, and what it means to what is kept.
#[derive(Debug, Clone)]
pub struct Command {
    /// The CDB.
    pub cdb: Vec<u8>,
    /// What is sent with it.
    pub data: Bytes,
    /// How much may come.
    pub read: u32,
    /// What it leaves on the LUN, and where, in bytes.
    pub leaves: Option<(u64, Content)>,
}

impl Command {
    /// One that changes nothing and gets up to so many bytes.
    #[must_use]
    pub fn get(cdb: &[u8], read: u32) -> Self {
        Self { cdb: cdb.to_vec(), data: Bytes::new(), read, leaves: None }
    }
}
