//! Answers that must fit: one datagram, whatever happened.

use model::{CciError, Code};
use protocol::{codec, horcm::Answer};

/// The encoded answer in at most `room` bytes. An error loses its details first; an answer that
/// is too large in itself becomes EX_ERANGE.
#[must_use]
pub fn encode_within(answer: Answer, room: usize) -> Vec<u8> {
    let bytes = codec::encode(&answer);
    if bytes.len() <= room {
        return bytes;
    }
    let error = answer.err().unwrap_or_else(|| {
        CciError::new(Code::ExErange)
            .cause("the answer does not fit into one datagram")
            .advice("ask for less at a time, or from the instance's own host")
    });
    // The result's own tag takes a byte.
    let error = shorten(error, room.saturating_sub(1));
    codec::encode(&Answer::Err(error))
}

/// The error in at most `room` bytes of encoding: without its advice, then its cause, then its
/// state and object. The code alone always stays.
#[must_use]
pub fn shorten(mut error: CciError, room: usize) -> CciError {
    let steps: [fn(&mut CciError); 4] =
        [|e| e.advice = None, |e| e.cause = None, |e| e.state = None, |e| e.object = None];
    for step in steps {
        if codec::encode(&error).len() <= room {
            break;
        }
        step(&mut error);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_lose_their_least_needed_words_first() {
        let error = CciError::new(Code::ExEnormt)
            .object("snap")
            .cause("c".repeat(100))
            .advice("a".repeat(100));
        assert_eq!(shorten(error.clone(), 1000), error);
        let shorter = shorten(error.clone(), 150);
        assert_eq!((shorter.advice, shorter.cause.is_some()), (None, true));
        let shortest = shorten(error, 0);
        assert_eq!(shortest, CciError::new(Code::ExEnormt));
    }

    #[test]
    fn an_answer_without_room_becomes_an_error_that_fits() {
        let answer = Ok(protocol::horcm::Reply::Units {
            host: "h".repeat(5000),
            version: String::new(),
            units: Vec::new(),
        });
        let bytes = encode_within(answer, 1200);
        assert!(bytes.len() <= 1200);
        let answer: Answer = codec::decode(&bytes).unwrap();
        assert_eq!(answer.unwrap_err().code, Code::ExErange);
    }
}
