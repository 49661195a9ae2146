//! What callers say about a request, and what can become of it.

use std::io;

/// What a request does, as far as the session cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It changes nothing: the server may execute it again when its answer was lost.
    Read,
    /// It changes something: the server executes it at most once per request id and keeps the
    /// answer for resends.
    Change,
}

/// Why a call ended without an answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody listens at that port: the host said so (ICMP) and no server was heard in this call.
    #[error("nobody listens at that address")]
    Refused,
    /// No server answered within the patience of the call. It may be down, cut off, or hold
    /// another key. A change may or may not have happened; calling again with the same id is safe.
    #[error("no answer in time")]
    Silent,
    /// The deadline of the call passed while the server still said that it works on it. A change
    /// may or may not have happened.
    #[error("not done at the deadline")]
    Late,
    /// The request is larger than 8 MiB, or its answer larger than one datagram.
    #[error("the request or its answer is too large")]
    TooLarge,
    /// The socket failed on this host; or the same request id is in flight already
    /// ([`io::ErrorKind::AlreadyExists`]).
    #[error(transparent)]
    Io(#[from] io::Error),
}
