//! The loop of a forwarder: receives messages, starts requests that are due, keeps the rate.

use super::ForwarderOptions;
use super::held::{Group, HeldGroups};
use super::message::{Message, Room};
use super::pace::{Pauses, TokenBucket};
use super::pull::{Demand, Puller};
use super::send::{PROGRESS, RequestEnd, RunSender};
use super::sweep::sweep;
use crate::address::Queue;
use crate::connection::{ConnectError, Connection, Purpose};
use crate::health::{Counters, set};
use crate::publish::Publisher;
use crate::stream::{Difference, StreamError, check};
use pipefold::Judge;
use pipefold::dx::{Client, ClientError};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout, timeout_at};

/// While requests are all under way, groups that are due wait in the queue rather than here, beyond so many for each: another forwarder may
/// have time for them.
const AHEAD: usize = 4;

/// While it is the rate that holds them up, so much of it is held here: upserts that come meanwhile join those of their runs, and cost no
/// request of their own. Not more, or another forwarder that has nothing to do could not help.
const AHEAD_OF_THE_RATE: Duration = Duration::from_mins(1);

/// With more of it than this, another forwarder may ask first.
const ENOUGH: Duration = Duration::from_secs(5);

/// How long the last messages are waited for: a second for an answer, a second for what comes after it, and a slow machine.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// With more of it than this due, the rate lets through less than there is.
const BEHIND: Duration = Duration::from_secs(1);

/// Runs at a time of which it is looked what else the stream has: some of a second's, and quicker than DX answers.
const GATHERING: usize = 16;

/// Beyond which nothing is looked at before it is asked again.
const TICK: Duration = Duration::from_millis(500);

/// How often it is decided whether more is wanted: what is due is counted for it.
const ASK: Duration = Duration::from_millis(10);

/// The same complaint is made once in so long.
const COMPLAIN: Duration = Duration::from_mins(1);

/// A connected forwarder, before it runs.
pub struct Forwarder {
    sender: Arc<RunSender>,
    clients: Vec<Arc<Client>>,
    differences: Vec<Difference>,
}

/// A forwarder that cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// No connection to the queue.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The stream is missing or cannot be read.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The stream's settings could lose messages.
    #[error(
        "the queue's set-up is not safe: {0}; change it with NATS tools, or remove it and run `pipefold queue init`"
    )]
    Unsafe(String),
    /// The client for DX cannot be set up.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The connection is gone for good, after it worked.
    #[error("NATS protocol error: connection lost. Held messages will be redelivered; restart this forwarder")]
    Lost,
}

impl Forwarder {
    /// Connects, and checks the stream.
    ///
    /// # Errors
    /// [`ForwardError`].
    pub async fn open(queue: &Queue, options: ForwarderOptions, judge: Judge) -> Result<Self, ForwardError> {
        let clients = (0..options.concurrency.max(1)).map(|_| Client::new(options.dx.clone()).map(Arc::new));
        let clients = clients.collect::<Result<Vec<_>, _>>()?;
        let connection = Connection::open(queue, Purpose::Forward).await?;
        let differences = check(&connection).await?.differences;
        let fatal: Vec<String> = differences
            .iter()
            .filter(|it| it.fatal)
            .map(ToString::to_string)
            .collect();
        if !fatal.is_empty() {
            return Err(ForwardError::Unsafe(fatal.join("; ")));
        }
        let counters = Arc::new(Counters::default());
        counters.queue_up.store(1, Relaxed);
        let sender = RunSender {
            options,
            judge,
            publisher: Publisher::new(connection),
            counters,
        };
        Ok(Self {
            sender: Arc::new(sender),
            clients,
            differences,
        })
    }

    /// Differences of the streams from their specification that do not prevent forwarding.
    #[must_use]
    pub fn differences(&self) -> &[Difference] {
        &self.differences
    }

    /// Its counters.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.sender.counters)
    }

    /// Works until `stop`. Then requests that are under way are waited for, and what else it holds is given back to the queue.
    ///
    /// # Errors
    /// [`ForwardError::Lost`], before `stop`.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), ForwardError> {
        let (to, from) = mpsc::channel(256);
        let (demand, wanted) = watch::channel(Demand::More);
        let puller = Puller {
            connection: self.sender.publisher.connection().clone(),
            counters: self.counters(),
            room: Room::default(),
            wanted,
            to,
        };
        let now = Instant::now();
        let mut forwarding = ForwardLoop {
            bucket: TokenBucket::new(self.sender.options.per_second, now),
            pauses: Pauses::default(),
            held: HeldGroups::default(),
            full: VecDeque::new(),
            gathering: JoinSet::new(),
            free: self.clients,
            under_way: JoinSet::new(),
            complaints: HashMap::new(),
            behind: false,
            touched: now,
            asked: now - ASK,
            demand,
            sender: self.sender,
        };
        let mut beside = JoinSet::new();
        beside.spawn(puller.run());
        beside.spawn(sweep(
            forwarding.sender.publisher.clone(),
            Arc::clone(&forwarding.sender.counters),
        ));
        let ended = forwarding.until(stop, from).await;
        // In the middle of whatever they do: what is lost of it comes again to another forwarder.
        beside.abort_all();
        forwarding.end().await;
        ended
    }
}

