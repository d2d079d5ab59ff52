//! Policies that import the system interface, in the text format. Each answers with its findings as the reason of a discard.

use crate::guests::{contract, policy_module};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

/// The part of WASI 0.2 that these guests use: types alone, so that the encoder can wrap a core module that imports it.
const WIT: [&str; 6] = [
    "package wasi:cli@0.2.0;
     interface environment {
        get-environment: func() -> list<tuple<string, string>>;
        get-arguments: func() -> list<string>;
     }
     interface exit { exit: func(status: result); }",
    "package wasi:io@0.2.0;
     interface poll { resource pollable { block: func(); } }",
    "package wasi:clocks@0.2.0;
     interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 } now: func() -> datetime; }
     interface monotonic-clock {
        use wasi:io/poll@0.2.0.{pollable};
        now: func() -> u64;
        subscribe-duration: func(when: u64) -> pollable;
     }",
    "package wasi:random@0.2.0;
     interface random { get-random-bytes: func(len: u64) -> list<u8>; }",
    "package wasi:sockets@0.2.0;
     interface network {
        enum error-code { unknown, access-denied, not-supported, invalid-argument, out-of-memory, timeout, concurrency-conflict,
            not-in-progress, would-block, invalid-state, new-socket-limit, address-not-bindable, address-in-use, remote-unreachable,
            connection-refused, connection-reset, connection-aborted, datagram-too-large, name-unresolvable,
            temporary-resolver-failure, permanent-resolver-failure }
        enum ip-address-family { ipv4, ipv6 }
     }
     interface tcp { resource tcp-socket; }
     interface tcp-create-socket {
        use network.{error-code, ip-address-family};
        use tcp.{tcp-socket};
        create-tcp-socket: func(address-family: ip-address-family) -> result<tcp-socket, error-code>;
     }",
    "package wasi:filesystem@0.2.0;
     interface types {
        flags descriptor-flags { read, write, file-integrity-sync, data-integrity-sync, requested-write-sync, mutate-directory }
        flags path-flags { symlink-follow }
        flags open-flags { create, directory, exclusive, truncate }
        enum error-code { access, would-block, already, bad-descriptor, busy, deadlock, quota, exist, file-too-large,
            illegal-byte-sequence, in-progress, interrupted, invalid, io, is-directory, loop, too-many-links, message-size,
            name-too-long, no-device, no-entry, no-lock, insufficient-memory, insufficient-space, not-directory, not-empty,
            not-recoverable, unsupported, no-tty, no-such-device, overflow, not-permitted, pipe, read-only, invalid-seek,
            text-file-busy, cross-device }
        resource descriptor {
            read: func(length: u64, offset: u64) -> result<tuple<list<u8>, bool>, error-code>;
            write: func(buffer: list<u8>, offset: u64) -> result<u64, error-code>;
            open-at: func(path-flags: path-flags, path: string, open-flags: open-flags, %flags: descriptor-flags)
                -> result<descriptor, error-code>;
            symlink-at: func(old-path: string, new-path: string) -> result<_, error-code>;
        }
     }
     interface preopens { use types.{descriptor}; get-directories: func() -> list<tuple<descriptor, string>>; }",
];

const WORLD: &str = "package test:guests;
     world with-wasi {
        import pipefold:ci/hooks@0.2.0;
        import wasi:cli/environment@0.2.0;
        import wasi:cli/exit@0.2.0;
        import wasi:io/poll@0.2.0;
        import wasi:clocks/wall-clock@0.2.0;
        import wasi:clocks/monotonic-clock@0.2.0;
        import wasi:random/random@0.2.0;
        import wasi:sockets/tcp-create-socket@0.2.0;
        import wasi:filesystem/types@0.2.0;
        import wasi:filesystem/preopens@0.2.0;
        export pipefold:ci/hooks@0.2.0;
     }";

/// A policy whose `step` has this body; it answers with `(call $say ADDRESS LENGTH)` or `(call $digit NUMBER)`.
pub fn guest(step: &str, imports: &str, more: &str) -> Vec<u8> {
    let said = format!(
        "{more}
        (func $say (param $at i32) (param $length i32) (result i32)
            (i32.store8 (i32.const 1032) (i32.const 2))
            (i32.store (i32.const 1040) (local.get $at))
            (i32.store (i32.const 1044) (local.get $length))
            (i32.const 1024))
        (func $digit (param $number i32) (result i32)
            (i32.store8 (i32.const 3000) (i32.add (i32.const 48) (local.get $number)))
            (call $say (i32.const 3000) (i32.const 1)))"
    );
    let mut module = wat::parse_str(policy_module(step, imports, &said)).unwrap();
    let mut resolve = contract().0;
    for package in WIT {
        resolve.push_str("wasi.wit", package).unwrap();
    }
    let package = resolve.push_str("guests.wit", WORLD).unwrap();
    let world = resolve.select_world(&[package], Some("with-wasi")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

/// The functions for files.
const FILES: &str = r#"(import "wasi:filesystem/preopens@0.2.0" "get-directories" (func $directories (param i32)))
    (import "wasi:filesystem/types@0.2.0" "[method]descriptor.open-at" (func $open_at (param i32 i32 i32 i32 i32 i32 i32)))
    (import "wasi:filesystem/types@0.2.0" "[method]descriptor.read" (func $read (param i32 i64 i64 i32)))
    (import "wasi:filesystem/types@0.2.0" "[method]descriptor.write" (func $write (param i32 i32 i32 i64 i32)))
    (import "wasi:filesystem/types@0.2.0" "[method]descriptor.symlink-at" (func $symlink_at (param i32 i32 i32 i32 i32 i32)))"#;

/// A policy that opens `path` in its directory with these flags (WASI's `open-flags` and `descriptor-flags`; links are followed), and
/// continues with the descriptor on the stack. If that fails, it answers with the error's number as a digit.
pub fn opens(path: &str, open_flags: u32, flags: u32, then: &str) -> Vec<u8> {
    links_and_opens("", path, open_flags, flags, then)
}

/// A policy that first creates a symbolic link to `target` at `path`, unless that is blank, and then opens it.
pub fn links_and_opens(target: &str, path: &str, open_flags: u32, flags: u32, then: &str) -> Vec<u8> {
    let (length, target_length) = (path.len(), target.len());
    let link = format!(
        "(call $symlink_at (local.get $directory) (i32.const 6000) (i32.const {target_length})
            (i32.const 4000) (i32.const {length}) (i32.const 2048))
         (if (i32.load8_u (i32.const 2048)) (then (return (call $digit (i32.load8_u (i32.const 2049))))))"
    );
    guest(
        &format!(
            "(local $directory i32)
            (call $directories (i32.const 2000))
            (local.set $directory (i32.load (i32.load (i32.const 2000))))
            {}
            (call $open_at (local.get $directory) (i32.const 1) (i32.const 4000) (i32.const {length})
                (i32.const {open_flags}) (i32.const {flags}) (i32.const 2016))
            (if (i32.load8_u (i32.const 2016)) (then (return (call $digit (i32.load8_u (i32.const 2020))))))
            (i32.load (i32.const 2020))
            {then}",
            if target.is_empty() { "" } else { &link }
        ),
        FILES,
        &format!("(data (i32.const 4000) {path:?}) (data (i32.const 6000) {target:?})"),
    )
}
