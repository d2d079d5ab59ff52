//! Components with another component inside, which is instantiated with them.

use wasmparser::{Parser, Payload};

/// Puts a component, in the text format, into a valid one.
pub fn with_inner(outer: Vec<u8>, inner: &str) -> Vec<u8> {
    let inner = wat::parse_str(inner).unwrap();
    let mut depth = 0;
    let mut before = 0_u8;
    for payload in Parser::new(0).parse_all(&outer) {
        match payload.unwrap() {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentSection { .. } if depth == 1 => before += 1,
            _ => {}
        }
    }
    // A section with the component, and one that instantiates it without arguments: the binary format of the component model.
    let instance = [1, 0, before, 0];
    let mut bytes = outer;
    section(&mut bytes, 4, &inner);
    section(&mut bytes, 5, &instance);
    bytes
}

fn section(bytes: &mut Vec<u8>, id: u8, content: &[u8]) {
    bytes.push(id);
    bytes.extend(leb128(content.len()));
    bytes.extend_from_slice(content);
}

/// A number as WebAssembly writes it.
pub fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
