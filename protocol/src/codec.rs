//! Bodies to bytes and back: postcard, whole and bounded.

use serde::{Serialize, de::DeserializeOwned};

/// Bytes that are not a body of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a well-formed message body")]
pub struct Malformed;

/// Encodes a body.
///
/// # Panics
/// Never in practice: the bodies of this crate are plain data that postcard can always encode.
#[must_use]
pub fn encode<T: Serialize>(body: &T) -> Vec<u8> {
    postcard::to_stdvec(body).expect("message bodies are plain data")
}

/// Decodes a body; trailing bytes make it malformed.
///
/// # Errors
/// [`Malformed`] for anything that [`encode`] would not have written.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    match postcard::take_from_bytes(bytes) {
        Ok((body, [])) => Ok(body),
        _ => Err(Malformed),
    }
}
