//! Text (RFC 7143, 6.1): `key=value` pairs, each ended by a zero byte.

/// The most pairs of one text.
pub const MOST_PAIRS: usize = 96;
/// The longest text that is gathered from several PDUs, in bytes.
pub const MOST_BYTES: usize = 16 << 10;
/// The longest key, in bytes.
const MOST_KEY: usize = 63;
/// The longest value, in bytes: a large binary value (RFC 7143, 6.1) in hexadecimal.
const MOST_VALUE: usize = 2 + 2 * 1024;

/// Why a text is not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Too many pairs, or too many bytes.
    #[error("the text is too long")]
    TooLong,
    /// A pair without `=`, a key or value that is too long or has bytes that are not allowed.
    #[error("a pair is not well formed")]
    Malformed,
    /// A key is there twice.
    #[error("a key is there twice")]
    Twice,
}

/// A text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text(Vec<(String, String)>);

impl Text {
    /// Reads a whole text.
    ///
    /// # Errors
    /// A [`TextError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, TextError> {
        if bytes.len() > MOST_BYTES {
            return Err(TextError::TooLong);
        }
        let mut text = Self::default();
        // Some initiators pad with zeros.
        for pair in bytes.split(|byte| *byte == 0).filter(|pair| !pair.is_empty()) {
            if text.0.len() == MOST_PAIRS {
                return Err(TextError::TooLong);
            }
            let pair = std::str::from_utf8(pair).map_err(|_| TextError::Malformed)?;
            let (key, value) = pair.split_once('=').ok_or(TextError::Malformed)?;
            let legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-+@_#".contains(&byte);
            let fits = (1..=MOST_KEY).contains(&key.len()) && value.len() <= MOST_VALUE;
            if !fits || !key.bytes().all(legal) {
                return Err(TextError::Malformed);
            }
            if text.get(key).is_some() {
                return Err(TextError::Twice);
            }
            text.push(key, value);
        }
        Ok(text)
    }

    /// Appends a pair.
    pub fn push(&mut self, key: &str, value: impl Into<String>) {
        self.0.push((key.to_owned(), value.into()));
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == key).map(|(_, value)| value.as_str())
    }

    /// The pairs in their order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.pairs().flat_map(|(key, value)| [key, "=", value, "\0"]).collect::<String>().into()
    }
}

/// Gathers the text of several PDUs, all but the last with C.
#[derive(Debug, Default)]
pub struct Gather(Vec<u8>);

impl Gather {
    /// Takes a part in; the text, when it is the last.
    ///
    /// # Errors
    /// A [`TextError`].
    pub fn take(&mut self, part: &[u8], more: bool) -> Result<Option<Text>, TextError> {
        if self.0.len() + part.len() > MOST_BYTES {
            return Err(TextError::TooLong);
        }
        self.0.extend_from_slice(part);
        if more { Ok(None) } else { Text::parse(&std::mem::take(&mut self.0)).map(Some) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic_and_text_goes_there_and_back(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            pairs in prop::collection::hash_map("[A-Za-z][A-Za-z0-9.#-]{0,30}", "[ -~]{0,40}", 0..9),
        ) {
            let _ = Text::parse(&bytes);
            let mut text = Text::default();
            for (key, value) in pairs {
                text.push(&key, value);
            }
            prop_assert_eq!(Text::parse(&text.encode()), Ok(text));
        }
    }

    #[test]
    fn what_is_too_much_or_malformed_is_refused() {
        let many: String = (0..97).map(|n| format!("X-{n}=1\0")).collect();
        assert_eq!(Text::parse(many.as_bytes()), Err(TextError::TooLong));
        assert_eq!(Text::parse(&vec![0; MOST_BYTES + 1]), Err(TextError::TooLong));
        let value = format!("a={}\0", "x".repeat(MOST_VALUE + 1));
        for bad in ["a\0", "=b\0", "a b=c\0", &value, &format!("{}=1\0", "k".repeat(64))] {
            assert_eq!(Text::parse(bad.as_bytes()), Err(TextError::Malformed), "{bad}");
        }
        assert_eq!(Text::parse(b"a=1\0a=2\0"), Err(TextError::Twice));
        assert_eq!(Text::parse(b"a=\xff\0"), Err(TextError::Malformed));
        assert_eq!(Text::parse(b"a=b=c").unwrap().get("a"), Some("b=c"));
    }

    #[test]
    fn a_text_may_come_in_parts_but_not_without_end() {
        let mut gather = Gather::default();
        assert_eq!(gather.take(b"Initia", true), Ok(None));
        let text = gather.take(b"torName=iqn.a\0", false).unwrap().unwrap();
        assert_eq!(text.get("InitiatorName"), Some("iqn.a"));
        let mut gather = Gather::default();
        let endless = (0..10).find_map(|_| gather.take(&[b'x'; 8192], true).err());
        assert_eq!(endless, Some(TextError::TooLong));
    }
}
