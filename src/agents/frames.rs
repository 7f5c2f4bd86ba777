//! Limit on WebSocket frames, read from their headers (RFC 6455 section 5.2). The codec compares a frame with its own limit only when the whole
//! frame has arrived: without this, an unfinished frame is buffered as far as its sender likes.

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::StreamExt;

/// The longest header in bytes: two, an extended length of eight, a masking key of four.
const LONGEST_HEADER: usize = 14;

/// A frame says that it is longer than any may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TooLong;

/// Where a stream of frames stands.
#[derive(Debug)]
struct Frames {
    /// The longest payload of a frame, in bytes.
    limit: u64,
    header: Vec<u8>,
    /// Bytes of the present frame's payload that have not arrived.
    outstanding: u64,
}

impl Frames {
    fn new(limit: usize) -> Self {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        Self { limit, header: Vec::with_capacity(LONGEST_HEADER), outstanding: 0 }
    }

    /// Follows the next bytes, however they are cut.
    fn follow(&mut self, mut bytes: &[u8]) -> Result<(), TooLong> {
        while let Some((next, rest)) = bytes.split_first() {
            if self.outstanding == 0 {
                self.header.push(*next);
                bytes = rest;
                if let Some(length) = payload_length(&self.header) {
                    if length > self.limit {
                        return Err(TooLong);
                    }
                    self.header.clear();
                    self.outstanding = length;
                }
            } else {
                let arrived = usize::try_from(self.outstanding).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.outstanding -= arrived as u64;
                bytes = bytes.get(arrived..).unwrap_or_default();
            }
        }
        Ok(())
    }
}

/// The length of the payload, once the header is complete.
fn payload_length(header: &[u8]) -> Option<u64> {
    let [_, second, rest @ ..] = header else { return None };
    let extended = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let masking_key = if second & 0x80 == 0 { 0 } else { 4 };
    if rest.len() < extended + masking_key {
        return None;
    }
    let length = rest.iter().take(extended).fold(0, |length, byte| (length << 8) | u64::from(*byte));
    Some(if extended == 0 { u64::from(second & 0x7f) } else { length })
}

/// The same body, which fails at the header of a frame with more than `limit` bytes.
///
/// # Errors
/// Never today: the extractor of a body has no error.
pub async fn limited(request: &HttpRequest, body: web::Payload, limit: usize) -> actix_web::Result<web::Payload> {
    let mut frames = Frames::new(limit);
    let stream = body.into_inner().map(move |chunk| {
        let chunk = chunk?;
        frames.follow(&chunk).map_err(|TooLong| PayloadError::Overflow)?;
        Ok(chunk)
    });
    web::Payload::from_request(request, &mut Payload::Stream { payload: Box::pin(stream) }).await
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame as a client sends it, with a payload of zeros.
    fn frame(length: u64, is_masked: bool) -> Vec<u8> {
        let mask = if is_masked { 0x80 } else { 0 };
        let mut bytes = vec![0x81];
        match length {
            0..126 => bytes.push(mask | u8::try_from(length).expect("short")),
            126..0x1_0000 => {
                bytes.push(mask | 126);
                bytes.extend(u16::try_from(length).expect("short").to_be_bytes());
            }
            _ => {
                bytes.push(mask | 127);
                bytes.extend(length.to_be_bytes());
            }
        }
        bytes.extend(if is_masked { &[1, 2, 3, 4][..] } else { &[] });
        bytes
    }

    #[test]
    fn an_unfinished_frame_is_refused_by_its_header() {
        for length in [1001, 1 << 16, 1 << 40, u64::MAX] {
            for is_masked in [false, true] {
                assert_eq!(Frames::new(1000).follow(&frame(length, is_masked)), Err(TooLong), "{length}");
            }
        }
        // A length in more bytes than it needs is one all the same.
        let padded = [0x81, 127, 0, 0, 0, 0, 0, 0, 0x10, 0];
        assert_eq!(Frames::new(1000).follow(&padded), Err(TooLong));
    }

    proptest! {
        #[test]
        fn frames_are_followed_however_they_are_cut(
            lengths in prop::collection::vec((0_u64..1000, any::<bool>()), 0..20),
            cut in 1_usize..50,
            last in 1001_u64..u64::MAX,
        ) {
            let mut bytes = Vec::new();
            for (length, is_masked) in lengths {
                bytes.extend(frame(length, is_masked));
                bytes.resize(bytes.len() + usize::try_from(length).expect("short"), 0xff);
            }
            let mut frames = Frames::new(1000);
            for chunk in bytes.chunks(cut) {
                prop_assert_eq!(frames.follow(chunk), Ok(()));
            }
            prop_assert_eq!(frames.follow(&frame(last, true)), Err(TooLong));
        }

        #[test]
        fn any_bytes_are_followed(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let mut frames = Frames::new(1000);
            let _refused = frames.follow(&bytes);
            prop_assert!(frames.outstanding <= 1000 && frames.header.len() <= LONGEST_HEADER);
        }
    }
}
