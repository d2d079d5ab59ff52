//! The file `sent` of a run: the records that DX's last `ok` covered, and the states of the run and its jobs that DX has.

use super::entry::{EntryId, RunKey, StateDigest};
use super::error::SpoolError;
use super::files::Content;
use super::layout::{self, Role, SENT};
use super::open::Spool;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io;
use std::path::Path;

/// The largest `sent`, in bytes: the 10,000 ids and as many jobs of a full run take 2 MiB, and it never holds ids of records that are gone.
const MAX_SENT: u64 = 4 * 1024 * 1024;

/// The longest line, in bytes: one of a job.
const MAX_LINE: usize = 192;

/// The states of a run and its jobs that destinations have, by a digest of the destination: a state is not sent there again, and a job in no
/// earlier state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InDx(pub BTreeMap<StateDigest, AcceptedStates>);

/// The states that one destination accepted last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AcceptedStates {
    /// The digest of the request about the run.
    pub run: Option<StateDigest>,
    /// The jobs, by the digest of their `reference_id`.
    pub jobs: BTreeMap<StateDigest, AcceptedJob>,
}

/// The state of a job that a destination accepted last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedJob {
    /// The digest of the request.
    pub state: StateDigest,
    /// The start in RFC 3339.
    pub started_at: Option<String>,
}

impl InDx {
    /// Adds states that were accepted later.
    pub fn extend(&mut self, later: Self) {
        for (destination, later) in later.0 {
            let states = self.0.entry(destination).or_default();
            states.run = later.run.or(states.run);
            states.jobs.extend(later.jobs);
        }
    }
}

/// The contents of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    pub ids: BTreeSet<EntryId>,
    pub in_dx: InDx,
}

impl Spool {
    /// Marks `ids` of the run as sent, in addition to earlier ones. Records that need not be sent any more are to be marked: those that DX
    /// accepted, and those that a policy discarded.
    ///
    /// The mark is not synced. A crash of the machine may leave the earlier mark, a part of this one or none: records that it does not name
    /// are sent again, and DX folds them again. This is rare, and a sync each time would be slow.
    ///
    /// Two processes that mark the same run at the same moment may lose one's ids; these are then sent again, which does no harm.
    ///
    /// # Errors
    /// The error of the disk. Then the ids are sent again.
    pub fn mark_sent(&self, key: RunKey, ids: impl IntoIterator<Item = EntryId>) -> Result<(), SpoolError> {
        self.mark_accepted(key, ids, InDx::default())
    }

    /// As [`Spool::mark_sent`], with states that DX accepted.
    ///
    /// # Errors
    /// As [`Spool::mark_sent`]. Then the states are sent again, too.
    pub fn mark_accepted(
        &self,
        key: RunKey,
        ids: impl IntoIterator<Item = EntryId>,
        in_dx: InDx,
    ) -> Result<(), SpoolError> {
        let run = layout::run(key);
        let (before, bad) = self.read_sent(key)?;
        if let Some(why) = bad {
            self.set_aside(&run.join(SENT), why);
        }
        let mut sent = before.clone();
        sent.ids.extend(ids);
        sent.in_dx.extend(in_dx);
        if sent == before {
            return Ok(());
        }
        let mut text = String::new();
        let mut records = 0;
        let listed = self.files.list(&run, &mut |name| {
            if let Role::Record(id) = layout::role(name) {
                records += 1;
                if sent.ids.contains(&id) {
                    let _ = writeln!(text, "{id}");
                }
            }
        });
        match listed {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(self.failed("list", &run)(e)),
            // All of them were removed or rejected meanwhile.
            _ if records == 0 => return Ok(()),
            _ => {}
        }
        for (destination, AcceptedStates { run, jobs }) in &sent.in_dx.0 {
            if let Some(state) = run {
                let _ = writeln!(text, "run {destination} {state}");
            }
            for (job, AcceptedJob { state, started_at }) in jobs {
                let started_at = started_at.as_deref().unwrap_or("-");
                let _ = writeln!(text, "job {destination} {job} {state} {started_at}");
            }
        }
        if text.is_empty() {
            return Ok(());
        }
        self.write_unsynced(&run, SENT, text.as_bytes())
    }

    /// The contents of a run's `sent`.
    pub(super) fn read_sent(&self, key: RunKey) -> Result<(Sent, Option<String>), SpoolError> {
        self.read_sent_in(&layout::run(key))
    }

    /// The contents of `sent` of the run in this directory, and the fault of the file if it is foreign. A torn file counts as its whole
    /// lines, a foreign one as empty: sending again does no harm.
    pub(super) fn read_sent_in(&self, run: &Path) -> Result<(Sent, Option<String>), SpoolError> {
        let path = run.join(SENT);
        let none = Sent::default;
        match self.files.read(&path, MAX_SENT) {
            Ok(Content::Whole(bytes)) => {
                Ok(parse(&bytes).map_or_else(|| (none(), Some("is foreign".into())), |sent| (sent, None)))
            }
            Ok(Content::Unusable(why)) => Ok((none(), Some(why))),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok((none(), None)),
            Err(e) => Err(self.failed("read", &path)(e)),
        }
    }
}

