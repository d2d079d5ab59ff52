//! The files of the library: symbols, header, static library, compiled code.

use crate::support::{Driver, built, compile, here, parsed};
use object::read::elf::{Dyn, ElfFile64, FileHeader, ProgramHeader};
use object::{Object, ObjectSymbol};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const START: &str = r#"start {"pipeline_name":"build","pipeline_source":"my-ci","reference_id":"1"}"#;

/// The functions that a header declares.
fn declared(header: &str) -> BTreeSet<String> {
    let starts = header.match_indices("pipefold_").map(|(at, _)| &header[at..]);
    let names = starts.filter_map(|text| {
        let end = text.find(|c: char| c != '_' && !c.is_ascii_alphanumeric())?;
        // A declaration, and not a name in a comment.
        text[end..].starts_with('(').then(|| text[..end].to_owned())
    });
    names.collect()
}

fn header() -> String {
    fs::read_to_string(here().join("include/pipefold.h")).unwrap()
}

#[test]
fn the_library_exports_what_the_header_declares_and_nothing_else() {
    let bytes = fs::read(built("libpipefold_c.so")).unwrap();
    let file: ElfFile64<'_, object::Endianness> = ElfFile64::parse(&*bytes).unwrap();
    let exported: BTreeSet<String> = file
        .dynamic_symbols()
        .filter(|symbol| symbol.is_definition())
        .map(|symbol| symbol.name().unwrap().to_owned())
        .collect();
    assert_eq!(exported.len(), 10);
    assert_eq!(exported, declared(&header()));
    // A function of a former release is never taken away.
    let former = fs::read_to_string(here().join("tests/abi/0.2.0/pipefold.h")).unwrap();
    assert!(declared(&former).is_subset(&exported));
}

#[test]
fn the_library_has_its_name_and_needs_the_system_s_libraries_alone() {
    let bytes = fs::read(built("libpipefold_c.so")).unwrap();
    let file: ElfFile64<'_, object::Endianness> = ElfFile64::parse(&*bytes).unwrap();
    let endian = file.endian();
    let headers = file.elf_header().program_headers(endian, &*bytes).unwrap();
    let dynamic = headers
        .iter()
        .find_map(|header| header.dynamic(endian, &*bytes).unwrap())
        .unwrap();
    let sections = file.elf_header().sections(endian, &*bytes).unwrap();
    let strings = sections.symbols(endian, &*bytes, object::elf::SHT_DYNSYM).unwrap();
    let text = |entry: &object::elf::Dyn64<_>| {
        let at = u32::try_from(entry.d_val(endian)).unwrap();
        String::from_utf8(strings.strings().get(at).unwrap().to_vec()).unwrap()
    };
    let of = |tag: i64| dynamic.iter().filter(move |entry| entry.d_tag(endian) == tag);
    assert_eq!(
        of(object::elf::DT_SONAME).map(text).collect::<Vec<_>>(),
        ["libpipefold.so.1"]
    );
    assert_eq!(of(object::elf::DT_TEXTREL).count(), 0);
    for library in of(object::elf::DT_NEEDED).map(text) {
        let name = library.split(".so").next().unwrap();
        assert!(
            [
                "libc",
                "libm",
                "libdl",
                "libpthread",
                "libgcc_s",
                "ld-linux-x86-64",
                "ld-linux-aarch64"
            ]
            .contains(&name),
            "{library}"
        );
    }
}

#[test]
fn the_header_is_c_without_warnings() {
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("alone.c");
    fs::write(
        &source,
        "#include <pipefold.h>\nint main(void) { return (int)pipefold_abi() - PIPEFOLD_ABI; }\n",
    )
    .unwrap();
    compile(&[
        &"-I",
        &here().join("include"),
        &"-c",
        &source,
        &"-o",
        &directory.path().join("alone.o"),
    ]);
}

/// Puts the compiled code of the rules into a file of the library.
fn embed(from: &Path, to: &Path) {
    let embed = std::process::Command::new(pipefold_tests::binary("pipefold"))
        .args(["component", "embed"])
        .args([from, to])
        .output()
        .unwrap();
    assert!(embed.status.success(), "{embed:?}");
}

#[test]
fn a_program_links_the_static_library() {
    let directory = tempfile::tempdir().unwrap();
    let (library, output) = (directory.path().join("libpipefold.a"), directory.path().join("driver"));
    embed(&built("libpipefold_c.a"), &library);
    let source = here().join("tests/driver.c");
    let header = here().join("include");
    compile(&[
        &source,
        &"-I",
        &header,
        &"-o",
        &output,
        &library,
        &"-pthread",
        &"-lm",
        &"-ldl",
    ]);
    let driver = Driver::of(output, Path::new("/nowhere"));
    assert_compiles_nothing(&driver);
    assert_eq!(driver.run(&["version"]), [env!("CARGO_PKG_VERSION")]);
}

#[test]
fn with_code_in_it_the_library_compiles_nothing() {
    let directory = tempfile::tempdir().unwrap();
    embed(&built("libpipefold_c.so"), &directory.path().join("libpipefold.so.1"));
    assert_compiles_nothing(&Driver::new().with_library(directory.path()));
}

/// Asserts that the program loads the rules and the built-in policy, and judges, without compiling and without a handler of signals.
fn assert_compiles_nothing(driver: &Driver) {
    let spool = driver.directory.path().join("spool");
    let rules = json!([{ "use": "rules", "rules": [{ "drop": "email" }] }]);
    let open = json!({ "spool": spool, "policy": rules }).to_string();
    let lines = driver.run(&["signals", &format!("open {open}"), START, "signals"]);
    let (status, answer) = parsed(&lines[1]);
    assert_eq!((status, &answer["warnings"]), (0, &json!([])));
    assert_eq!(parsed(&lines[2]).1["verdict"], "report");
    assert_eq!(lines[0], lines[3]);
    // It would be in the home directory, which is the test's.
    assert!(!driver.directory.path().join(".cache").exists());
}
