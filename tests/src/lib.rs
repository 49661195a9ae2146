//! A laboratory: one array and its HORCM instances, in a directory and at an address of their own.
//!
//! The demo, the benchmarks and every end-to-end test stand on it, so that all of them speak to
//! the real binaries over real sockets and files. Labs run side by side: each takes a loopback
//! address for itself (`127.a.b.c`), on which the seed's port numbers are free.
//!
//! | file | what it holds |
//! |---|---|
//! | [`address`] | loopback addresses that belong to one lab |
//! | [`binaries`] | where the built programs are |
//! | [`cable`] | a TCP path that is cut, stalls or loses at a chosen PDU |
//! | [`carrier`] | what carries orders: the network, or the blocks of the command device |
//! | [`coordinator`] | a coordinator under Wine, that calls `RMVSSPRV.dll` |
//! | [`run`] | running a command and what came of it |
//! | [`lab`] | the array, the instances, their environment |
//! | [`tgt`] | the target that ours is compared with |
//! | [`postgres`] | a PostgreSQL server |
//! | [`mariadb`] | a MariaDB server |
//! | [`server`] | what both have in common: their user, their process |
//! | [`proxy`] | a network that loses, doubles and reorders; seeded chance |
//! | [`mid_order`] | where a cable breaks while a change goes through a mailbox |
//! | [`conformance`] | libiscsi's suite: run and read |
//! | [`wine`] | the programs of Windows, run here |
//! | [`bytes`] | patterns, and comparing two large sparse files |

pub mod address;
pub mod binaries;
pub mod bytes;
pub mod cable;
pub mod carrier;
pub mod conformance;
pub mod coordinator;
pub mod lab;
pub mod mariadb;
pub mod mid_order;
pub mod postgres;
pub mod proxy;
pub mod run;
pub mod server;
pub mod tgt;
pub mod wine;

pub use carrier::Carrier;
pub use lab::Lab;
pub use run::Outcome;
