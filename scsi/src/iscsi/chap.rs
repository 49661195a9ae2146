//! CHAP (RFC 7143, 12.1.3): to show that one knows a secret, by a digest over it and a challenge.

use md5::Md5;
use sha2::{Digest, Sha256};

use super::{
    directory::{Account, Authentication, Credentials},
    text::Text,
};

/// The longest challenge, in bytes.
const LONGEST: usize = 1024;

/// A digest algorithm by its number in CHAP_A.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5: 5. Every implementation has it.
    Md5 = 5,
    /// SHA-256: 7.
    Sha256 = 7,
}

impl Algorithm {
    fn from_number(number: &str) -> Option<Self> {
        match number {
            "5" => Some(Self::Md5),
            "7" => Some(Self::Sha256),
            _ => None,
        }
    }

    /// The answer to a challenge.
    #[must_use]
    pub fn response(self, id: u8, secret: &[u8], challenge: &[u8]) -> Vec<u8> {
        match self {
            Self::Md5 => Md5::new()
                .chain_update([id])
                .chain_update(secret)
                .chain_update(challenge)
                .finalize()
                .to_vec(),
            Self::Sha256 => Sha256::new()
                .chain_update([id])
                .chain_update(secret)
                .chain_update(challenge)
                .finalize()
                .to_vec(),
        }
    }
}

/// The other side did not show that it is who it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// A key is missing, or has a value that it cannot have.
    #[error("a CHAP key is missing or malformed")]
    Malformed,
    /// No algorithm in common.
    #[error("no CHAP algorithm in common")]
    NoAlgorithm,
    /// The wrong name or secret.
    #[error("the CHAP name or response is wrong")]
    Wrong,
    /// It sends our own challenge back, or both secrets are the same, so that our own answer could
    /// be used against us.
    #[error("the CHAP challenge is reflected")]
    Reflected,
    /// It asks who we are, and there is no secret for that.
    #[error("CHAP is asked for both ways and set up for one")]
    NotMutual,
    /// There are no random numbers.
    #[error("the operating system gives no random numbers")]
    NoRandom,
}

/// A binary value as text, in hexadecimal.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// A binary value of at most 1,024 bytes from text, in hexadecimal or base64.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let (form, digits) = text.split_at_checked(2)?;
    let bytes = match form {
        "0x" | "0X" => {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            // An odd number of digits lacks a zero in front.
            let digits = [&[b'0'][..digits.len() % 2], digits.as_bytes()].concat();
            digits
                .chunks(2)
                .map(|pair| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok())
                .collect::<Option<Vec<u8>>>()?
        }
        "0b" | "0B" => base64(digits)?,
        _ => return None,
    };
    (1..=LONGEST).contains(&bytes.len()).then_some(bytes)
}

fn base64(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.trim_end_matches('=');
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count).to_be_bytes()[3]);
        }
    }
    Some(bytes)
}

/// Compares in a time that does not tell where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    let differ = a.iter().zip(b).fold(0, |differ, (a, b)| std::hint::black_box(differ | (a ^ b)));
    a.len() == b.len() && differ == 0
}

/// A challenge of this side.
#[derive(Debug, Clone)]
pub struct Challenge {
    id: u8,
    bytes: Vec<u8>,
}

impl Challenge {
    /// A new one.
    ///
    /// # Errors
    /// [`Denied::NoRandom`].
    pub fn new() -> Result<Self, Denied> {
        let mut bytes = [0; 33];
        getrandom::fill(&mut bytes).map_err(|_| Denied::NoRandom)?;
        Ok(Self { id: bytes[32], bytes: bytes[..32].to_vec() })
    }

    /// Writes CHAP_I and CHAP_C.
    pub fn write(&self, text: &mut Text) {
        text.push("CHAP_I", self.id.to_string());
        text.push("CHAP_C", encode(&self.bytes));
    }

    /// Whether CHAP_N and CHAP_R answer it.
    ///
    /// # Errors
    /// [`Denied::Malformed`] and [`Denied::Wrong`].
    pub fn check(&self, with: Algorithm, who: &Credentials, text: &Text) -> Result<(), Denied> {
        let name = text.get("CHAP_N").ok_or(Denied::Malformed)?;
        let response = text.get("CHAP_R").and_then(decode).ok_or(Denied::Malformed)?;
        let expected = with.response(self.id, &who.secret, &self.bytes);
        // Both are compared, so that the time does not tell which is wrong.
        let (name, response) =
            (same(name.as_bytes(), who.name.as_bytes()), same(&response, &expected));
        if name & response { Ok(()) } else { Err(Denied::Wrong) }
    }
}

