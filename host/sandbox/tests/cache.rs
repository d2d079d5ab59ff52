//! Policies are compiled once, and never loaded from a damaged cache.

use crate::place::{HOLD, Place};
use crate::{guests, worker};
use pipefold_sandbox::{Cache, ChildCompiler, Compiler, Policy, Verdict};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::Path,
    sync::Barrier,
    thread,
    time::Duration,
};

#[test]
fn the_second_use_does_not_compile() {
    let place = Place::new();
    let file = place.policy();
    let first = place.load_here(&file);
    let second = place.load_here(&file);
    assert_eq!((first.compiled, second.compiled), (true, false));
    assert_eq!((first.notes.len(), second.notes.len()), (0, 0));
    assert_eq!(first.sha256, file.read(u64::MAX).unwrap().sha256);
    assert_eq!(second.sha256, first.sha256);
    assert!(matches!(place.step(first), Verdict::Report(_)));
    assert!(matches!(place.step(second), Verdict::Report(_)));
    // Only the entry and its lock, for the owner alone.
    for path in fs::read_dir(place.path("cache")).unwrap() {
        let path = path.unwrap().path();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600, "{}", path.display());
    }
    assert_eq!(place.path("cache").metadata().unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::read_dir(place.path("cache")).unwrap().count(), 2);
}

#[test]
fn another_component_in_the_same_file_is_compiled_anew() {
    let place = Place::new();
    let first = place.load_here(&place.policy());
    let changed = place.write("policy.wasm", &guests::policy(HOLD, "", ""));
    let second = place.load_here(&changed);
    assert!(second.compiled && first.sha256 != second.sha256);
    assert_eq!(place.step(second), Verdict::Hold);
    assert_eq!(place.entries().len(), 2);
}

#[test]
fn without_a_cache_it_is_compiled_each_time() {
    let place = Place::new();
    for _ in 0..2 {
        let loaded = place
            .sandbox
            .policy(&Policy::new("p"), &place.policy(), None, &Compiler::Here)
            .unwrap();
        assert!(loaded.compiled);
        assert!(matches!(place.step(loaded), Verdict::Report(_)));
    }
}

/// Changes an entry, and returns the notes of the next use. That must have compiled the policy again; and unless the entry cannot be
/// replaced, the use after that must find it whole.
fn after(spoil: impl FnOnce(&Place, &Path)) -> String {
    let place = Place::new();
    let file = place.policy();
    place.load_here(&file);
    let entry = place.entries().remove(0);
    spoil(&place, &entry);
    let again = place.load_here(&file);
    assert!(again.compiled, "a spoilt entry was used");
    let notes = again.notes.join("\n");
    assert!(matches!(place.step(again), Verdict::Report(_)));
    let third = place.load_here(&file);
    assert_eq!((third.compiled, third.notes.len()), (false, 0), "{:?}", third.notes);
    let name = entry.file_name().unwrap().to_str().unwrap();
    notes
        .replace(&place.path("cache").display().to_string(), "CACHE")
        .replace(name, "ENTRY")
}

