//! The initiator's side: finds targets, logs in, and carries commands to logical units.
//!
//! A [`Session`] is one connection, driven by a task of its own (`drive`); it is cloned freely and
//! takes commands from many at a time. It ends when it is dropped everywhere, on
//! [`Session::logout`], or when the target is gone: then all that is outstanding fails with
//! [`InitiatorError::Lost`].

mod drive;
mod login;

use std::time::Duration;

use bytes::Bytes;
use tokio::{
    net::{TcpStream, ToSocketAddrs},
    sync::{mpsc, oneshot},
};

use super::{
    directory::Credentials,
    keys::Parameters,
    text::{Text, TextError},
};
use crate::task::LunAddress;

/// Why an initiator does not get what it asks for.
#[derive(Debug, thiserror::Error)]
pub enum InitiatorError {
    /// The socket.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The target refused the login: class above, detail below (RFC 7143, 11.13.5).
    #[error("the target refused the login with status {0:04x}")]
    Refused(u16),
    /// The target did not show who it is.
    #[error("the target did not show who it is: {0}")]
    Denied(#[from] super::chap::Denied),
    /// The target broke the rules.
    #[error("the target breaks the protocol: {0}")]
    Protocol(&'static str),
    /// The target rejected the request with this reason (RFC 7143, 11.17.1).
    #[error("the target rejected the request with reason {0:02x}")]
    Rejected(u8),
    /// A CDB of more than 260 bytes or none, or more data than a command can move.
    #[error("the command is too long")]
    TooLong,
    /// The connection is gone; whether the command was carried out is not known.
    #[error("the connection is lost")]
    Lost,
}

impl From<TextError> for InitiatorError {
    fn from(_: TextError) -> Self {
        Self::Protocol("malformed text")
    }
}

/// Who logs in, and how.
#[derive(Debug, Clone)]
pub struct Initiator {
    /// Its iSCSI name.
    pub name: String,
    /// Its part of the session's identity. A login with the same name and ISID ends the session
    /// there is.
    pub isid: [u8; 6],
    /// What it shows by CHAP, where the target asks.
    pub credentials: Option<Credentials>,
    /// What the target has to show.
    pub target: Option<Credentials>,
    /// What is wished for in negotiations.
    pub wishes: Parameters,
    /// After how long a silence the target is asked whether it lives; after the same time again
    /// it is given up.
    pub idle: Duration,
}

/// A target that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its iSCSI name.
    pub name: String,
    /// Where it is reached: `host:port,portal group tag`.
    pub addresses: Vec<String>,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// SCSI status; for other requests the response.
    pub status: u8,
    /// Sense data.
    pub sense: Bytes,
    /// What was read.
    pub data: Bytes,
    /// Bytes that were expected and not moved; negative for those that found no room.
    pub residual: i64,
}

/// What the driver is asked to send.
enum Order {
    Command { lun: LunAddress, cdb: Bytes, data: Bytes, read: u32 },
    Manage { lun: LunAddress, function: u8, referenced: u32 },
    Ping(Bytes),
    Text(Bytes),
    Logout,
}

type Answer = oneshot::Sender<Result<Reply, InitiatorError>>;

/// A session with a target.
#[derive(Debug, Clone)]
pub struct Session {
    commands: mpsc::Sender<(Order, Answer)>,
    /// What does not wait for the window.
    urgent: mpsc::Sender<(Order, Answer)>,
    parameters: Parameters,
}

impl Initiator {
    /// With a name, an ISID by chance, and no secrets.
    ///
    /// # Errors
    /// [`InitiatorError::Io`] where there are no random numbers.
    pub fn new(name: impl Into<String>) -> Result<Self, InitiatorError> {
        let mut isid = [0; 6];
        getrandom::fill(&mut isid[1..]).map_err(std::io::Error::other)?;
        // The form of RFC 7143, 11.12.5 that needs no registered number.
        isid[0] = 0x80;
        Ok(Self {
            name: name.into(),
            isid,
            credentials: None,
            target: None,
            wishes: Parameters { header_digest: false, data_digest: false, ..Parameters::wishes() },
            idle: Duration::from_secs(15),
        })
    }

