//! The default component in an executable: its bytes, and the slot for its compiled code.
//!
//! The build leaves the slot empty, as it has no compiler; [`embed`](crate::embed) fills the slot of a finished executable. A slot is a
//! constant of the program, so it is loaded with the program, and `strip` and signatures treat it as any other part.

use std::ops::Range;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

/// The default component's file.
pub static COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/default.wasm"));

/// Hexadecimal sha256 of the default component's file.
pub const DEFAULT_COMPONENT_SHA256: &str = env!("PIPEFOLD_COMPONENT_SHA256");

/// Size in bytes of the default component's file.
pub const DEFAULT_COMPONENT_SIZE: usize = COMPONENT.len();

/// The mark of a slot of this form. The bytes occur once in an executable: searches use a copy out of the slot itself.
const MARK: [u8; 32] = *b"pipefold compiled code slot 1\r\n\xf7";

/// Hexadecimal sha256 of the default component.
const SHA256: Range<usize> = 32..96;
/// The target triple that the executable was built for, padded with zeros. The longest triple of rustc's has 40 bytes.
const TARGET: Range<usize> = 96..160;
/// Bytes of code, little-endian; 0 in an empty slot.
const LENGTH: Range<usize> = 160..168;
/// The 128-bit XXH3 of all before it and of the code. It finds damage. Each process computes it, so it is not a cryptographic digest: an
/// attacker who can write to the executable does not need the slot.
const DIGEST: Range<usize> = 168..184;
/// The beginning of the code: at a page, as it is run in place.
const CODE: usize = 4096;
/// Bytes of a slot. The code has 220 KB for x86_64, and other targets' takes up to a third more.
pub const SIZE: usize = 512 << 10;

/// An empty slot, as it is built.
pub const fn empty() -> [u8; SIZE] {
    let mut slot = [0; SIZE];
    copy(&mut slot, 0..MARK.len(), &MARK);
    copy(&mut slot, SHA256, env!("PIPEFOLD_COMPONENT_SHA256").as_bytes());
    copy(&mut slot, TARGET, env!("PIPEFOLD_TARGET").as_bytes());
    slot
}

const fn copy(slot: &mut [u8; SIZE], place: Range<usize>, bytes: &[u8]) {
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
pub fn code(slot: &[u8; SIZE]) -> Result<Option<&[u8]>, DamagedSlot> {
    let mut length = [0; 8];
    length.copy_from_slice(&slot[LENGTH]);
    let length = u64::from_le_bytes(length);
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

fn digest(slot: &[u8; SIZE], code: &[u8]) -> [u8; 16] {
    let head = xxh3_64(&slot[..DIGEST.start]);
    xxh3_128_with_seed(code, head).to_le_bytes()
}

/// Writes code into a slot, over any former code; false if the code is too large.
pub fn fill(slot: &mut [u8; SIZE], code: &[u8]) -> bool {
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

/// The offsets of the slots in an executable, by the mark of this program's own slot.
pub fn find(executable: &[u8], own: &[u8; SIZE]) -> Vec<usize> {
    memchr::memmem::find_iter(executable, &own[..MARK.len()]).collect()
}

/// The sha256 of the component in the executable with this slot.
pub fn component(slot: &[u8; SIZE]) -> String {
    text(&slot[SHA256])
}

/// The target that the executable with this slot was built for.
pub fn target(slot: &[u8; SIZE]) -> String {
    text(&slot[TARGET])
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_empty_until_it_is_filled() {
        let mut slot = Box::new(empty());
        assert_eq!(code(&slot), Ok(None));
        assert!(fill(&mut slot, b"code"));
        assert_eq!(code(&slot), Ok(Some(&b"code"[..])));
        assert!(fill(&mut slot, b"c"));
        assert_eq!(code(&slot), Ok(Some(&b"c"[..])));
        let mut again = Box::new(empty());
        assert!(fill(&mut again, b"c"));
        assert_eq!(slot, again);
        assert!(!fill(&mut slot, &[0; SIZE]));
    }

    #[test]
    fn any_other_byte_of_a_filled_slot_is_noticed() {
        let mut slot = Box::new(empty());
        assert!(fill(&mut slot, b"code"));
        for at in [
            0,
            SHA256.start,
            TARGET.start,
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
    fn a_slot_names_its_component_and_target() {
        let slot = Box::new(empty());
        assert_eq!(component(&slot), DEFAULT_COMPONENT_SHA256);
        assert!(target(&slot).starts_with(std::env::consts::ARCH));
        assert_eq!(find(&slot[..], &slot), [0]);
    }
}
