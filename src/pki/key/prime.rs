//! RSA moduli that are no product of two long primes: with a small factor, or prime themselves.

use num_bigint::BigUint;

/// Factors below this one are looked for; SP 800-89 section 5.3.3 asks for those up to 752.
const SMALL: u32 = 1_000;

/// Whether a modulus, big-endian, has a factor that anybody finds.
pub(super) fn has_small_factor(modulus: &[u8]) -> bool {
    // A number that is not prime divides nothing that its factors do not.
    (2..SMALL).any(|factor| remainder(modulus, factor) == 0)
}

/// Whether a modulus is prime: then its private exponent follows from the public one. By Fermat's theorem to the base of 2, which holds for every odd
/// prime, and for no product of two primes that were chosen at random.
pub(super) fn is_prime(modulus: &[u8]) -> bool {
    let modulus = BigUint::from_bytes_be(modulus);
    let one = BigUint::from(1_u8);
    BigUint::from(2_u8).modpow(&(&modulus - &one), &modulus) == one
}

pub(super) fn remainder(number: &[u8], by: u32) -> u32 {
    number.iter().fold(0, |rest, &byte| (rest * 256 + u32::from(byte)) % by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_factors_are_found_up_to_the_limit() {
        let rest = (BigUint::from(1_u8) << 521_u32) - 1_u8;
        assert!(!has_small_factor(&rest.to_bytes_be()));
        for factor in [2_u32, 3, 97, 101, 751, 997] {
            assert!(has_small_factor(&(&rest * factor).to_bytes_be()), "{factor}");
        }
    }

    #[test]
    fn primes_are_told_from_products() {
        // Mersenne's.
        let [first, second] = [521_u32, 607].map(|bits| (BigUint::from(1_u8) << bits) - 1_u8);
        assert!(is_prime(&first.to_bytes_be()) && is_prime(&second.to_bytes_be()));
        let [p, q] = [&first + 1_000_u32, &second + 1_000_u32];
        assert!(!is_prime(&(p * q).to_bytes_be()));
    }
}
