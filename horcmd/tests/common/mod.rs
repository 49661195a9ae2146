//! What the end-to-end tests share: a scripted array, and a world of its own for each test.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod array;
pub mod disk;
pub mod world;
