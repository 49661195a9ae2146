//! The language between commands, daemons and storage systems, and how it travels.
//!
//! Vocabulary is plain data; sessions are plain values without sockets or clocks; a thin shell
//! puts them on UDP.
//!
//! | file | what it holds |
//! |---|---|
//! | [`horcm`] | requests of commands and peers to a horcmd, and its answers |
//! | [`orders`] | orders of a horcmd to a storage system, and its answers |
//! | [`codec`] | bodies to bytes and back |

pub mod blocking;
mod call;
pub mod caller;
pub mod codec;
pub mod endpoint;
pub mod home;
pub mod horcm;
pub mod key;
mod key_file;
pub mod orders;
pub mod registration;
pub mod request_id;

pub use blocking::BlockingCaller;
pub use call::{CallError, Kind};
pub use caller::Caller;
pub use endpoint::{Endpoint, Incoming, Strangers};
pub use home::Home;
pub use key::{Key, KeyId, KeyRing};
pub use registration::Registration;
pub use request_id::RequestId;
