//! Logins to storage systems: the secrets of a user, which are never shown.

use std::{fmt, str::FromStr};

use model::{Serial, ids::BadWord};
use serde::{Deserialize, Serialize};

/// The longest password, in bytes.
pub const LONGEST_PASSWORD: usize = 256;

/// A password on its way to the storage system.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    /// Without the password: requests end up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What a storage system gives for a user's name and password. Who shows it is that user.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Token([u8; 32]);

impl Token {
    /// A token that nobody else has.
    ///
    /// # Panics
    /// When the operating system has no random source.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the operating system has a random source");
        Self(bytes)
    }

    /// Its 64 hexadecimal digits, for a file that only its user can read.
    #[must_use]
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Token {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl FromStr for Token {
    type Err = BadWord;
    fn from_str(word: &str) -> Result<Self, BadWord> {
        const BAD: BadWord = BadWord { expected: "64 hexadecimal digits" };
        let mut bytes = [0; 32];
        let (pairs, rest) = word.as_bytes().as_chunks::<2>();
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(BAD);
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let digit = |c: u8| char::from(c).to_digit(16).and_then(|n| u8::try_from(n).ok());
            let (high, low) = digit(pair[0]).zip(digit(pair[1])).ok_or(BAD)?;
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

/// A login to one storage system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The storage system.
    pub serial: Serial,
    /// What it gave.
    pub token: Token,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_from_its_digits_and_from_nothing_else() {
        let token = Token::random();
        let hex = token.to_hex();
        assert_eq!(hex.parse(), Ok(token));
        for wrong in
            ["", &hex[1..], &format!("{hex}0"), &hex.replace(&hex[..1], "g"), &"é".repeat(32)]
        {
            assert!(wrong.parse::<Token>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn neither_password_nor_token_is_shown() {
        let token = Token::random();
        let shown = format!("{token:?} {:?}", Password("open sesame".to_owned()));
        assert!(!shown.contains(&token.to_hex()[..8]) && !shown.contains("sesame"), "{shown}");
    }
}
