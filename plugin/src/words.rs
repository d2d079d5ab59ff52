//! Comparison of text by eight bytes at a time.
//!
//! WebAssembly without SIMD has no fast way to compare or to scan bytes: by single bytes, these two loops took most of the time of a merge.

use std::cmp::Ordering;

/// The greater of two texts by their bytes. Equality is checked first, as most fields are the same in all notifications of a run.
pub fn max<'a>(one: &'a str, other: &'a str) -> &'a str {
    if same(one, other) { one } else { one.max(other) }
}

/// Returns true if two texts are equal.
pub fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    // The last eight bytes overlap the word before them: cheaper than single bytes.
    match (one.last_chunk(), other.last_chunk()) {
        (Some(&end), Some(&other_end)) => {
            let (words, other_words) = (one.as_chunks().0, other.as_chunks().0);
            u64::from_le_bytes(end) == u64::from_le_bytes(other_end)
                && words
                    .iter()
                    .zip(other_words)
                    .all(|(&one, &other)| u64::from_le_bytes(one) == u64::from_le_bytes(other))
        }
        _ => one.iter().zip(other).all(|(one, other)| one == other),
    }
}

/// A text as a key of a map that need not be sorted by its texts: by length, then by the last eight bytes, in which names of one kind differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'a>(pub &'a str);

impl Ord for Key<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let end = |text: &str| text.as_bytes().last_chunk().map(|end| u64::from_le_bytes(*end));
        let (one, other) = (self.0, other.0);
        let by_end = || end(one).cmp(&end(other));
        let order = one.len().cmp(&other.len()).then_with(by_end);
        // Equal ends are as a rule those of equal texts.
        if order.is_eq() && !same(one, other) {
            return one.cmp(other);
        }
        order
    }
}

impl PartialOrd for Key<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Returns true if all bytes are from space to tilde.
pub fn printable_ascii(text: &str) -> bool {
    let text = text.as_bytes();
    match text.last_chunk() {
        Some(&end) => {
            all_printable(u64::from_le_bytes(end))
                && text
                    .as_chunks()
                    .0
                    .iter()
                    .all(|&word| all_printable(u64::from_le_bytes(word)))
        }
        None => text.iter().all(|byte| (b' '..=b'~').contains(byte)),
    }
}

/// Returns true if the eight bytes of a word are from space to tilde. The test is the highest bit of each byte: it is set if the byte is
/// not ASCII; adding 1 sets it if the byte is 0x7F; and after setting it, subtracting 0x20 clears it if the byte was below 0x20.
fn all_printable(word: u64) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const ONE: u64 = 0x0101_0101_0101_0101;
    if word & HIGH != 0 {
        return false;
    }
    // No byte has its highest bit set, so nothing carries or borrows from one byte into the next.
    (word + ONE) & HIGH == 0 && ((word | HIGH) - 0x20 * ONE) & HIGH == HIGH
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Key, max, printable_ascii, same};
    use proptest::prelude::*;

    #[test]
    fn every_ascii_byte_in_every_place() {
        for byte in 0..0x80_u8 {
            for length in 1..20 {
                for place in 0..length {
                    let mut text = vec![b'a'; length];
                    text[place] = byte;
                    let text = String::from_utf8(text).unwrap();
                    assert_eq!(
                        printable_ascii(&text),
                        !byte.is_ascii_control(),
                        "{byte} at {place} of {length}"
                    );
                }
            }
        }
    }

    #[test]
    fn no_byte_of_a_longer_character_is_ascii() {
        for character in ['\u{80}', 'é', '€', '\u{10ffff}'] {
            for length in 0..10 {
                let text = format!("{}{character}", "a".repeat(length));
                assert!(!printable_ascii(&text) && !printable_ascii(&(text + "aaaaaaaaaaaaa")));
            }
        }
    }

    #[test]
    fn one_byte_makes_the_difference() {
        for length in 1..20 {
            let text = "a".repeat(length);
            assert!(same(&text, &text.clone()));
            assert!(!same(&text, &text[1..]));
            for place in 0..length {
                let mut other = text.clone();
                other.replace_range(place..=place, "b");
                assert!(!same(&text, &other), "{place} of {length}");
            }
        }
    }

    proptest! {
        #[test]
        fn keys_are_in_one_order(texts in prop::collection::vec("[aé]{0,20}", 3)) {
            let [a, b, c] = [&texts[0], &texts[1], &texts[2]].map(|text| Key(text));
            prop_assert_eq!(a.cmp(&b).is_eq(), a.0 == b.0);
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert!(!(a < b && b < c) || a < c);
        }

        #[test]
        fn the_greater_text(one in "[aé]{0,20}", other in "[aé]{0,20}") {
            prop_assert_eq!(max(&one, &other), one.as_str().max(&other));
        }
    }
}
