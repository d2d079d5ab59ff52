//! The loop of a forwarder: it receives messages, and starts requests that are due at the allowed rate.

use super::ForwarderOptions;
use super::held::{Group, HeldGroups};
use super::jobs::{JobPauses, PROMPT};
use super::message::{Message, Room};
use super::pull::{Demand, Puller};
use super::send::{PROGRESS, RequestEnd, RequestResult, RunSender};
use super::sweep::sweep;
use crate::address::Queue;
use crate::connection::{ConnectError, Connection, Purpose};
use crate::health::{Counters, PolicyWorks, set};
use crate::publish::Publisher;
use crate::stream::{Difference, StreamError, check};
use pipefold::Judge;
use pipefold::dx::{Client, ClientError};
use pipefold::pace::{Pauses, TokenBucket};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout, timeout_at};

/// Due groups that are held for each request under way while no further request may start. The rest wait in the queue, where an idle
/// forwarder can take them.
const AHEAD: usize = 4;

/// Due groups that are held while the rate delays them, as the time that they take at that rate: upserts that arrive meanwhile join their
/// runs' groups and need no request of their own. Not more, or an idle forwarder could not help.
const HELD_AT_RATE: Duration = Duration::from_mins(1);

/// With more due groups than the rate sends in this time, other forwarders may request messages first.
const ENOUGH: Duration = Duration::from_secs(5);

/// The wait for the last messages: a second for an answer, a second for messages after it, and the rest for a slow machine.
const LAST_MESSAGES: Duration = Duration::from_secs(5);

/// With more due groups than the rate sends in this time, the forwarder is behind.
const BEHIND: Duration = Duration::from_secs(1);

/// Runs whose upserts are gathered at a time: a part of a second's, and quicker than DX answers.
const GATHERING: usize = 16;

/// The longest wait of the loop.
const TICK: Duration = Duration::from_millis(500);

/// The interval at which the demand is decided, for which due groups are counted.
const DEMAND_INTERVAL: Duration = Duration::from_millis(10);

/// The interval at which the same complaint is repeated.
const REPEAT: Duration = Duration::from_mins(1);

/// A connected forwarder, before it runs.
pub struct Forwarder {
    sender: Arc<RunSender>,
    clients: Vec<Arc<Client>>,
    differences: Vec<Difference>,
}

/// An error that keeps a forwarder from starting or continuing.
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
    /// The connection ended for good after it had worked.
    #[error("NATS protocol error: connection lost. Held messages will be redelivered; restart this forwarder")]
    Lost,
}

impl Forwarder {
    /// Connects, and checks the streams.
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
        let bucket = TokenBucket::new(options.per_second, Instant::now());
        let sender = RunSender {
            bucket: Mutex::new(bucket),
            options,
            judge,
            publisher: Publisher::new(connection),
            counters,
            job_pauses: JobPauses::default(),
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

    /// A function that returns the work of its policies.
    #[must_use]
    pub fn policies(&self) -> PolicyWorks {
        let sender = Arc::clone(&self.sender);
        Arc::new(move || sender.judge.work())
    }

    /// Forwards until `stop`. Then it waits for requests under way, and returns the other messages that it holds to the queue.
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
            pauses: Pauses::default(),
            held: HeldGroups::default(),
            full: VecDeque::new(),
            gathering: JoinSet::new(),
            free: self.clients,
            under_way: JoinSet::new(),
            complaints: HashMap::new(),
            behind: false,
            touched: now,
            demanded: now - DEMAND_INTERVAL,
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
        // Messages that are lost by this are redelivered to another forwarder.
        beside.abort_all();
        forwarding.end().await;
        ended
    }
}

