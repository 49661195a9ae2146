//! Data in pieces, as it comes from a socket and from a store.

use bytes::Bytes;

/// How many bytes they are.
pub(super) fn length(pieces: &[Bytes]) -> u64 {
    pieces.iter().map(|piece| piece.len() as u64).sum()
}

/// The first bytes, and the rest.
pub(super) fn split(pieces: Vec<Bytes>, at: u64) -> (Vec<Bytes>, Vec<Bytes>) {
    let (mut front, mut back) = (Vec::with_capacity(pieces.len()), Vec::new());
    let mut left = at;
    for mut piece in pieces {
        let take = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
        left -= take as u64;
        let head = piece.split_to(take);
        if !head.is_empty() {
            front.push(head);
        }
        if !piece.is_empty() {
            back.push(piece);
        }
    }
    (front, back)
}

/// Where they first differ, as far as both go.
pub(super) fn difference(one: &[Bytes], other: &[Bytes]) -> Option<u64> {
    let (mut ones, mut others) = (one.iter(), other.iter());
    let (mut one, mut other): (&[u8], &[u8]) = (&[], &[]);
    let mut at = 0;
    loop {
        if one.is_empty() {
            one = ones.next()?;
            continue;
        }
        if other.is_empty() {
            other = others.next()?;
            continue;
        }
        let size = one.len().min(other.len());
        let ((left, one_rest), (right, other_rest)) = (one.split_at(size), other.split_at(size));
        if left != right {
            let same = left.iter().zip(right).take_while(|(left, right)| left == right).count();
            return Some(at + same as u64);
        }
        at += size as u64;
        (one, other) = (one_rest, other_rest);
    }
}

/// One piece; a copy only where there are several.
pub(super) fn whole(mut pieces: Vec<Bytes>) -> Bytes {
    match pieces.len() {
        0 => Bytes::new(),
        1 => pieces.remove(0),
        _ => pieces.concat().into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(bytes: &[u8], sizes: &[usize]) -> Vec<Bytes> {
        let mut left = Bytes::copy_from_slice(bytes);
        let mut pieces: Vec<_> =
            sizes.iter().map(|size| left.split_to((*size).min(left.len()))).collect();
        pieces.push(left);
        pieces
    }

    proptest! {
        #[test]
        fn pieces_are_split_and_compared_as_if_they_were_one(
            bytes in prop::collection::vec(0..3u8, 0..200),
            change in 0..250usize,
            (one, other) in (prop::collection::vec(0..40usize, 0..9), prop::collection::vec(0..40usize, 0..9)),
        ) {
            let mut changed = bytes.clone();
            let at = changed.get_mut(change).map(|byte| { *byte ^= 4; change as u64 });
            prop_assert_eq!(difference(&cut(&bytes, &one), &cut(&changed, &other)), at);
            let (front, back) = split(cut(&bytes, &one), change as u64);
            let middle = change.min(bytes.len());
            prop_assert_eq!(front.concat(), &bytes[..middle]);
            prop_assert_eq!(whole(back), &bytes[middle..]);
        }
    }
}
