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

pub mod codec;
pub mod horcm;
pub mod orders;
