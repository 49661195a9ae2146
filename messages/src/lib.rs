//! What the backup commands say, on Linux (`shadowcopy/`) and on Windows (`provider/windows/requestor/`).
//!
//! | file | what it holds |
//! |---|---|
//! | [`message`] | the messages, `KAVX0001-I` and the like, as one table |
//! | [`failure`] | why a command did not do its work |

pub mod failure;
pub mod message;