/// Reads the lines, as far as the file was written: a crash of the machine cuts it short, or leaves zeros from some place on. None for a
/// foreign file.
fn parse(bytes: &[u8]) -> Option<Sent> {
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let whole = bytes[..written]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    let (lines, rest) = bytes[..written].split_at(whole);
    if rest.len() > MAX_LINE
        || !rest
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b" :.-+".contains(byte))
    {
        return None;
    }
    let mut sent = Sent::default();
    for line in std::str::from_utf8(lines).ok()?.split_terminator('\n') {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            [id] => drop(sent.ids.insert(id.parse().ok()?)),
            ["run", destination, state] => {
                let states = sent.in_dx.0.entry(destination.parse().ok()?).or_default();
                states.run = Some(state.parse().ok()?);
            }
            ["job", destination, job, state, started_at] if line.len() <= MAX_LINE => {
                let states = sent.in_dx.0.entry(destination.parse().ok()?).or_default();
                let accepted = AcceptedJob {
                    state: state.parse().ok()?,
                    started_at: (started_at != "-").then(|| started_at.to_owned()),
                };
                states.jobs.insert(job.parse().ok()?, accepted);
            }
            _ => return None,
        }
    }
    Some(sent)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::spool::tests::{load, record, spool};

    fn state(of: &str) -> StateDigest {
        StateDigest::of(of.as_bytes())
    }

    fn job(of: &str, started_at: Option<&str>) -> (StateDigest, AcceptedJob) {
        let state = state(of);
        let started_at = started_at.map(str::to_owned);
        (state, AcceptedJob { state, started_at })
    }

    fn at(destination: &str, states: AcceptedStates) -> InDx {
        InDx([(state(destination), states)].into())
    }

    #[test]
    fn states_are_read_back_and_later_ones_replace_earlier_ones() {
        let (_dir, spool) = spool();
        let ids = record(&spool, "a", 2);
        let key = RunKey::of("a");
        let first = AcceptedStates {
            run: Some(state("run")),
            jobs: [job("build", Some("2025-01-01T12:00:00.123456789Z")), job("test", None)].into(),
        };
        let first = at("here", first);
        spool.mark_accepted(key, [ids[0]], first.clone()).unwrap();
        let read = load(&spool, "a");
        assert_eq!((read.sent, read.in_dx), ([ids[0]].into(), first.clone()));
        let mut later = AcceptedStates::default();
        later.jobs.insert(state("test"), job("other", None).1);
        let mut all = first;
        for place in ["here", "there"] {
            let later = at(place, later.clone());
            spool.mark_accepted(key, [], later.clone()).unwrap();
            all.extend(later);
        }
        assert_eq!(load(&spool, "a").in_dx, all);
        assert_eq!(all.0[&state("here")].run, Some(state("run")));
        spool.mark_sent(key, ids.clone()).unwrap();
        let read = load(&spool, "a");
        assert_eq!((read.sent.len(), read.in_dx), (2, all));
    }

    #[test]
    fn a_torn_file_counts_as_its_whole_lines() {
        let (id, x) = ("0".repeat(32), state("x").to_string());
        let whole = format!("{id}\nrun {x} {x}\njob {x} {x} {x} 2025-01-01T12:00:00.123456789Z\n");
        let count = |sent: &Sent| {
            let states = sent.in_dx.0.values();
            let states = states.map(|states| usize::from(states.run.is_some()) + states.jobs.len());
            sent.ids.len() + states.sum::<usize>()
        };
        for end in 0..=whole.len() {
            let torn = parse(&whole.as_bytes()[..end]).unwrap();
            assert_eq!(count(&torn), whole[..end].matches('\n').count(), "{end}");
        }
        for foreign in ["run\n", "job a b c d\n", "run x y\n", "notes\n", "a/b"] {
            assert_eq!(parse(foreign.as_bytes()), None, "{foreign}");
        }
    }

    fn ids(ids: [EntryId; 1]) -> Sent {
        Sent {
            ids: ids.into(),
            ..Sent::default()
        }
    }

    #[test]
    fn only_whole_lines_of_ids_are_believed() {
        let id = EntryId::random().unwrap();
        assert_eq!(parse(format!("{id}\n").as_bytes()), Some(ids([id])));
        // The forms that a crash of the machine leaves.
        for torn in ["", &id.to_string(), &id.to_string()[..9], "\0\0\0"] {
            assert_eq!(parse(torn.as_bytes()), Some(Sent::default()), "{torn:?}");
            let second = format!("{id}\n{torn}");
            assert_eq!(parse(second.as_bytes()), Some(ids([id])), "{second:?}");
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
