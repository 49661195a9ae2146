//! A value in a file: JSON that says its version and carries a checksum.
//!
//! ```json
//! {"version": 1, "sha256": "9f86d0...", "content": { ... }}
//! ```
//!
//! The checksum is that of `content` written by this program without white space, so a file may be
//! laid out anew but not changed.
//!
//! | version | what changed |
//! |---|---|
//! | 1 | the first |

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The version written.
pub const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Sealed {
    version: u32,
    sha256: String,
    content: Value,
}

/// Why a file was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// It is not what was written.
    Damaged(String),
    /// A later version wrote it.
    Newer(u32),
}

/// The bytes of a file.
///
/// # Errors
/// The value has something that JSON has not, such as a path that is no text.
pub fn seal(content: &impl Serialize) -> Result<Vec<u8>, String> {
    let content = serde_json::to_value(content).map_err(|error| error.to_string())?;
    let sealed = Sealed { version: VERSION, sha256: digest(&content), content };
    serde_json::to_vec_pretty(&sealed).map_err(|error| error.to_string())
}

/// The value in a file.
///
/// # Errors
/// See [`Unreadable`].
pub fn open<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    let damaged = |error: serde_json::Error| Unreadable::Damaged(error.to_string());
    let sealed: Sealed = serde_json::from_slice(bytes).map_err(damaged)?;
    if sealed.version > VERSION {
        return Err(Unreadable::Newer(sealed.version));
    }
    if digest(&sealed.content) != sealed.sha256 {
        return Err(Unreadable::Damaged("its checksum does not match".to_owned()));
    }
    serde_json::from_value(sealed.content).map_err(damaged)
}

fn digest(content: &Value) -> String {
    hex(&Sha256::digest(content.to_string()))
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_sealed_is_opened_and_no_flipped_byte_is(
            words in proptest::collection::vec(".{0,20}", 0..8),
            at in any::<proptest::sample::Index>(),
            flip in 1_u8..=255,
        ) {
            let mut bytes = seal(&words).unwrap();
            prop_assert_eq!(open::<Vec<String>>(&bytes), Ok(words.clone()));
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            // White space may become other white space, a letter its own escape: never other words.
            if let Ok(read) = open::<Vec<String>>(&bytes) {
                prop_assert_eq!(read, words);
            }
        }

        #[test]
        fn no_bytes_are_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = open::<Vec<String>>(&bytes);
        }
    }

    #[test]
    fn a_later_version_is_not_called_damaged() {
        let text = String::from_utf8(seal(&1).unwrap()).unwrap();
        let newer = text.replace("\"version\": 1", "\"version\": 2");
        assert_eq!(open::<u32>(newer.as_bytes()), Err(Unreadable::Newer(2)));
    }
}
