//! Reads the compiler's target from compiled code: wasmtime's ELF section `.wasmtime.engine`.
//!
//! Its form (wasmtime 48, `engine/serialization.rs`): a zero byte; the length of the next field in a byte; wasmtime's version; then, in
//! postcard's encoding, the target, the shared flags, the target's own flags, and more. Postcard writes lengths and the numbers of enum
//! variants as LEB128, and text as its length and bytes. A wasmtime that writes another form fails these tests: then change this file.

/// The name of the section.
const NAME: &[u8] = b".wasmtime.engine";

/// The target of compiled code.
#[derive(Debug)]
pub struct EngineSection {
    /// The target triple.
    pub target: String,
    /// The flags of the target, with their values.
    pub isa_flags: Vec<(String, Flag)>,
}

/// The value of a flag, in the order of wasmtime's `FlagValue`.
#[derive(Debug, PartialEq, Eq)]
pub enum Flag {
    /// A name.
    Word(String),
    /// A number.
    Number(u8),
    /// On or off.
    Switch(bool),
}

impl EngineSection {
    /// Reads it from compiled code.
    pub fn of(code: &[u8]) -> Self {
        let mut rest = Rest(section(code));
        assert_eq!(rest.byte(), 0, "the version of the section's form");
        let version = rest.byte();
        rest.take(version.into());
        let target = rest.text();
        rest.flags();
        Self {
            target,
            isa_flags: rest.flags(),
        }
    }

    /// The flags of CPU features with their values: cranelift names them all `has_…`.
    pub fn cpu_features(&self) -> impl Iterator<Item = (&str, bool)> {
        self.isa_flags.iter().filter_map(|(name, value)| match value {
            Flag::Switch(on) if name.starts_with("has_") => Some((name.as_str(), *on)),
            _ => None,
        })
    }
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn number(&mut self) -> usize {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let byte = self.byte();
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        number
    }

    fn text(&mut self) -> String {
        let length = self.number();
        String::from_utf8(self.take(length).to_vec()).unwrap()
    }

    fn flags(&mut self) -> Vec<(String, Flag)> {
        let length = self.number();
        let flag = |rest: &mut Self| {
            let name = rest.text();
            let value = match rest.number() {
                0 => Flag::Word(rest.text()),
                1 => Flag::Number(rest.byte()),
                2 => Flag::Switch(rest.byte() == 1),
                other => panic!("{name} has a value of the unknown kind {other}"),
            };
            (name, value)
        };
        (0..length).map(|_| flag(self)).collect()
    }
}

/// The section's bytes in an ELF file of 64 bits, little-endian (System V ABI, "Object Files").
fn section(elf: &[u8]) -> &[u8] {
    assert_eq!(&elf[..6], b"\x7fELF\x02\x01", "64 bits, little-endian");
    let half = |at: usize| usize::from(u16::from_le_bytes(elf[at..at + 2].try_into().unwrap()));
    let word = |at: usize| u32::from_le_bytes(elf[at..at + 4].try_into().unwrap()) as usize;
    let long = |at: usize| usize::try_from(u64::from_le_bytes(elf[at..at + 8].try_into().unwrap())).unwrap();
    let (table, size, count, names) = (long(0x28), half(0x3a), half(0x3c), half(0x3e));
    let header = |index: usize| table + index * size;
    let content = |index: usize| &elf[long(header(index) + 0x18)..][..long(header(index) + 0x20)];
    let is_it = |index: &usize| content(names)[word(header(*index))..].starts_with(&[NAME, b"\0"].concat());
    // Section 0 is empty by the format.
    content(
        (1..count)
            .find(is_it)
            .expect("compiled code has the section .wasmtime.engine"),
    )
}
