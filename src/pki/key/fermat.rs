//! Fermat's factorization, CVE-2022-26320: two primes that are too close together are found in a few steps.

use num_bigint::BigUint;

/// A key that falls within so many steps is weak; one of honest primes would take more than there are.
const STEPS: u32 = 100;

/// Whether a modulus, big-endian, falls.
pub(super) fn is_factored(modulus: &[u8]) -> bool {
    let modulus = BigUint::from_bytes_be(modulus);
    // The middle of two close primes is just above the root of their product; of a square, whose primes are one, it is the root.
    let first = (&modulus - 1_u8).sqrt() + 1_u8;
    (0..STEPS).any(|step| {
        let middle = &first + step;
        let square = &middle * &middle - &modulus;
        // Squares end in 0, 1, 4 or 9 to the base of 16: three of four numbers need no root.
        let last = square.iter_u32_digits().next().unwrap_or_default() % 16;
        matches!(last, 0 | 1 | 4 | 9) && {
            let half = square.sqrt();
            &half * &half == square
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_factors_are_found_and_others_are_not() {
        let first = (BigUint::from(1_u8) << 1023_u32) + 1155_u32;
        for (distance, weak) in [(0_u32, true), (2, true), (1 << 20, true), (u32::MAX - 1, true)] {
            let modulus = &first * (&first + distance);
            assert_eq!(is_factored(&modulus.to_bytes_be()), weak, "{distance}");
        }
        let far = &first * (&first + (BigUint::from(1_u8) << 900_u32));
        assert!(!is_factored(&far.to_bytes_be()));
    }
}