/// The other side's challenge: CHAP_I and CHAP_C.
///
/// # Errors
/// [`Denied::Malformed`].
pub fn challenge_of(text: &Text) -> Result<(u8, Vec<u8>), Denied> {
    let id = text.get("CHAP_I").and_then(|id| id.parse().ok()).ok_or(Denied::Malformed)?;
    let challenge = text.get("CHAP_C").and_then(decode).ok_or(Denied::Malformed)?;
    Ok((id, challenge))
}

/// How far the target is with CHAP.
#[derive(Debug)]
enum State {
    Algorithm,
    Response(Algorithm, Challenge),
    Done,
}

/// The target's side.
#[derive(Debug)]
pub struct Verifier {
    accounts: Vec<Account>,
    state: State,
}

impl Verifier {
    /// `None` where nothing is to be verified.
    #[must_use]
    pub fn new(authentication: Authentication) -> Option<Self> {
        match authentication {
            Authentication::None => None,
            Authentication::Chap(accounts) => Some(Self { accounts, state: State::Algorithm }),
        }
    }

    /// Whether the initiator is who it says.
    #[must_use]
    pub const fn done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Takes the initiator's keys, and answers with the target's.
    ///
    /// # Errors
    /// [`Denied`]; the login ends.
    pub fn step(&mut self, text: &Text) -> Result<Text, Denied> {
        let mut answer = Text::default();
        match &self.state {
            State::Algorithm => {
                let list = text.get("CHAP_A").ok_or(Denied::Malformed)?;
                let algorithm = list.split(',').find_map(Algorithm::from_number);
                let algorithm = algorithm.ok_or(Denied::NoAlgorithm)?;
                let challenge = Challenge::new()?;
                answer.push("CHAP_A", (algorithm as u8).to_string());
                challenge.write(&mut answer);
                self.state = State::Response(algorithm, challenge);
            }
            State::Response(algorithm, challenge) => {
                // All are tried, so that the time does not tell which is right.
                let (mut right, mut denied) = (None, Denied::Wrong);
                for account in &self.accounts {
                    match challenge.check(*algorithm, &account.initiator, text) {
                        Ok(()) => right = right.or(Some(account)),
                        Err(error) => denied = error,
                    }
                }
                let account = right.ok_or(denied)?;
                if text.get("CHAP_I").is_some() || text.get("CHAP_C").is_some() {
                    let target = account.target.as_ref().ok_or(Denied::NotMutual)?;
                    let (id, theirs) = challenge_of(text)?;
                    let shared = |its: &Account| its.initiator.secret == target.secret;
                    if theirs == challenge.bytes || self.accounts.iter().any(shared) {
                        return Err(Denied::Reflected);
                    }
                    answer.push("CHAP_N", target.name.as_str());
                    answer.push("CHAP_R", encode(&algorithm.response(id, &target.secret, &theirs)));
                }
                self.state = State::Done;
            }
            State::Done => {}
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_decoded_without_panic_and_values_come_back(
            text in "\\PC{0,40}",
            bytes in prop::collection::vec(any::<u8>(), 1..1024),
        ) {
            let _ = decode(&text);
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }
    }

    #[test]
    fn binary_values_are_hexadecimal_or_base64() {
        assert_eq!(decode("0xABc").unwrap(), [0x0a, 0xbc]);
        assert_eq!(decode("0bSGVsbG8=").unwrap(), b"Hello");
        for bad in ["", "0x", "0xg0", "0b", "0b*", "12", "0é"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
        assert_eq!(decode(&format!("0x{}", "00".repeat(1025))), None, "too long");
    }

    #[test]
    fn a_response_is_the_digest_of_id_secret_and_challenge() {
        // MD5 of "abc" (RFC 1321, A.5) and SHA-256 of it (FIPS 180).
        let md5 = Algorithm::Md5.response(b'a', b"b", b"c");
        assert_eq!(encode(&md5), "0x900150983cd24fb0d6963f7d28e17f72");
        let sha = encode(&Algorithm::Sha256.response(b'a', b"b", b"c"));
        assert!(sha.starts_with("0xba7816bf8f01cfea414140de5dae2223"));
    }
}