struct ForwardLoop {
    sender: Arc<RunSender>,
    pauses: Pauses,
    held: HeldGroups,
    /// Groups that accept no more messages, and are sent before all others.
    full: VecDeque<Group>,
    /// Groups whose other upserts are being gathered; they count as full afterwards. This comes before a token is taken, so that requests keep
    /// the distance of tokens.
    gathering: JoinSet<Option<Group>>,
    /// Clients without a request. There is one for each request that may be under way, so that each keeps its connection.
    free: Vec<Arc<Client>>,
    under_way: JoinSet<(Arc<Client>, Instant, RequestEnd)>,
    /// The last complaint by subject, with its time.
    complaints: HashMap<&'static str, (Instant, String)>,
    /// True if more is due than the rate lets through.
    behind: bool,
    touched: Instant,
    demanded: Instant,
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
            let mut next = self.start_due(now);
            if now.duration_since(self.demanded) >= DEMAND_INTERVAL {
                self.demanded = now;
                self.update_demand(now);
            } else {
                next = next.min(self.demanded + DEMAND_INTERVAL);
            }
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(ended) = self.under_way.join_next() => self.ended(ended),
                Some(gathered) = self.gathering.join_next() => self.full.extend(gathered.ok().flatten()),
                message = from.recv() => match message {
                    Some(message) => {
                        self.take(message).await;
                        // Messages that arrived with it, before a request is started.
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
        // Messages that the queue has sent already are returned with the rest, or they would be missing until the queue redelivers them.
        let _ = self.demand.send(Demand::Stop);
        let deadline = tokio::time::Instant::now() + LAST_MESSAGES;
        while let Ok(Some(message)) = timeout_at(deadline, from.recv()).await {
            self.take(message).await;
        }
        ended
    }

    /// Starts requests while groups are due and the rate allows them. Returns the time of the next call.
    fn start_due(&mut self, now: Instant) -> Instant {
        let latest = now + TICK;
        if let Some(pause) = self.pauses.left(now) {
            return (now + pause).min(latest);
        }
        if self.behind {
            self.gather_due(now);
        }
        loop {
            // After a pause one request is sent alone, and the others after its answer.
            if self.free.is_empty() || (self.pauses.is_doubtful() && !self.under_way.is_empty()) {
                return latest;
            }
            if self.full.is_empty() {
                if self.behind && !self.gathering.is_empty() {
                    return latest;
                }
                let next = self.held.next_due().unwrap_or(latest);
                if next > now {
                    return next.min(latest);
                }
            }
            if !self.sender.bucket().take(now) {
                // Timers have a resolution of a millisecond: shorter waits would only repeat the loop.
                let wait = self.sender.bucket().wait(now).max(Duration::from_millis(1));
                return (now + wait).min(latest);
            }
            let Some(group) = self.full.pop_front().or_else(|| self.held.take_due(now)) else {
                return latest;
            };
            let Some(client) = self.free.pop() else {
                return latest;
            };
            let sender = Arc::clone(&self.sender);
            self.under_way.spawn(async move {
                let ended = sender.send(group, &client).await;
                (client, now, ended)
            });
        }
    }

    /// Starts to gather the other upserts of the runs that are sent next.
    fn gather_due(&mut self, now: Instant) {
        while self.gathering.len() + self.full.len() < GATHERING {
            let Some(group) = self.held.take_due(now) else {
                return;
            };
            let sender = Arc::clone(&self.sender);
            self.gathering.spawn(async move { sender.gather(group).await });
        }
    }

    /// Decides the demand for messages.
    fn update_demand(&mut self, now: Instant) {
        let counters = &self.sender.counters;
        let paused = self.pauses.left(now).is_some();
        let most = if self.free.is_empty() {
            AHEAD * self.under_way.len()
        } else {
            (AHEAD * self.free.len()).max(self.sender.bucket().within(HELD_AT_RATE))
        };
        let due = self.held.count_due(now, most + 1);
        let wanted = match () {
            () if paused || due > most => Demand::None,
            () if due > self.sender.bucket().within(ENOUGH).max(AHEAD * self.free.len()) => Demand::AfterOthers,
            () => Demand::More,
        };
        let much = self.sender.bucket().within(BEHIND);
        self.behind = !self.sender.bucket().wait(now).is_zero() && self.held.count_due(now, much + 1) > much;
        self.demand
            .send_if_modified(|before| std::mem::replace(before, wanted) != wanted);
        set(&counters.held, self.held.len());
        set(&counters.under_way, self.under_way.len());
        set(&counters.paused, usize::from(paused));
    }

    async fn take(&mut self, mut message: Message) {
        match message.read() {
            Ok((key, ended)) => {
                let window = self.sender.options.window;
                self.full
                    .extend(self.held.add(key, message, ended, window, Instant::now()));
            }
            Err(why) => {
                let sender = Arc::clone(&self.sender);
                // In a task of its own: the stream of refused upserts may be slow to answer.
                tokio::spawn(async move { sender.reject(&[message], "unreadable", &why).await });
            }
        }
    }

    fn ended(&mut self, ended: Result<(Arc<Client>, Instant, RequestEnd), tokio::task::JoinError>) {
        let now = Instant::now();
        let first = self.sender.options.first_pause;
        let Ok((client, begun, ended)) = ended else {
            tracing::error!("sending a run panicked; its messages will be redelivered");
            return;
        };
        self.free.push(client);
        let RequestEnd { result, rest } = ended;
        match result {
            RequestResult::Reached => self.reached(),
            RequestResult::Unneeded if begun.elapsed() <= PROMPT => self.sender.bucket().put_back(),
            RequestResult::Unneeded | RequestResult::NoMethod => {}
            RequestResult::Failed { after, why } => {
                self.pauses.failed(after, first, now);
                self.complain("dx", &format!("DX: {why}; runs wait in the queue"));
            }
            RequestResult::Stuck(why) => {
                self.pauses.stuck(now);
                self.sender.counters.stuck.store(1, Relaxed);
                self.complain("stuck", &format!("nothing is forwarded: {why}"));
            }
            RequestResult::Unjudged(why) => self.complain("fold", &format!("a run waits: {why}")),
        }
        if let Some((group, pause)) = rest {
            self.held.again(*group, now + pause);
        }
    }

    fn reached(&mut self) {
        self.pauses.reached();
        self.sender.counters.stuck.store(0, Relaxed);
        self.complaints.remove("stuck");
    }

    /// Reports progress on messages without a recent report.
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

    /// Waits for requests under way, and returns the other messages to the queue.
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
            // Tasks for refused messages may be about to end.
            sleep(Duration::from_millis(20)).await;
            connection.flush().await;
        };
        // A queue that cannot be reached redelivers them by itself.
        let _ = timeout(Duration::from_secs(5), back).await;
    }

    /// Logs a complaint, unless the same one was logged within [`REPEAT`].
    fn complain(&mut self, about: &'static str, what: &str) {
        let last = self.complaints.get(about);
        // A fault that only a person can change is logged once.
        let again = |(at, _): &(Instant, String)| about != "stuck" && at.elapsed() >= REPEAT;
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
