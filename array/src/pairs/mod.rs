//! ShadowImage pairs: what they are, what may be done to them and when.
//!
//! | file | what it holds |
//! |---|---|
//! | [`table`] | the state machine: state and change to new state and effects, or a refusal |
//! | [`pair`] | one pair and its durable record |
//! | [`registry`] | all pairs, by number, by end, by volume |
//! | [`create`] | which volumes may become a pair |
//! | [`group`] | an order over many pairs: everything is checked first, then all of it happens |

pub mod create;
pub mod group;
pub mod pair;
pub mod registry;
pub mod table;

pub use self::{
    group::{Planned, View},
    pair::Pair,
    registry::Registry,
    table::Phase,
};