struct ForwardLoop {
    sender: Arc<RunSender>,
    bucket: TokenBucket,
    pauses: Pauses,
    held: HeldGroups,
    /// Groups that take no more, and go before all others.
    full: VecDeque<Group>,
    /// Those of which it is looked what else the stream has; they are full then. Before a token is taken for them, so that requests keep the
    /// distance that tokens have.
    gathering: JoinSet<Option<Group>>,
    /// A client for each request that may be under way, so that each keeps its connection.
    free: Vec<Arc<Client>>,
    under_way: JoinSet<(Arc<Client>, RequestEnd)>,
    /// Warnings by subject, with the time of each.
    complaints: HashMap<&'static str, (Instant, String)>,
    /// Whether the rate lets through less than there is.
    behind: bool,
    touched: Instant,
    asked: Instant,
    demand: watch::Sender<Demand>,
}

impl ForwardLoop {
    async fn until(
        &mut self,
        stop: impl Future<Output = ()>,
        mut from: mpsc::Receiver<Message>,
    ) -> Result<(), ForwardError> {
        let mut stop = std::pin::pin!(stop);
        let mut ended = Ok(());
        loop {
            if self.sender.publisher.connection().has_ended() {
                ended = Err(ForwardError::Lost);
                break;
            }
            let now = Instant::now();
            let mut next = self.begin_what_is_due(now);
            if now.duration_since(self.asked) >= ASK {
                self.asked = now;
                self.ask_for_more(now);
            } else {
                next = next.min(self.asked + ASK);
            }
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(ended) = self.under_way.join_next() => self.ended(ended),
                Some(gathered) = self.gathering.join_next() => self.full.extend(gathered.ok().flatten()),
                message = from.recv() => match message {
                    Some(message) => {
                        self.take(message).await;
                        // Those that came with it, before anything is begun.
                        while let Ok(message) = from.try_recv() {
                            self.take(message).await;
                        }
                    }
                    None => break,
                },
                () = sleep_until(next.into()) => {}
            }
            if self.touched.elapsed() >= PROGRESS / 4 {
                self.touched = Instant::now();
                self.touch().await;
            }
        }
        // What the queue has given already goes back with the rest, or it would be missed until the queue has waited for it.
        let _ = self.demand.send(Demand::Stop);
        let deadline = tokio::time::Instant::now() + LAST_WORDS;
        while let Ok(Some(message)) = timeout_at(deadline, from.recv()).await {
            self.take(message).await;
        }
        ended
    }

    /// Begins requests while there is something due and leave to send it. Returns the moment of the next look.
    fn begin_what_is_due(&mut self, now: Instant) -> Instant {
        let look_again = now + TICK;
        if let Some(pause) = self.pauses.left(now) {
            return (now + pause).min(look_again);
        }
        if self.behind {
            self.gather_what_is_due(now);
        }
        loop {
            // After a pause one request goes ahead, and the others when it was answered.
            if self.free.is_empty() || (self.pauses.is_doubtful() && !self.under_way.is_empty()) {
                return look_again;
            }
            if self.full.is_empty() {
                if self.behind && !self.gathering.is_empty() {
                    return look_again;
                }
                let next = self.held.next_due().unwrap_or(look_again);
                if next > now {
                    return next.min(look_again);
                }
            }
            if !self.bucket.take(now) {
                // Timers are of a millisecond: shorter waits would go round for nothing.
                let wait = self.bucket.wait(now).max(Duration::from_millis(1));
                return (now + wait).min(look_again);
            }
            let Some(group) = self.full.pop_front().or_else(|| self.held.take_due(now)) else {
                return look_again;
            };
            let Some(client) = self.free.pop() else {
                return look_again;
            };
            let sender = Arc::clone(&self.sender);
            self.under_way.spawn(async move {
                let ended = sender.send(group, &client).await;
                (client, ended)
            });
        }
    }

    /// Looks for what else there is of some runs that are to go next.
    fn gather_what_is_due(&mut self, now: Instant) {
        while self.gathering.len() + self.full.len() < GATHERING {
            let Some(group) = self.held.take_due(now) else {
                return;
            };
            let sender = Arc::clone(&self.sender);
            self.gathering.spawn(async move { sender.gather(group).await });
        }
    }

    /// Decides whether more messages are asked for.
    fn ask_for_more(&mut self, now: Instant) {
        let counters = &self.sender.counters;
        let paused = self.pauses.left(now).is_some();
        let most = if self.free.is_empty() {
            AHEAD * self.under_way.len()
        } else {
            (AHEAD * self.free.len()).max(self.bucket.within(AHEAD_OF_THE_RATE))
        };
        let due = self.held.count_due(now, most + 1);
        let wanted = match () {
            () if paused || due > most => Demand::None,
            () if due > self.bucket.within(ENOUGH).max(AHEAD * self.free.len()) => Demand::AfterOthers,
            () => Demand::More,
        };
        let much = self.bucket.within(BEHIND);
        self.behind = !self.bucket.wait(now).is_zero() && self.held.count_due(now, much + 1) > much;
        self.demand
            .send_if_modified(|before| std::mem::replace(before, wanted) != wanted);
        set(&counters.held, self.held.len());
        set(&counters.under_way, self.under_way.len());
        set(&counters.paused, usize::from(paused));
    }

    async fn take(&mut self, message: Message) {
        match message.run() {
            Ok((key, ended)) => {
                let window = self.sender.options.window;
                self.full
                    .extend(self.held.add(key, message, ended, window, Instant::now()));
            }
            Err(why) => {
                let sender = Arc::clone(&self.sender);
                // Beside the loop: the stream of refused ones may be slow to answer.
                tokio::spawn(async move { sender.reject(&[message], "unreadable", &why).await });
            }
        }
    }

    fn ended(&mut self, ended: Result<(Arc<Client>, RequestEnd), tokio::task::JoinError>) {
        let now = Instant::now();
        let first = self.sender.options.first_pause;
        let Ok((client, ended)) = ended else {
            tracing::error!("sending a run panicked; its messages will be redelivered");
            return;
        };
        self.free.push(client);
        match ended {
            RequestEnd::Reached => self.reached(),
            RequestEnd::Again(group) => {
                self.reached();
                self.held.again(*group, now + first);
            }
            RequestEnd::Failed { after, why } => {
                self.pauses.failed(after, first, now);
                self.complain("dx", &format!("DX: {why}; runs wait in the queue"));
            }
            RequestEnd::Stuck(why) => {
                self.pauses.stuck(now);
                self.sender.counters.stuck.store(1, Relaxed);
                self.complain("stuck", &format!("nothing is forwarded: {why}"));
            }
            RequestEnd::Unjudged(why) => self.complain("fold", &format!("a run waits: {why}")),
        }
    }

    fn reached(&mut self) {
        self.pauses.reached();
        self.sender.counters.stuck.store(0, Relaxed);
        self.complaints.remove("stuck");
    }

    /// Reports progress on messages that are held for long.
    async fn touch(&mut self) {
        // Without a connection, reports would only pile up.
        if !self.sender.publisher.connection().is_up() {
            return;
        }
        let Some(since) = Instant::now().checked_sub(PROGRESS) else {
            return;
        };
        let full = self.full.iter_mut().filter(|group| group.touched <= since);
        for group in self.held.untouched(since).chain(full) {
            self.sender.touch(group).await;
        }
    }

    /// Waits for what is under way, and gives the rest back.
    async fn end(&mut self) {
        let longest = self.sender.options.timeout + Duration::from_secs(1);
        let under_way = async {
            while let Some(ended) = self.under_way.join_next().await {
                self.ended(ended);
            }
        };
        if timeout(longest, under_way).await.is_err() {
            tracing::warn!("requests to DX did not end in time; their runs are sent again");
        }
        let connection = self.sender.publisher.connection().clone();
        let back = async {
            while let Some(gathered) = self.gathering.join_next().await {
                self.full.extend(gathered.ok().flatten());
            }
            for group in self.held.drain().into_iter().chain(self.full.drain(..)) {
                for message in group.messages {
                    message.again(&connection.client, Duration::ZERO).await;
                }
            }
            // What was spawned beside may just be done.
            sleep(Duration::from_millis(20)).await;
            connection.flush().await;
        };
        // A queue that cannot be reached gives them to others by itself.
        let _ = timeout(Duration::from_secs(5), back).await;
    }

    /// Says something again only after a while, or when it is something else.
    fn complain(&mut self, about: &'static str, what: &str) {
        let last = self.complaints.get(about);
        // Once is enough for what only a person can change.
        let again = |(at, _): &(Instant, String)| about != "stuck" && at.elapsed() >= COMPLAIN;
        if last.is_none_or(|last| last.1 != what || again(last)) {
            if about == "stuck" {
                tracing::error!("{what}");
            } else {
                tracing::warn!("{what}");
            }
            self.complaints.insert(about, (Instant::now(), what.to_owned()));
        }
    }
}
