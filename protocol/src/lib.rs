//! The language between commands, daemons and storage systems, and how it travels.
//!
//! Vocabulary is plain data; sessions are plain values without sockets or clocks; thin shells put
//! them on UDP. `docs/protocol.md` has the byte tables on one page.
//!
//! | file | what it holds |
//! |---|---|
//! | [`horcm`] | requests of commands and peers to a horcmd, and its answers |
//! | [`login`] | passwords and tokens of users |
//! | [`logins`] | the sessions with storage systems that this user keeps |
//! | [`orders`] | orders of a horcmd to a storage system, and its answers |
//! | [`codec`] | bodies to bytes and back |
//! | [`request_id`] | the name of one request, end to end |
//! | [`key`], `key_file` | the shared secret, the ring a server accepts, keys on disk |
//! | [`durable`] | names of files that outlive a loss of power |
//! | [`here`] | this host and this user, as names of files carry them |
//! | [`home`] | where an installation keeps its files |
//! | `platform` | what differs between operating systems |
//! | [`registration`] | how commands find the daemon of an instance |
//! | `call` | read or change; how a call can fail |
//! | [`wire`] | the datagram: header and seal |
//! | [`frame`] | what is sealed, as byte tables |
//! | `window` | each sequence number once |
//! | `sessions` | the server's sessions and the Hellos it answered |
//! | `parts`, `reassembly` | requests larger than a datagram |
//! | `ledger` | at most once |
//! | [`mailbox`] | orders over the blocks of a command device |
//! | [`strangers`] | who knocks with another key |
//! | [`server`] | the server's side, sans-IO |
//! | `outstanding`, [`client`] | the client's side, sans-IO |
//! | [`endpoint`] | the server on a tokio socket |
//! | [`caller`] | the client on a tokio socket |
//! | [`blocking`] | the client on a plain socket, for commands |
//! | [`attached`] | the daemon of an instance, found and asked |

pub mod attached;
pub mod blocking;
mod call;
pub mod caller;
pub mod client;
pub mod codec;
pub mod durable;
pub mod endpoint;
pub mod frame;
pub mod here;
pub mod home;
pub mod horcm;
pub mod key;
mod key_file;
mod ledger;
pub mod login;
pub mod logins;
pub mod mailbox;
pub mod orders;
mod outstanding;
mod parts;
mod platform;
mod reassembly;
pub mod registration;
pub mod request_id;
pub mod server;
mod sessions;
pub mod strangers;
mod window;
pub mod wire;

pub use attached::Attached;
pub use blocking::BlockingCaller;
pub use call::{CallError, Kind};
pub use caller::Caller;
pub use endpoint::{Endpoint, Incoming};
pub use home::Home;
pub use key::{Key, KeyId, KeyRing};
pub use registration::Registration;
pub use request_id::RequestId;
pub use strangers::Strangers;