    /// Logs in to a target.
    ///
    /// # Errors
    /// An [`InitiatorError`].
    pub async fn login(
        &self,
        address: impl ToSocketAddrs,
        target: &str,
    ) -> Result<Session, InitiatorError> {
        self.open(TcpStream::connect(address).await?, Some(target)).await
    }

    /// The targets of a portal.
    ///
    /// # Errors
    /// An [`InitiatorError`].
    pub async fn discover(
        &self,
        address: impl ToSocketAddrs,
    ) -> Result<Vec<Found>, InitiatorError> {
        let session = self.open(TcpStream::connect(address).await?, None).await?;
        let found = session.send_targets("All").await?;
        // What was asked is answered; how it ends does not matter.
        let _ = session.logout().await;
        Ok(found)
    }

    async fn open(
        &self,
        stream: TcpStream,
        target: Option<&str>,
    ) -> Result<Session, InitiatorError> {
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let ready = login::Login::new(self, reader, writer).run(target).await?;
        let parameters = ready.parameters;
        let (commands, taken) = mpsc::channel(256);
        let (urgent, taken_at_once) = mpsc::channel(16);
        tokio::spawn(drive::Driver::new(ready, self.idle).run(taken, taken_at_once));
        Ok(Session { commands, urgent, parameters })
    }
}

impl Session {
    /// What was agreed on.
    #[must_use]
    pub const fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    async fn order(&self, order: Order) -> Result<Reply, InitiatorError> {
        let (answer, reply) = oneshot::channel();
        let line = match order {
            Order::Command { .. } => &self.commands,
            _ => &self.urgent,
        };
        line.send((order, answer)).await.map_err(|_| InitiatorError::Lost)?;
        reply.await.map_err(|_| InitiatorError::Lost)?
    }

    /// Carries a command out that sends `data` or reads up to `read` bytes; not both.
    ///
    /// # Errors
    /// An [`InitiatorError`]; what the device server says is no error but a status.
    pub async fn command(
        &self,
        lun: LunAddress,
        cdb: &[u8],
        data: Bytes,
        read: u32,
    ) -> Result<Reply, InitiatorError> {
        let fits = (1..=260).contains(&cdb.len()) && data.len() <= u32::MAX as usize;
        if !fits || !data.is_empty() && read > 0 {
            return Err(InitiatorError::TooLong);
        }
        let cdb = Bytes::copy_from_slice(cdb);
        self.order(Order::Command { lun, cdb, data, read }).await
    }

    /// Has a task management function carried out; the response (RFC 7143, 11.6.1).
    ///
    /// # Errors
    /// An [`InitiatorError`].
    pub async fn manage(&self, lun: LunAddress, function: u8) -> Result<u8, InitiatorError> {
        let referenced = super::pdu::NO_TAG;
        Ok(self.order(Order::Manage { lun, function, referenced }).await?.status)
    }

    /// Asks whether the target lives; it sends the data back.
    ///
    /// # Errors
    /// An [`InitiatorError`].
    pub async fn ping(&self, data: Bytes) -> Result<Bytes, InitiatorError> {
        Ok(self.order(Order::Ping(data)).await?.data)
    }

    /// Asks for targets: `All`, a name, or nothing for the one that this is a session with.
    ///
    /// # Errors
    /// An [`InitiatorError`].
    pub async fn send_targets(&self, which: &str) -> Result<Vec<Found>, InitiatorError> {
        let mut text = Text::default();
        text.push("SendTargets", which);
        let reply = self.order(Order::Text(text.encode().into())).await?;
        let mut found: Vec<Found> = Vec::new();
        // Keys come again and again here, so this is no negotiation text.
        for pair in reply.data.split(|byte| *byte == 0).filter(|pair| !pair.is_empty()) {
            let pair = std::str::from_utf8(pair).map_err(|_| TextError::Malformed)?;
            match pair.split_once('=').ok_or(TextError::Malformed)? {
                ("TargetName", name) => {
                    found.push(Found { name: name.to_owned(), addresses: Vec::new() });
                }
                ("TargetAddress", address) => {
                    let target = found.last_mut().ok_or(TextError::Malformed)?;
                    target.addresses.push(address.to_owned());
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Ends the session.
    ///
    /// # Errors
    /// An [`InitiatorError`].
    pub async fn logout(&self) -> Result<(), InitiatorError> {
        self.order(Order::Logout).await.map(|_| ())
    }
}
