//! Additional header segments (RFC 7143, 11.2.2): the rest of a CDB of more than 16 bytes.
//!
//! | byte | what |
//! |---|---|
//! | 0-1 | AHSLength: bytes behind byte 2, without padding |
//! | 2 | type (3Fh): 1 extended CDB, 2 expected bidirectional read length |
//! | 3 | reserved |
//! | 4-n | the rest of the CDB; padded to four bytes |

use bytes::Bytes;

/// The longest CDB (SPC-4 4.2.3), in bytes.
const LONGEST: usize = 260;

/// Segments that are cut short, come twice, or are of no known type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the additional header segments are not well formed")]
pub struct BadAhs;

/// The whole CDB of a command: its header's part, and what is in its additional header segments.
///
/// # Errors
/// [`BadAhs`].
pub fn cdb_of(first: &[u8; 16], mut ahs: &[u8]) -> Result<Bytes, BadAhs> {
    let mut cdb = None;
    while let [high, low, kind, rest @ ..] = ahs {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let body = rest.get(..length).ok_or(BadAhs)?;
        match (kind & 0x3f, body, &cdb) {
            (1, [_, tail @ ..], None) if !tail.is_empty() && tail.len() + 16 <= LONGEST => {
                cdb = Some(Bytes::from([first, tail].concat()));
            }
            // Bidirectional commands are refused by their flags.
            (2, [_, _, _, _, _], _) => {}
            _ => return Err(BadAhs),
        }
        ahs = rest.get((length + 3).next_multiple_of(4) - 3..).ok_or(BadAhs)?;
    }
    if ahs.is_empty() {
        Ok(cdb.unwrap_or_else(|| Bytes::copy_from_slice(first)))
    } else {
        Err(BadAhs)
    }
}

/// The header's part of a CDB, and the additional header segment for the rest of it; `None` for a
/// CDB of more than 260 bytes.
#[must_use]
pub fn extended(cdb: &[u8]) -> Option<([u8; 16], Vec<u8>)> {
    let mut first = [0; 16];
    let Some((head, tail)) = cdb.split_at_checked(16).filter(|(_, tail)| !tail.is_empty()) else {
        first.get_mut(..cdb.len())?.copy_from_slice(cdb);
        return Some((first, Vec::new()));
    };
    if cdb.len() > LONGEST {
        return None;
    }
    first.copy_from_slice(head);
    let [high, low] = u16::try_from(tail.len() + 1).ok()?.to_be_bytes();
    let mut ahs = vec![high, low, 1, 0];
    ahs.extend(tail);
    ahs.resize(ahs.len().next_multiple_of(4), 0);
    Some((first, ahs))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cdbs_of_any_length_go_there_and_back(cdb in prop::collection::vec(any::<u8>(), 6..300)) {
            let Some((first, ahs)) = extended(&cdb) else {
                prop_assert!(cdb.len() > LONGEST);
                return Ok(());
            };
            prop_assert_eq!(ahs.len() % 4, 0);
            let back = cdb_of(&first, &ahs).unwrap();
            prop_assert_eq!(&back[..cdb.len()], &cdb[..]);
            prop_assert_eq!(back.len(), cdb.len().max(16));
        }

        #[test]
        fn any_segments_are_read_without_panic(ahs in prop::collection::vec(any::<u8>(), 0..1020)) {
            let _ = cdb_of(&[0; 16], &ahs);
        }
    }

    #[test]
    fn segments_cut_short_and_of_unknown_type_are_refused() {
        assert!(cdb_of(&[0; 16], &[0, 5, 1, 0, 1, 2, 3, 4]).is_ok());
        assert_eq!(cdb_of(&[0; 16], &[0, 6, 1, 0, 1, 2, 3, 4]), Err(BadAhs));
        assert_eq!(cdb_of(&[0; 16], &[0, 5, 3, 0, 1, 2, 3, 4]), Err(BadAhs));
        assert_eq!(cdb_of(&[0; 16], &[0, 1, 1, 0]), Err(BadAhs));
        assert_eq!(cdb_of(&[0; 16], &[0, 0]), Err(BadAhs));
        assert!(cdb_of(&[0; 16], &[0, 5, 2, 0, 0, 0, 2, 0]).is_ok());
    }
}
