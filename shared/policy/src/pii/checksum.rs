//! Check digits. Every function takes the digits (or letters) of one candidate, separators removed,
//! and says whether the number can exist.

/// Card numbers, NPI (with its prefix), Italian VAT numbers.
pub(super) fn luhn(digits: impl DoubleEndedIterator<Item = u8>) -> bool {
    let sum: u32 = digits
        .rev()
        .enumerate()
        .map(|(i, digit)| match (i % 2, u32::from(digit) * 2) {
            (0, _) => u32::from(digit),
            (_, twice) if twice > 9 => twice - 9,
            (_, twice) => twice,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// ISO 7064 mod 97-10 over an IBAN's characters, any case.
pub(super) fn mod_97(iban: &[u8]) -> bool {
    let Some((head, tail)) = iban.split_at_checked(4) else {
        return false;
    };
    let rest = tail.iter().chain(head).try_fold(0_u32, |rest, byte| {
        let value = char::from(*byte).to_digit(36)?;
        let shift = if value < 10 { 10 } else { 100 };
        Some((rest * shift + value) % 97)
    });
    rest == Some(1)
}

/// Aadhaar: the dihedral group of order ten.
pub(super) fn verhoeff(digits: &[u8]) -> bool {
    let fold = digits
        .iter()
        .rev()
        .enumerate()
        .fold(0, |acc, (i, digit)| multiply(acc, permute(i % 8, *digit)));
    fold == 0
}

/// The sum of digits by weights; stops at the shorter of the two.
pub(super) fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits
        .iter()
        .zip(weights)
        .map(|(digit, weight)| u32::from(*digit) * weight)
        .sum()
}

/// `digits` as one number.
pub(super) fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |n, digit| n * 10 + u64::from(*digit))
}

fn multiply(a: u8, b: u8) -> u8 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b - 5) % 5,
        (false, true) => 5 + (a - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    }
}

fn permute(times: usize, digit: u8) -> u8 {
    (0..times).fold(digit, |digit, _| PERMUTATION[usize::from(digit)])
}

const PERMUTATION: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Vec<u8> {
        text.bytes().map(|b| b - b'0').collect()
    }

    #[test]
    fn known_numbers_pass_and_one_changed_digit_fails() {
        assert!(luhn(digits("4532015112345670").into_iter()));
        assert!(!luhn(digits("4532015112345671").into_iter()));
        assert!(verhoeff(&digits("496107854310")));
        assert!(!verhoeff(&digits("496107854311")));
        assert!(mod_97(b"DE89370400440532013000"));
        assert!(mod_97(b"gb29nwbk60161331926819"));
        assert!(!mod_97(b"DE00370400440532013000"));
        assert!(!mod_97(b"DE8"));
    }

    #[test]
    fn verhoeff_sees_every_swap_of_neighbours() {
        let good = digits("496107854310");
        for i in 0..good.len() - 1 {
            let mut swapped = good.clone();
            swapped.swap(i, i + 1);
            assert_eq!(verhoeff(&swapped), swapped == good, "{swapped:?}");
        }
    }
}
