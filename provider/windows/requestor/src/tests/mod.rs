//! The command before a VSS that does what a test says.

mod commands;
mod fake;
mod obstacles;
mod selections;
