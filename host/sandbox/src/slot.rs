//! The form of a slot, which is the place for a component's compiled code in an executable.
//!
//! The build leaves a slot empty, as it has no compiler; [`embed`](crate::embed()) fills the slots of a finished executable. A slot is a
//! constant of the program, so it is loaded with the program, and `strip` and signatures treat it as any other part.

use std::ops::Range;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

/// The mark of a slot of this form. The bytes occur in an executable once for each slot: searches use a copy out of a slot itself.
const MARK: [u8; 32] = *b"pipefold compiled code slot 2\r\n\xf7";

/// Hexadecimal sha256 of the component.
const SHA256: Range<usize> = 32..96;
/// The target triple that the executable was built for, padded with zeros. The longest triple of rustc's has 40 bytes.
const TARGET: Range<usize> = 96..160;
/// Bytes of the whole slot, little-endian.
const SIZE: Range<usize> = 160..168;
/// Bytes of code, little-endian; 0 in an empty slot.
const LENGTH: Range<usize> = 168..176;
/// The 128-bit XXH3 of all before it and of the code. It finds damage. Each process computes it, so it is not a cryptographic digest: an
/// attacker who can write to the executable does not need the slot.
const DIGEST: Range<usize> = 176..192;
/// The beginning of the code: at a page, as it is run in place.
const CODE: usize = 4096;

/// An empty slot for a component, as it is built.
pub const fn empty<const BYTES: usize>(sha256: &str) -> [u8; BYTES] {
    assert!(BYTES > CODE);
    let mut slot = [0; BYTES];
    copy(&mut slot, 0..MARK.len(), &MARK);
    copy(&mut slot, SHA256, sha256.as_bytes());
    copy(&mut slot, TARGET, env!("PIPEFOLD_TARGET").as_bytes());
    copy(&mut slot, SIZE, &(BYTES as u64).to_le_bytes());
    slot
}

const fn copy(slot: &mut [u8], place: Range<usize>, bytes: &[u8]) {
    assert!(bytes.len() <= place.end - place.start);
    let mut at = 0;
    while at < bytes.len() {
        slot[place.start + at] = bytes[at];
        at += 1;
    }
}

/// A slot that has code with another digest.
#[derive(Debug, PartialEq, Eq)]
pub struct DamagedSlot;

/// The code in a slot, compared with its digest; `None` if the slot is empty.
pub fn code(slot: &[u8]) -> Result<Option<&[u8]>, DamagedSlot> {
    let length = number(slot, LENGTH);
    if length == 0 {
        return Ok(None);
    }
    let length = usize::try_from(length).map_err(|_| DamagedSlot)?;
    let code = slot[CODE..].get(..length).ok_or(DamagedSlot)?;
    if slot[DIGEST] != digest(slot, code) {
        return Err(DamagedSlot);
    }
    Ok(Some(code))
}

fn digest(slot: &[u8], code: &[u8]) -> [u8; 16] {
    let head = xxh3_64(&slot[..DIGEST.start]);
    xxh3_128_with_seed(code, head).to_le_bytes()
}

/// Writes code into a slot, over any former code; false if the code is too large.
pub fn fill(slot: &mut [u8], code: &[u8]) -> bool {
    let Some(place) = slot[CODE..].get_mut(..code.len()) else {
        return false;
    };
    place.copy_from_slice(code);
    slot[CODE + code.len()..].fill(0);
    slot[LENGTH].copy_from_slice(&(code.len() as u64).to_le_bytes());
    let digest = digest(slot, code);
    slot[DIGEST].copy_from_slice(&digest);
    true
}

/// The places of the slots in an executable, by the mark of one of this program's own slots. A slot that names another size than it has
/// room for is left out.
pub fn find(executable: &[u8], own: &[u8]) -> Vec<Range<usize>> {
    let marks = memchr::memmem::find_iter(executable, &own[..MARK.len()]);
    let slots = marks.filter_map(|at| {
        let head = executable[at..].get(..CODE)?;
        let size = usize::try_from(number(head, SIZE)).ok()?;
        let end = at.checked_add(size)?;
        (size > CODE && end <= executable.len()).then_some(at..end)
    });
    slots.collect()
}

/// The sha256 of the component whose code goes into a slot.
pub fn component(slot: &[u8]) -> String {
    text(&slot[SHA256])
}

/// The target that the executable with this slot was built for.
pub fn target(slot: &[u8]) -> String {
    text(&slot[TARGET])
}

fn number(slot: &[u8], field: Range<usize>) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&slot[field]);
    u64::from_le_bytes(number)
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    const BYTES: usize = 3 * CODE;
    const COMPONENT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn new() -> [u8; BYTES] {
        empty(COMPONENT)
    }

    #[test]
    fn a_slot_is_empty_until_it_is_filled() {
        let mut slot = new();
        assert_eq!(code(&slot), Ok(None));
        assert!(fill(&mut slot, b"code"));
        assert_eq!(code(&slot), Ok(Some(&b"code"[..])));
        assert!(fill(&mut slot, b"c"));
        assert_eq!(code(&slot), Ok(Some(&b"c"[..])));
        let mut again = new();
        assert!(fill(&mut again, b"c"));
        assert_eq!(slot, again);
        assert!(!fill(&mut slot, &[0; BYTES]));
    }

    #[test]
    fn any_other_byte_of_a_filled_slot_is_noticed() {
        let mut slot = new();
        assert!(fill(&mut slot, b"code"));
        for at in [
            0,
            SHA256.start,
            TARGET.start,
            SIZE.start,
            LENGTH.start,
            LENGTH.end - 1,
            DIGEST.start,
            CODE,
            CODE + 3,
        ] {
            slot[at] ^= 1;
            assert_eq!(code(&slot), Err(DamagedSlot), "byte {at}");
            slot[at] ^= 1;
        }
        assert!(code(&slot).is_ok());
    }

    #[test]
    fn slots_are_found_and_name_their_component_and_target() {
        let slot = new();
        assert_eq!(component(&slot), COMPONENT);
        assert!(target(&slot).starts_with(std::env::consts::ARCH));
        let mut executable = [&b"head"[..], &slot, &slot].concat();
        let (first, second) = (4..4 + BYTES, 4 + BYTES..4 + 2 * BYTES);
        assert_eq!(find(&executable, &slot), [first.clone(), second]);
        // The second one is cut.
        executable.pop();
        assert_eq!(find(&executable, &slot), [first]);
        assert_eq!(find(&executable[..100], &slot), []);
    }
}
