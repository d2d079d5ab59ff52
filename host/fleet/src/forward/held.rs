//! The upserts of each run and its jobs, held until they are due.

use super::message::Message;
use super::upserts::Gathered;
use pipefold::spool::RunKey;
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// The most upserts in a group: the rules allow 10,000 notifications and 8 MiB in one history, and a run has a few.
const MAX_GROUP: usize = 256;

/// The wait of a message that is older than the window: upserts published close to it arrive with it.
const OLD: Duration = Duration::from_millis(50);

/// The longest precedence of ended runs. While DX accepts less than arrives, ended runs go first, and the finishes of others arrive
/// meanwhile; most runs have ended within this time.
const OPEN_PATIENCE: Duration = Duration::from_mins(10);

/// The upserts of one run and its jobs that are sent together: those of the run in one request, and then those of each job in one.
#[derive(Debug)]
pub struct Group {
    pub key: RunKey,
    pub messages: Vec<Message>,
    /// True if one of them has the run's finish.
    pub ended: bool,
    /// True if no gathered upserts may be sent with them, since those may have caused a refusal.
    pub alone: bool,
    /// Other upserts of the run in the stream.
    pub gathered: Option<Gathered>,
    /// The numbers of the group's earlier messages, which are acknowledged. The stream may still have them for a moment.
    pub acknowledged: Vec<u64>,
    /// The place of the run in the order of requests.
    pub run_turn: RunTurn,
    /// The time since which a job waits for an earlier message that another forwarder holds.
    pub waits_since: Option<Instant>,
    /// The time of the last report of progress.
    pub touched: Instant,
}

/// The place of a run that no message of a group is about, in the order of its requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunTurn {
    /// DX has it, as far as is known.
    #[default]
    Elsewhere,
    /// DX refused a job, so the run goes first.
    First,
    /// It was sent: if DX refuses a job all the same, it has another reason.
    Sent,
}

impl Group {
    /// A group of one message.
    pub fn of(key: RunKey, message: Message, ended: bool, now: Instant) -> Self {
        Self {
            key,
            messages: vec![message],
            ended,
            alone: false,
            gathered: None,
            acknowledged: Vec::new(),
            run_turn: RunTurn::default(),
            waits_since: None,
            touched: now,
        }
    }

    /// Moves out the messages for which `is` holds.
    pub fn take(&mut self, is: impl Fn(&Message) -> bool) -> Vec<Message> {
        self.messages.extract_if(.., |message| is(message)).collect()
    }

    /// The requests that it takes: one for the run, if there is a message of it, and one for each message of a job.
    fn requests(&self) -> usize {
        let jobs = self.messages.iter().filter(|message| message.job.is_some()).count();
        jobs + usize::from(jobs < self.messages.len())
    }
}

/// Groups of messages by run, each with the time when it is due.
#[derive(Debug, Default)]
pub struct HeldGroups {
    groups: HashMap<RunKey, (Instant, Group)>,
    /// Runs that have ended, by due time.
    ended: BTreeSet<(Instant, RunKey)>,
    /// Runs whose end is not known, by due time.
    open: BTreeSet<(Instant, RunKey)>,
    messages: usize,
}

impl HeldGroups {
    /// Adds a message to its run's group. Returns the group if it is full: it is sent at once.
    pub fn add(&mut self, key: RunKey, message: Message, ended: bool, window: Duration, now: Instant) -> Option<Group> {
        self.messages += 1;
        if let Some((due, group)) = self.groups.get_mut(&key) {
            if ended && !group.ended {
                group.ended = true;
                self.open.remove(&(*due, key));
                self.ended.insert((*due, key));
            }
            // A redelivery after missed reports of progress: the later delivery counts.
            if let Some(known) = group
                .messages
                .iter_mut()
                .find(|known| known.sequence == message.sequence)
            {
                *known = message;
                self.messages -= 1;
                return None;
            }
            group.messages.push(message);
            return if group.messages.len() >= MAX_GROUP {
                self.remove(key)
            } else {
                None
            };
        }
        let wait = window.saturating_sub(message.age()).max(OLD.min(window));
        self.insert(now + wait, Group::of(key, message, ended, now));
        None
    }

    /// Puts a group back, to be tried again at `due`.
    pub fn again(&mut self, mut group: Group, due: Instant) {
        if let Some(more) = self.remove(group.key) {
            group.ended |= more.ended;
            group.alone |= more.alone;
            group.touched = group.touched.min(more.touched);
            group.messages.extend(more.messages);
            group.acknowledged.extend(more.acknowledged);
            group.waits_since = group.waits_since.or(more.waits_since);
        }
        self.messages += group.messages.len();
        self.insert(due, group);
    }

    /// Removes the due group that is to be sent next.
    pub fn take_due(&mut self, now: Instant) -> Option<Group> {
        let first = |due: &BTreeSet<(Instant, RunKey)>| due.first().filter(|(due, _)| *due <= now).copied();
        let (ended, open) = (first(&self.ended), first(&self.open));
        let waited = |(due, _): &(Instant, RunKey)| now.duration_since(*due) > OPEN_PATIENCE;
        let (_, key) = open.filter(waited).or(ended).or(open)?;
        self.remove(key)
    }

