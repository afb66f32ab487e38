//! Other ways of comparing, and what they see of the same damage: why ours compare every word, or a digest mixed by position.
//!
//! On the host, on 4,096 results of 32-bit floating point in 0.5 to 2, as a rate or an accuracy test would produce them.

use kernels::mix::{digest64, mix32};

use super::class::{Class, damage};
use super::document::Contrast;
use super::draw::{Draw, seed};

/// A way to compare: does it see that `found` is not `right`?
type Way = (&'static str, fn(right: &[u32], found: &[u32]) -> bool);

const WORDS: u32 = 4096;

const WAYS: [Way; 8] = [
    ("every word", |right, found| right != found),
    ("mixed digest", |right, found| digest64(right.iter().copied()) != digest64(found.iter().copied())),
    ("CRC32", |right, found| crc32(right) != crc32(found)),
    ("sum of words", |right, found| wrapping_sum(right) != wrapping_sum(found)),
    ("XOR of words", |right, found| xor(right) != xor(found)),
    ("rel. tolerance 1e-3", |right, found| {
        right.iter().zip(found).any(|(right, found)| off(float(*right), float(*found), 1e-3))
    }),
    ("float sum 1e-5", |right, found| off(float_sum(right), float_sum(found), 1e-5)),
    ("NaN/Inf scan", |_, found| found.iter().any(|word| !f32::from_bits(*word).is_finite())),
];

fn float(word: u32) -> f64 {
    f64::from(f32::from_bits(word))
}

/// Farther from right than the tolerance; a NaN compares as not farther, as in the usual loop.
fn off(right: f64, found: f64, tolerance: f64) -> bool {
    (found - right).abs() > tolerance * right.abs()
}

fn float_sum(words: &[u32]) -> f64 {
    words.iter().map(|word| float(*word)).sum()
}

fn wrapping_sum(words: &[u32]) -> u32 {
    words.iter().fold(0, |sum, word| sum.wrapping_add(*word))
}

fn xor(words: &[u32]) -> u32 {
    words.iter().fold(0, |all, word| all ^ word)
}

/// The reflected polynomial of IEEE 802.3, a byte at a time.
const CRC_TABLE: [u32; 256] = {
    let mut table = [0u32; 256];
    let mut n: u32 = 0;
    while n < 256 {
        let mut value = n;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ 0xedb8_8320 } else { value >> 1 };
            bit += 1;
        }
        table[n as usize] = value;
        n += 1;
    }
    table
};

fn crc32(words: &[u32]) -> u32 {
    let bytes = words.iter().flat_map(|word| word.to_le_bytes());
    !bytes.fold(!0u32, |crc, byte| CRC_TABLE[usize::from(crc.to_le_bytes()[0] ^ byte)] ^ (crc >> 8))
}

/// Results in 0.5 to 2.
fn results(seed: u32) -> Vec<u32> {
    let unit = |n: u32| f64::from(mix32(seed ^ mix32(n))) / f64::from(u32::MAX);
    #[expect(clippy::cast_possible_truncation, reason = "rounded to the nearest")]
    (0..WORDS).map(|n| ((0.5 + 1.5 * unit(n)) as f32).to_bits()).collect()
}

/// So many cases of each class of data, seen in each way.
pub fn contrast(injections: u32) -> Vec<Contrast> {
    let (right, before) = (results(1), results(2));
    let classes = Class::ALL.into_iter().filter(|class| class.is_data());
    let mut all = Vec::new();
    for class in classes {
        let mut found = [0u32; WAYS.len()];
        for number in 0..injections {
            let mut draw = Draw::new(seed("contrast", class.as_str(), number));
            let mut damaged = right.clone();
            while damage(class, &mut damaged, Some(&before), &mut draw).is_none() {}
            for (found, (_, sees)) in found.iter_mut().zip(WAYS) {
                *found += u32::from(sees(&right, &damaged));
            }
        }
        let rows = WAYS.iter().zip(found);
        all.extend(rows.map(|((way, _), found)| Contrast {
            way: (*way).to_owned(),
            class,
            injected: injections,
            found,
        }));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_is_the_one_of_the_standard() {
        // The check value of CRC-32/ISO-HDLC is of the nine bytes "123456789"; these are its first eight.
        assert_eq!(crc32(&[u32::from_le_bytes(*b"1234"), u32::from_le_bytes(*b"5678")]), 0x9ae0_daaf);
    }

    #[test]
    fn every_word_and_the_mixed_digest_see_all_and_the_others_do_not() {
        let all = contrast(60);
        let share = |way: &str, class| {
            let found = all.iter().find(|c| c.way == way && c.class == class).unwrap();
            f64::from(found.found) / f64::from(found.injected)
        };
        for class in Class::ALL.into_iter().filter(|class| class.is_data()) {
            assert_eq!((share("every word", class), share("mixed digest", class)), (1.0, 1.0), "{class}");
        }
        assert_eq!(share("XOR of words", Class::LaneBit), 0.0);
        assert_eq!(share("XOR of words", Class::Exchanged), 0.0);
        assert_eq!(share("sum of words", Class::Exchanged), 0.0);
        assert_eq!(share("rel. tolerance 1e-3", Class::LowBit), 0.0);
        assert!(share("NaN/Inf scan", Class::OneBit) < 0.2);
    }
}
