//! ROCA, CVE-2017-15361: keys of a generator whose primes are k·M + 65537^a mod M, which can be factored.
//!
//! Such a modulus lies, modulo every small prime, in the subgroup that 65537 generates (Nemec et al., "The Return of Coppersmith's Attack", CCS
//! 2017, section 4). An honest one does so by chance once in 2^27 keys or less.

/// The primes that divide the generator's M, without 2.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];
const GENERATOR: u32 = 65537;

/// Whether a modulus, big-endian, has the fingerprint.
pub(super) fn has_fingerprint(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|&prime| is_power(super::prime::remainder(modulus, prime), prime))
}

/// Whether `number` is a power of the generator modulo `prime`.
fn is_power(number: u32, prime: u32) -> bool {
    let mut power = 1;
    for _ in 0..prime {
        if power == number {
            return true;
        }
        power = power * (GENERATOR % prime) % prime;
    }
    false
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;

    use super::*;

    #[test]
    fn keys_of_that_generator_are_told_from_others() {
        let product = PRIMES.iter().fold(BigUint::from(2_u8), |product, &prime| product * prime);
        for exponent in [1_u32, 7, 1000, 65_535] {
            let power = BigUint::from(GENERATOR).modpow(&BigUint::from(exponent), &product);
            let modulus = &product * (BigUint::from(1_u8) << 1800_u32) + power;
            assert!(has_fingerprint(&modulus.to_bytes_be()));
            assert!(!has_fingerprint(&(modulus + 2_u8).to_bytes_be()));
        }
    }
}
