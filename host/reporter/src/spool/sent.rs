//! `sent`: the ids that DX's last `ok` covered, one a line.

use super::error::SpoolError;
use super::files::Content;
use super::key::{EntryId, RunKey};
use super::layout::{self, Role, SENT};
use super::open::Spool;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::io;
use std::path::Path;

/// The largest `sent`, in bytes: the 10,000 ids of a full run take a third of it, and it never holds ids of records that are gone.
const MAX_SENT: u64 = 1024 * 1024;

impl Spool {
    /// Marks `ids` of the run as sent, beside those that are already. Whatever needs no sending any more is to be marked: what DX accepted,
    /// and what a policy discarded.
    ///
    /// It is not synced. A crash of the machine may leave the mark of before, a part of this one or none, each of which is a part of the
    /// truth: what it does not name is sent again, and DX folds it into what it has. That is rarer than a sync is slow.
    ///
    /// Two processes that mark the same run at the same moment may lose one's ids; these are then sent again, which does no harm.
    ///
    /// # Errors
    /// What the disk said. Then the ids are sent again.
    pub fn mark_sent(&self, key: RunKey, ids: impl IntoIterator<Item = EntryId>) -> Result<(), SpoolError> {
        let run = layout::run(key);
        let (before, bad) = self.read_sent(key)?;
        if let Some(why) = bad {
            self.set_aside(&run.join(SENT), why);
        }
        let mut sent = before.clone();
        sent.extend(ids);
        if sent == before {
            return Ok(());
        }
        let mut text = String::new();
        let listed = self.files.list(&run, &mut |name| {
            if let Role::Record(id) = layout::role(name)
                && sent.contains(&id)
            {
                let _ = writeln!(text, "{id}");
            }
        });
        match listed {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(self.failed("list", &run)(e)),
            // All of them were removed or rejected meanwhile.
            _ if text.is_empty() => return Ok(()),
            _ => {}
        }
        self.write_unsynced(&run, SENT, text.as_bytes())
    }

    /// The ids that were sent.
    pub(super) fn read_sent(&self, key: RunKey) -> Result<(BTreeSet<EntryId>, Option<String>), SpoolError> {
        self.read_sent_in(&layout::run(key))
    }

    /// The ids that were sent of the run in this directory. A file that is torn counts for what is whole in it, a foreign one for none, and
    /// the second answer says what is wrong with it: sending again does no harm.
    pub(super) fn read_sent_in(&self, run: &Path) -> Result<(BTreeSet<EntryId>, Option<String>), SpoolError> {
        let path = run.join(SENT);
        let none = BTreeSet::new;
        match self.files.read(&path, MAX_SENT) {
            Ok(Content::Whole(bytes)) => {
                Ok(parse(&bytes).map_or_else(|| (none(), Some("is foreign".into())), |ids| (ids, None)))
            }
            Ok(Content::Unusable(why)) => Ok((none(), Some(why))),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok((none(), None)),
            Err(e) => Err(self.failed("read", &path)(e)),
        }
    }
}

/// Each line an id, as far as the file was written: a crash of the machine cuts it short, or leaves zeros from some place on.
fn parse(bytes: &[u8]) -> Option<BTreeSet<EntryId>> {
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let whole = bytes[..written]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    let (lines, rest) = bytes[..written].split_at(whole);
    if rest.len() > 32 || !rest.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let text = std::str::from_utf8(lines).ok()?;
    text.split_terminator('\n').map(|line| line.parse().ok()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_of_ids_are_believed() {
        let id = EntryId::random().unwrap();
        assert_eq!(parse(format!("{id}\n").as_bytes()), Some([id].into()));
        // What a crash of the machine makes of it.
        for torn in ["", &id.to_string(), &id.to_string()[..9], "\0\0\0"] {
            assert_eq!(parse(torn.as_bytes()), Some([].into()), "{torn:?}");
            let second = format!("{id}\n{torn}");
            assert_eq!(parse(second.as_bytes()), Some([id].into()), "{second:?}");
        }
        for bad in [
            "\n",
            "{}",
            &format!("{id}\n\n"),
            &format!("{id}\nabc\n"),
            &format!("{id}\r\n"),
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(parse(&[0xff, b'\n']), None);
    }
}