fn note(flaw: &str) -> String {
    format!("cache CACHE: entry ENTRY {flaw}; the component is compiled again")
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_entry_is_named_and_compiled_again() {
    for place in [0.0, 0.3, 0.6, 0.95] {
        let flipped = after(|_, entry| {
            change(entry, |bytes| {
                let at = (bytes.len() as f64 * place) as usize;
                bytes[at] ^= 1;
            });
        });
        assert_eq!(flipped, note("is damaged"), "at {place}");
    }
    // In each field of the record at the end.
    for from_end in (1..=152).step_by(7) {
        let flipped = after(|_, entry| {
            change(entry, |bytes| {
                let at = bytes.len() - from_end;
                bytes[at] ^= 1;
            });
        });
        assert!(
            flipped.starts_with("cache CACHE: entry ENTRY "),
            "{from_end} from the end: {flipped}"
        );
    }
}

#[test]
fn a_cut_empty_or_foreign_entry_is_named_and_compiled_again() {
    let foreign = note("is cut short, or not what pipefold wrote");
    let whole = |entry: &Path| entry.metadata().unwrap().len();
    let cut = |entry: &Path, length: u64| {
        fs::File::options()
            .write(true)
            .open(entry)
            .unwrap()
            .set_len(length)
            .unwrap()
    };
    assert_eq!(after(|_, entry| cut(entry, 0)), foreign);
    assert_eq!(after(|_, entry| cut(entry, 10)), foreign);
    assert_eq!(after(|_, entry| cut(entry, whole(entry) / 2)), foreign);
    assert_eq!(after(|_, entry| cut(entry, whole(entry) - 1)), foreign);
    assert_eq!(after(|_, entry| cut(entry, whole(entry) + 1)), foreign);
    assert_eq!(after(|_, entry| cut(entry, 2 << 30)), foreign);
    assert_eq!(after(|_, entry| change(entry, |bytes| drop(bytes.drain(..8)))), foreign);
    assert_eq!(after(|_, entry| fs::write(entry, "a\n".repeat(500)).unwrap()), foreign);
    // Code that wasmtime itself would load.
    let bare = after(|place, entry| {
        let component = fs::read(place.path("policy.wasm")).unwrap();
        let engine = wasmtime::Engine::default();
        fs::write(entry, engine.precompile_component(&component).unwrap()).unwrap();
    });
    assert_eq!(bare, foreign);
}

#[test]
fn an_entry_under_another_ones_name_is_named_and_compiled_again() {
    let renamed = after(|place, entry| {
        let other = place.write("other.wasm", &guests::policy(HOLD, "", ""));
        place.load_here(&other);
        let entries = place.entries();
        let others = entries.iter().find(|path| *path != entry).unwrap();
        fs::rename(others, entry).unwrap();
    });
    assert_eq!(renamed, note("was made from another component or for another engine"));
}

#[test]
fn an_entry_of_another_version_is_not_looked_at() {
    let nothing_noted = after(|_, entry| {
        let name = entry.file_name().unwrap().to_str().unwrap();
        let (component, _) = name.split_once('-').unwrap();
        let other_engine = format!("{component}-{}.cwasm", "0".repeat(32));
        fs::rename(entry, entry.with_file_name(other_engine)).unwrap();
    });
    assert_eq!(nothing_noted, "");
}

#[test]
fn an_entry_that_others_could_have_written_is_named_and_compiled_again() {
    let mode = |mode| after(move |_, entry| fs::set_permissions(entry, fs::Permissions::from_mode(mode)).unwrap());
    assert_eq!(mode(0o620), note("can be written to by others than its owner"));
    assert_eq!(mode(0o602), note("can be written to by others than its owner"));
    let linked = after(|place, entry| {
        fs::rename(entry, place.path("elsewhere")).unwrap();
        symlink(place.path("elsewhere"), entry).unwrap();
    });
    assert_eq!(linked, note("cannot be read: it is a symbolic link"));
    if is_root() {
        let owner = after(|_, entry| chown(entry, Some(12345), None).unwrap());
        assert_eq!(owner, note("belongs to the user with id 12345"));
    } else {
        skipped(
            "an_entry_that_others_could_have_written: owner",
            "only root can give files away",
        );
    }
}

#[test]
fn an_entry_that_cannot_be_replaced_is_passed_over() {
    let place = Place::new();
    let file = place.policy();
    place.load_here(&file);
    let entry = place.entries().remove(0);
    fs::remove_file(&entry).unwrap();
    fs::create_dir(&entry).unwrap();
    for _ in 0..2 {
        let loaded = place.load_here(&file);
        assert!(loaded.compiled);
        assert!(loaded.notes[0].contains("is not a regular file"), "{:?}", loaded.notes);
        assert!(loaded.notes[1].contains("Is a directory"), "{:?}", loaded.notes);
        assert!(matches!(place.step(loaded), Verdict::Report(_)));
    }
    assert_eq!(
        fs::read_dir(place.path("cache")).unwrap().count(),
        2,
        "something was left behind"
    );
    // The command that fills a cache reports that it could not.
    let error = place
        .sandbox
        .precompile(&file, &place.cache(), &Compiler::Here)
        .unwrap_err();
    assert!(error.to_string().contains("Is a directory"), "{error}");
}

#[test]
fn a_cache_that_vanished_is_no_obstacle() {
    let place = Place::new();
    let file = place.policy();
    let cache = place.cache();
    fs::remove_dir(cache.path()).unwrap();
    let loaded = place
        .sandbox
        .policy(&Policy::new("p"), &file, Some(&cache), &Compiler::Here)
        .unwrap();
    let [note] = loaded.notes.as_slice() else {
        panic!("{:?}", loaded.notes)
    };
    assert!(note.starts_with("cannot write to the cache "), "{note}");
    assert!(matches!(place.step(loaded), Verdict::Report(_)));
}

#[test]
fn concurrent_first_uses_compile_once() {
    const USERS: usize = 8;
    let place = Place::new();
    let file = place.policy();
    let barrier = Barrier::new(USERS);
    let compiled: usize = thread::scope(|scope| {
        let use_it = || {
            barrier.wait();
            let loaded = place.load_here(&file);
            assert_eq!(loaded.notes, [""; 0]);
            usize::from(loaded.compiled)
        };
        let users: Vec<_> = (0..USERS).map(|_| scope.spawn(use_it)).collect();
        users.into_iter().map(|user| user.join().unwrap()).sum()
    });
    assert_eq!(compiled, 1);
}

#[test]
fn a_lock_that_is_never_released_is_no_obstacle() {
    let place = Place::new();
    let file = place.policy();
    place.load_here(&file);
    let entry = place.entries().remove(0);
    fs::remove_file(&entry).unwrap();
    let lock = fs::File::open(entry.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let compiler = Compiler::Child(ChildCompiler {
        time: Duration::from_secs(5),
        ..worker::compiler()
    });
    let loaded = place.load(&file, &compiler).unwrap();
    assert!(loaded.compiled);
    assert!(
        loaded.notes[0].contains("another process has been compiling"),
        "{:?}",
        loaded.notes
    );
    assert_eq!(place.entries(), [entry]);
}

#[test]
fn a_cache_of_someone_else_or_open_to_others_is_refused() {
    let place = Place::new();
    let path = place.path("cache");
    let refused = || match Cache::open(&path) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string().replace(&path.display().to_string(), "CACHE"),
    };
    drop(place.cache());
    for mode in [0o702, 0o720, 0o777, 0o1777] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = refused();
        assert!(
            error.starts_with(&format!(
                "cache CACHE: its mode {mode:04o} lets other users in; run `chmod "
            )),
            "{error}"
        );
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(Cache::open(&path).is_ok());
    let link = place.path("link");
    symlink(&path, &link).unwrap();
    let error = Cache::open(&link).map(|_| ()).unwrap_err().to_string();
    assert!(
        error.ends_with("it is a symbolic link; name the directory that it leads to"),
        "{error}"
    );
    assert!(
        Cache::open(&link.join("")).is_err(),
        "a final slash had the link followed"
    );
    fs::write(place.path("file"), "").unwrap();
    let error = Cache::open(&place.path("file")).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("Not a directory"), "{error}");
    if is_root() {
        chown(&path, Some(12345), None).unwrap();
        let error = refused();
        assert!(
            error.starts_with("cache CACHE: it belongs to the user with id 12345, who could put code there"),
            "{error}"
        );
    } else {
        skipped("a_cache_of_someone_else: owner", "only root can give directories away");
    }
}

#[test]
fn a_cache_shared_by_root_can_be_read_by_all() {
    if !is_root() {
        return skipped("what_root_offers_to_all", "only root owns such a cache");
    }
    let place = Place::new();
    drop(place.cache());
    fs::set_permissions(place.path("cache"), fs::Permissions::from_mode(0o755)).unwrap();
    place.load_here(&place.policy());
    assert_eq!(place.entries()[0].metadata().unwrap().mode() & 0o777, 0o644);
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

fn skipped(name: &str, why: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "skipped: {name}: {why}");
}
