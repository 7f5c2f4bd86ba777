//! BER-TLV as cards use it: tags of up to two bytes, lengths of up to two. Total over any bytes.

/// Writes one element.
pub fn write(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match value.len() {
        length @ 0..=0x7f => out.push(length as u8),
        length @ 0x80..=0xff => out.extend([0x81, length as u8]),
        length => {
            let [.., high, low] = length.to_be_bytes();
            out.extend([0x82, high, low]);
        }
    }
    out.extend_from_slice(value);
    out
}

/// The value of the first element with this tag among the elements of `bytes`.
pub fn find(bytes: &[u8], tag: u32) -> Option<Vec<u8>> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (found, value, after) = element(rest)?;
        if found == tag {
            return Some(value.to_vec());
        }
        rest = after;
    }
    None
}

fn element(bytes: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let (&first, mut rest) = bytes.split_first()?;
    let mut tag = u32::from(first);
    if first & 0x1f == 0x1f {
        let (&second, after) = rest.split_first()?;
        tag = tag << 8 | u32::from(second);
        rest = after;
    }
    let (&first, mut rest) = rest.split_first()?;
    let length = match first {
        short @ 0..=0x7f => usize::from(short),
        0x81 => {
            let (&length, after) = rest.split_first()?;
            rest = after;
            usize::from(length)
        }
        0x82 => {
            let (length, after) = rest.split_first_chunk::<2>()?;
            rest = after;
            usize::from(u16::from_be_bytes(*length))
        }
        _ => return None,
    };
    let (value, after) = rest.split_at_checked(length)?;
    Some((tag, value, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_found(value in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let bytes = [write(0x53, b"before"), write(0x70, &value)].concat();
            prop_assert_eq!(find(&bytes, 0x70), Some(value));
        }

        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..300), tag in 0_u32..0x8000) {
            drop(find(&bytes, tag));
        }
    }
}
