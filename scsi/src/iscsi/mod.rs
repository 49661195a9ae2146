//! iSCSI (RFC 7143) for both sides of the wire: one connection a session, error recovery level 0.
//!
//! What turns bytes into values knows no sockets; what knows sockets decides little:
//!
//! * [`pdu`]: the basic header segments of every opcode, as byte tables.
//! * [`wire`]: PDUs to and from a stream of bytes: lengths, padding, digests.
//! * [`name`], [`text`], [`keys`]: iSCSI names, `key=value` text, and what each key means.
//! * [`chap`], [`login`]: who may log in, and with which parameters.
//! * `window`, `transfer`, `answer`: command numbers, data on its way in, data on its way out.
//! * `connection` with `intake`, `tasks`, `manage` and `negotiate`: a session in its full feature
//!   phase.
//! * `pace`: when a connection stays awake for what comes next.
//! * `room`: what memory sessions may hold, each and together.
//! * [`directory`]: what a portal asks of whatever it offers.
//! * `sessions`, [`portal`], [`runtimes`]: which sessions there are, the sockets they come from, and
//!   the threads that serve them.
//! * [`initiator`]: the other side.

mod answer;
pub mod chap;
mod connection;
pub mod directory;
pub mod initiator;
mod intake;
pub mod keys;
pub mod login;
mod manage;
pub mod name;
mod negotiate;
mod pace;
pub mod pdu;
pub mod portal;
mod room;
pub mod runtimes;
mod sessions;
mod tasks;
pub mod text;
mod transfer;
mod window;
pub mod wire;

#[cfg(test)]
mod tests;

pub use directory::{
    Account, Admission, Authentication, Credentials, Directory, Refusal, Scope, Target,
};
pub use initiator::{Initiator, Session};
pub use portal::{Limits, Portal};
pub use runtimes::Runtimes;
