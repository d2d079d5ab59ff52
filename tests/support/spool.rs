//! The spool as it lies on disk, read without pipefold's own code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// One recorded notification.
#[derive(Clone, Debug)]
pub struct SpooledRecord {
    /// Name of the run's directory.
    pub run: String,
    /// Name of its file, without the ending.
    pub id: String,
    /// True if the run's `sent` names it.
    pub sent: bool,
    /// Its content.
    pub json: Value,
}

impl SpooledRecord {
    /// A field of the notification; empty if it has none.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        self.json["notification"][name].as_str().unwrap_or_default()
    }

    /// The hook that it went through: `start`, `step` or `finish`.
    #[must_use]
    pub fn hook(&self) -> &str {
        self.json["hook"].as_str().unwrap_or_default()
    }
}

/// Everything in a spool.
#[derive(Clone, Debug, Default)]
pub struct SpoolContent {
    /// The records of all runs.
    pub records: Vec<SpooledRecord>,
    /// The reason of each run that could not be delivered, by the name of its directory.
    pub troubles: BTreeMap<String, Value>,
    /// DX's refusals, with its words.
    pub rejections: Vec<Value>,
    /// Names in `aside`.
    pub aside: Vec<String>,
    /// Files in the spool whose content does not fit their name, with the reason.
    pub unreadable: Vec<String>,
}

impl SpoolContent {
    /// Reads a spool. One that does not exist is empty.
    #[must_use]
    pub fn read(spool: &Path) -> Self {
        let mut content = Self::default();
        for run in list(&spool.join("runs")).iter().chain(&list(&spool.join("done"))) {
            content.read_run(run);
        }
        for file in list(&spool.join("rejected")) {
            if name(&file).ends_with(".reason.json") {
                let reason = content.json(&file);
                content.rejections.extend(reason);
            } else if name(&file).ends_with(".json") {
                content.json(&file);
            }
        }
        content.aside = list(&spool.join("aside")).iter().map(|path| name(path)).collect();
        content
    }

    /// The records that no acceptance covers.
    pub fn waiting(&self) -> impl Iterator<Item = &SpooledRecord> {
        self.records.iter().filter(|record| !record.sent)
    }

    /// Checks that everything in it can be read, and that nothing had to be set aside.
    ///
    /// # Panics
    /// If not; the message has `context`.
    pub fn assert_sound(&self, context: &dyn std::fmt::Debug) {
        assert!(
            self.unreadable.is_empty() && self.aside.is_empty(),
            "{context:?}: unreadable {:?}, set aside {:?}",
            self.unreadable,
            self.aside
        );
    }

    fn read_run(&mut self, run: &Path) {
        let sent: BTreeSet<String> = fs::read_to_string(run.join("sent"))
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect();
        for file in list(run) {
            match name(&file).as_str() {
                "sent" => {}
                "trouble.json" => {
                    let trouble = self.json(&file);
                    self.troubles.extend(trouble.map(|trouble| (name(run), trouble)));
                }
                // A process that was killed leaves these; they never had a record's name.
                temporary if temporary.starts_with(".tmp-") => {}
                record if record.ends_with(".json") => {
                    let id = record.trim_end_matches(".json").to_owned();
                    if let Some(json) = self.json(&file) {
                        let sent = sent.contains(&id);
                        self.records.push(SpooledRecord {
                            run: name(run),
                            id,
                            sent,
                            json,
                        });
                    }
                }
                _ => self
                    .unreadable
                    .push(format!("{}: no file of the spool's", file.display())),
            }
        }
    }

    fn json(&mut self, file: &Path) -> Option<Value> {
        let read = fs::read(file).map_err(|error| error.to_string());
        match read.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string())) {
            Ok(json) => Some(json),
            Err(why) => {
                self.unreadable.push(format!("{}: {why}", file.display()));
                None
            }
        }
    }
}

/// The entries of a directory, in order; none if it does not exist.
fn list(directory: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    found.sort();
    found
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
