//! The data objects that every PIV card must carry: CHUID and CCC (SP 800-73-5 part 1 sections 3.1.1, 3.1.2).

/// The Card Holder Unique Identifier: a non-federal FASC-N, the card's GUID and an expiry far away.
pub fn chuid(guid: [u8; 16]) -> Vec<u8> {
    // FASC-N of agency 9999, as SP 800-73-5 prescribes for issuers without one.
    const FASC_N: [u8; 25] = [
        0xd4, 0xe7, 0x39, 0xda, 0x73, 0x9c, 0xed, 0x39, 0xce, 0x73, 0x9d, 0x83, 0x68, 0x58, 0x21, 0x08, 0x42, 0x10,
        0x84, 0x21, 0xc8, 0x42, 0x10, 0xc3, 0xeb,
    ];
    let mut object = Vec::with_capacity(64);
    put(&mut object, 0x30, &FASC_N);
    put(&mut object, 0x34, &guid);
    put(&mut object, 0x35, b"20991231");
    put(&mut object, 0x3e, &[]);
    put(&mut object, 0xfe, &[]);
    object
}

/// The Card Capability Container: its identifier is the GUID, so that two cards never have the same.
pub fn ccc(guid: [u8; 16]) -> Vec<u8> {
    let mut identifier = vec![0xa0, 0x00, 0x00, 0x01, 0x16];
    identifier.extend_from_slice(&guid);
    let mut object = Vec::with_capacity(64);
    put(&mut object, 0xf0, &identifier);
    put(&mut object, 0xf1, &[0x21]);
    put(&mut object, 0xf2, &[0x21]);
    put(&mut object, 0xf3, &[]);
    put(&mut object, 0xf4, &[0x00]);
    put(&mut object, 0xf5, &[0x10]);
    for tag in [0xf6, 0xf7, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe] {
        put(&mut object, tag, &[]);
    }
    object
}

/// A BER-TLV of one tag byte and a short length.
fn put(out: &mut Vec<u8>, tag: u8, value: &[u8]) {
    out.push(tag);
    out.push(u8::try_from(value.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(value);
}