    /// The time when the next group is due.
    pub fn next_due(&self) -> Option<Instant> {
        let firsts = [self.ended.first(), self.open.first()];
        firsts.into_iter().flatten().map(|(due, _)| *due).min()
    }

    /// The number of requests that due groups take, counting those of at most `most` ended and `most` open groups.
    pub fn count_due(&self, now: Instant, most: usize) -> usize {
        let requests = |key| self.groups.get(&key).map_or(0, |(_, group)| group.requests());
        let count = |due: &BTreeSet<(Instant, RunKey)>| -> usize {
            let due = due.iter().take(most).take_while(|(due, _)| *due <= now);
            due.map(|(_, key)| requests(*key)).sum()
        };
        count(&self.ended) + count(&self.open)
    }

    /// Groups without a report of progress after `since`.
    pub fn untouched(&mut self, since: Instant) -> impl Iterator<Item = &mut Group> {
        let groups = self.groups.values_mut().map(|(_, group)| group);
        groups.filter(move |group| group.touched <= since)
    }

    /// The number of messages in all groups.
    pub fn len(&self) -> usize {
        self.messages
    }

    /// Removes all groups.
    pub fn drain(&mut self) -> Vec<Group> {
        self.ended.clear();
        self.open.clear();
        self.messages = 0;
        self.groups.drain().map(|(_, (_, group))| group).collect()
    }

    fn insert(&mut self, due: Instant, group: Group) {
        let by_due = if group.ended { &mut self.ended } else { &mut self.open };
        by_due.insert((due, group.key));
        self.groups.insert(group.key, (due, group));
    }

    fn remove(&mut self, key: RunKey) -> Option<Group> {
        let (due, group) = self.groups.remove(&key)?;
        let by_due = if group.ended { &mut self.ended } else { &mut self.open };
        by_due.remove(&(due, key));
        self.messages -= group.messages.len();
        Some(group)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    use std::sync::Arc;
    use tokio::sync::Semaphore;

    const WINDOW: Duration = Duration::from_secs(2);

    fn message(sequence: u64) -> Message {
        let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        Message::made_up(sequence, room)
    }

    fn key(run: &str) -> RunKey {
        RunKey::of(run)
    }

    #[test]
    fn a_runs_upserts_go_together_once_the_window_is_over() {
        let (mut held, now) = (HeldGroups::default(), Instant::now());
        for sequence in 1..=3 {
            assert!(held.add(key("a"), message(sequence), false, WINDOW, now).is_none());
        }
        held.add(key("b"), message(4), false, WINDOW, now);
        // Delivered once more: still one message.
        held.add(key("a"), message(2), false, WINDOW, now);
        assert_eq!(held.len(), 4);
        assert!(held.take_due(now).is_none());
        assert!(held.next_due().unwrap() <= now + WINDOW);
        let later = now + WINDOW;
        assert_eq!(held.count_due(later, 10), 2);
        let groups = [held.take_due(later).unwrap(), held.take_due(later).unwrap()];
        let mut sizes = groups.map(|group| group.messages.len());
        sizes.sort_unstable();
        assert_eq!((sizes, held.len()), ([1, 3], 0));
        assert!(held.take_due(later).is_none() && held.next_due().is_none());
    }

    #[test]
    fn ended_runs_go_first_and_none_waits_for_ever() {
        let (mut held, now) = (HeldGroups::default(), Instant::now());
        held.add(key("open"), message(1), false, Duration::ZERO, now);
        held.add(
            key("ended"),
            message(2),
            false,
            Duration::ZERO,
            now + Duration::from_secs(1),
        );
        held.add(
            key("ended"),
            message(3),
            true,
            Duration::ZERO,
            now + Duration::from_secs(1),
        );
        let later = now + Duration::from_secs(2);
        assert_eq!(held.take_due(later).unwrap().key, key("ended"));
        held.add(key("ended"), message(4), true, Duration::ZERO, later);
        let much_later = now + OPEN_PATIENCE + Duration::from_secs(1);
        assert_eq!(held.take_due(much_later).unwrap().key, key("open"));
    }

    #[test]
    fn a_group_put_back_joins_newer_messages() {
        let (mut held, now) = (HeldGroups::default(), Instant::now());
        held.add(key("a"), message(1), true, Duration::ZERO, now);
        let group = held.take_due(now).unwrap();
        held.add(key("a"), message(2), false, Duration::ZERO, now);
        held.again(group, now + WINDOW);
        assert!(held.take_due(now).is_none());
        let group = held.take_due(now + WINDOW).unwrap();
        assert_eq!((group.messages.len(), group.ended), (2, true));
        assert_eq!(held.len(), 0);
    }

    #[test]
    fn a_group_that_is_full_goes_at_once() {
        let (mut held, now) = (HeldGroups::default(), Instant::now());
        let full = (0..MAX_GROUP as u64).find_map(|sequence| held.add(key("a"), message(sequence), false, WINDOW, now));
        assert_eq!(full.unwrap().messages.len(), MAX_GROUP);
        assert_eq!(held.len(), 0);
    }
}
