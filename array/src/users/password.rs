//! Hashes of passwords: argon2id with a salt of their own, as PHC strings.

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};

/// A hash of nobody's password, so that an unknown name takes as long as a known one.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The hash of a password, with a new salt.
///
/// # Errors
/// In words, when it cannot be made; a password of no bytes is none.
pub fn hash(password: &str) -> Result<String, String> {
    if password.is_empty() || password.len() > protocol::login::LONGEST_PASSWORD {
        let most = protocol::login::LONGEST_PASSWORD;
        return Err(format!("a password has 1 to {most} bytes"));
    }
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| error.to_string())
}

/// Whether a word is such a hash.
#[must_use]
pub fn is_hash(word: &str) -> bool {
    PasswordHash::new(word).is_ok_and(|hash| {
        hash.algorithm.as_str() == "argon2id" && hash.salt.is_some() && hash.hash.is_some()
    })
}

/// Whether the password is the one of this hash; without one, of nobody's, after the same time.
#[must_use]
pub fn verify(password: &str, hash: Option<&str>) -> bool {
    let Ok(parsed) = PasswordHash::new(hash.unwrap_or(NOBODY)) else {
        return false;
    };
    let right = Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok();
    right && hash.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_itself_passes_and_salts_differ() {
        let (first, second) = (hash("open sesame").unwrap(), hash("open sesame").unwrap());
        assert_ne!(first, second);
        assert!(is_hash(&first) && verify("open sesame", Some(&first)));
        assert!(!verify("open sesame ", Some(&first)) && !verify("", Some(&first)));
        assert!(!verify("open sesame", None) && !verify("x", Some("no hash")));
        assert!(is_hash(NOBODY), "the time of nobody's hash is that of a real one");
        for word in ["", "open sesame", "$argon2id$", "$2b$10$abcdefghijklmnopqrstuu"] {
            assert!(!is_hash(word), "{word}");
        }
        assert!(hash("").is_err() && hash(&"p".repeat(257)).is_err());
    }
}
