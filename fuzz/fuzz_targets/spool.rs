//! Any bytes as something that lies in the spool, or as an export. The first byte chooses what. A good record beside it stays what it is,
//! nothing that was found there is lost, and what is said of it can be printed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipefold::{
    Hook, Reporter,
    spool::{Destination, Entry, EntryId, Judgement, RunKey, Spool},
};
use pipefold_fuzz::{history, printable, seeds, written};
use serde_json::json;
use std::{
    ffi::OsStr,
    fs,
    io::ErrorKind,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::LazyLock,
};
use tempfile::TempDir;

/// Names of the good record, and of what the input is put beside it as: records have 32 hexadecimal digits.
const GOOD: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";

struct Place {
    directory: PathBuf,
    spool: Spool,
    reporter: Reporter,
    key: RunKey,
    entry: Entry,
    _directory: TempDir,
}

static PLACE: LazyLock<Place> = LazyLock::new(|| {
    let temporary = written::directory();
    let directory = temporary.path().join("spool");
    let spool = Spool::open(&directory).unwrap();
    let reporter = Reporter::builder().spool(&directory).build().unwrap();
    Place {
        directory,
        spool,
        reporter,
        key: RunKey::of("r/1"),
        entry: entry(),
        _directory: temporary,
    }
});

fn entry() -> Entry {
    let now = "2025-01-01T12:05:00Z".to_owned();
    Entry::new(
        Hook::Start,
        now,
        Destination::default(),
        Judgement::Hold,
        history::event(),
    )
}

impl Place {
    fn run(&self) -> PathBuf {
        self.directory.join("runs").join(self.key.to_string())
    }

    /// Empties the spool but for the good record.
    fn reset(&self) {
        for name in ["runs", "rejected", "aside"] {
            written::empty(&self.directory.join(name));
        }
        written::empty(&self.run());
        fs::write(self.run().join(format!("{GOOD}.json")), good()).unwrap();
    }

    /// Looks at everything, in every way that the command has.
    fn look(&self) {
        let run = self.spool.load(self.key).unwrap();
        let good: EntryId = GOOD.parse().unwrap();
        assert!(run.entries.contains(&(good, self.entry.clone())), "{run:?}");
        run.aside.iter().for_each(|aside| printable::check(aside));
        for key in self.spool.runs().unwrap() {
            self.spool.unsent(key).unwrap();
        }
        self.spool.rejected().unwrap();
        self.spool.measure().unwrap();
        self.spool.prune().unwrap();
        // Sends nothing, but asks what the whole run comes to.
        let _ = self.reporter.preview(Hook::Finish, history::event());
        let overview = self.reporter.overview().unwrap();
        assert!(overview.run_count >= 1);
        let mut export = Vec::new();
        self.spool.export(&mut export).unwrap();
        let imported = self.spool.import(&mut export.as_slice()).unwrap();
        // What was read from the spool can be read from an export, and is here already.
        assert!(imported.new == 0 && imported.bad.is_empty(), "{imported:?}");
    }
}

/// The good record as it lies on disk.
fn good() -> Vec<u8> {
    serde_json::to_vec(&entry()).unwrap()
}

/// One of each kind as the spool writes it, behind the byte that chooses the kind.
fn found() -> Vec<(&'static str, Vec<u8>)> {
    let kind = |number: u8, bytes: &[u8]| [&[number], bytes].concat();
    let now = "2025-01-01T12:05:00Z";
    let run: pipefold::Run = serde_json::from_value(json!({
        "pipeline_name": "build", "pipeline_source": "Tekton", "reference_id": "r/1", "started_at": now, "status": "running",
    }))
    .unwrap();
    let mut full = history::event();
    full.status = Some("success".into());
    full.repository = Some("getdx/some_repo".into());
    full.pr_number = Some(7);
    full.step = Some("lint".into());
    let destination = Destination {
        url: Some("https://yourinstance.getdx.net".into()),
        token: Some("0123456789ab".into()),
    };
    let report = Entry::new(Hook::Finish, now.into(), destination, Judgement::Report(run), full);
    let trouble = json!({ "at": now, "kind": "invalid_auth", "message": "no", "tries": 3, "token": "0123456789ab" });
    let reason = json!({
        "run": RunKey::of("r/1"), "ids": [OTHER], "at": now, "url": "https://yourinstance.getdx.net", "code": "invalid_json",
        "message": "no", "request": { "pipeline_name": "build" },
    });
    let lines = format!(
        "{}\n{}\n",
        json!({ "id": GOOD, "sent": false, "entry": entry() }),
        json!({ "id": OTHER, "sent": true, "entry": &report }),
    );
    vec![
        ("record", kind(0, &good())),
        ("record-full", kind(0, &serde_json::to_vec(&report).unwrap())),
        ("sent", kind(1, format!("{GOOD}\n{OTHER}\n").as_bytes())),
        ("trouble", kind(2, trouble.to_string().as_bytes())),
        ("reason", kind(3, reason.to_string().as_bytes())),
        ("export", kind(4, lines.as_bytes())),
        ("name", kind(5, format!("{OTHER}.json").as_bytes())),
        ("name-temporary", kind(5, format!(".tmp-{OTHER}").as_bytes())),
    ]
}

fuzz_target!(init: seeds::write("spool", found()), |bytes: &[u8]| {
    let Some((what, bytes)) = bytes.split_first() else { return };
    let place = &*PLACE;
    place.reset();
    let run = place.run();
    let planted = match what % 6 {
        0 => run.join(format!("{OTHER}.json")),
        1 => run.join("sent"),
        2 => run.join("trouble.json"),
        3 => place.directory.join("rejected").join(format!("{}-{OTHER}.reason.json", place.key)),
        4 => {
            let imported = place.spool.import(&mut &*bytes).unwrap();
            imported.bad.iter().for_each(|bad| printable::check(&bad.why));
            return place.look();
        }
        _ => {
            // A name that anyone made up, for a good record.
            match bytes {
                b"" | b"." | b".." => return,
                name if name.contains(&b'/') || name.contains(&0) => return,
                name => match fs::write(run.join(Path::new(OsStr::from_bytes(name))), good()) {
                    Err(error) if error.kind() == ErrorKind::InvalidFilename => return,
                    written => written.unwrap(),
                },
            }
            return place.look();
        }
    };
    fs::write(&planted, bytes).unwrap();
    place.look();
    let is_kept = |path: &PathBuf| fs::read(path).unwrap() == bytes;
    assert!(written::files(&place.directory).iter().any(is_kept), "{} is lost", planted.display());
});
