//! The device server as hosts meet it, over a storage system in memory.

mod attentions;
mod blocks;
mod guards;
mod identity;
mod late_writes;
mod management;
mod parsing;
mod reservations;
mod space;
