//! The nodes, the queue, and the forwarders: each a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use pipefold_fleet::stream::{self, STREAM, Setup};
use pipefold_fleet::{Connection, Purpose, Queue, QueueKeys};
use pipefold_tests::nats::{Cluster, Options};
use tempfile::TempDir;

/// The token that forwarders show to DX, which does not look at it.
const TOKEN: &str = "simulation-token";

/// The bytes that a node may store.
const MAX_STORE: u64 = 8 << 30;

/// The time that a process may take to end, and a cluster to choose a leader: neither is measured, and a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// Three nodes with a queue that is kept on each, and a directory for the forwarders' files.
#[derive(Debug)]
pub struct Fleet {
    cluster: Cluster,
    queue: Queue,
    address: String,
    directory: TempDir,
    pipefold: PathBuf,
}

/// The settings of a forwarder.
#[derive(Clone, Copy, Debug)]
pub struct Forwarding<'a> {
    /// DX.
    pub dx_url: &'a str,
    /// The most requests a second.
    pub rate: f64,
    /// The time for which it gathers the upserts of one run.
    pub window: Duration,
}

impl Fleet {
    /// Starts the nodes and makes the queue, on so many of them. The command is `pipefold`, built with the fleet.
    ///
    /// # Errors
    /// If the queue cannot be made; that there is no nats-server is for the caller to ask before
    /// ([`pipefold_tests::nats::server`]).
    pub fn start(pipefold: &Path, nodes: usize, replicas: usize) -> Result<Self> {
        let options = Options {
            nodes,
            max_store: MAX_STORE,
            ..Options::default()
        };
        let cluster = Cluster::start_with("fleet", &options).context("there is no nats-server")?;
        let address = cluster.url();
        let queue = Queue::new(&address, &QueueKeys::default())?;
        let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
        std::fs::write(directory.path().join("operator.toml"), "")?;
        write_secret(&directory.path().join("token"))?;
        let fleet = Self {
            cluster,
            queue,
            address,
            directory,
            pipefold: pipefold.to_owned(),
        };
        fleet.init(replicas)?;
        Ok(fleet)
    }

    /// Makes the queue, once its nodes have chosen a leader.
    fn init(&self, replicas: usize) -> Result<()> {
        let setup = Setup {
            replicas,
            // Half of what a node may store: room for everything that is published in a simulated day.
            max_size: MAX_STORE / 2,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let deadline = Instant::now() + PATIENCE;
        runtime.block_on(async {
            loop {
                let made = async {
                    let connection = Connection::open(&self.queue, Purpose::Forward).await?;
                    stream::init(&connection, setup).await?;
                    anyhow::Ok(())
                };
                match made.await {
                    Err(why) if Instant::now() >= deadline => bail!("cannot make the queue: {why:#}"),
                    Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
                    Ok(()) => return Ok(()),
                }
            }
        })
    }

    /// The queue, for publishing.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The number of upserts in the queue. None while no node answers.
    #[must_use]
    pub fn waiting(&self) -> Option<u64> {
        self.cluster.stream(STREAM).map(|stream| stream.messages)
    }

    /// Waits until the queue is empty.
    ///
    /// # Errors
    /// If there was no progress for `patience`, or `beside` fails, which gets the number of upserts that are left.
    pub fn wait_drained(&self, patience: Duration, mut beside: impl FnMut(u64) -> Result<()>) -> Result<()> {
        let (mut least, mut since) = (u64::MAX, Instant::now());
        loop {
            if let Some(waiting) = self.waiting() {
                beside(waiting)?;
                if waiting == 0 {
                    return Ok(());
                }
                if waiting < least {
                    (least, since) = (waiting, Instant::now());
                }
            }
            ensure!(
                since.elapsed() < patience,
                "{least} upserts stay in the queue for {patience:?}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Starts a forwarder.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn forwarder(&self, forwarding: &Forwarding<'_>) -> Result<Forwarder> {
        let mut command = Command::new(&self.pipefold);
        command.env_clear().env("NO_PROXY", "127.0.0.1");
        command.arg("--config").arg(self.directory.path().join("operator.toml"));
        command.args([
            "--quiet",
            "forward",
            "--queue",
            &self.address,
            "--dx-url",
            forwarding.dx_url,
        ]);
        command.arg("--token-file").arg(self.directory.path().join("token"));
        command.args(["--rate", &forwarding.rate.to_string()]);
        command.args(["--window", &format!("{}ms", forwarding.window.as_millis())]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Forwarder { child })
    }
}

/// A running forwarder. Dropped, it is killed.
#[derive(Debug)]
pub struct Forwarder {
    child: Child,
}

impl Forwarder {
    /// The most memory that it has held so far, in bytes.
    ///
    /// # Errors
    /// If the system does not answer.
    pub fn peak_memory(&self) -> Result<u64> {
        let file = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        Ok(1024 * kib.with_context(|| format!("{file} does not say how much memory it held"))?)
    }

    /// Ends it by SIGTERM, and waits for its end.
    ///
    /// # Errors
    /// If it had ended before, or does not end.
    pub fn stop(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("a forwarder ended by itself: {status}");
        }
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).stderr(Stdio::null()).status();
        asked.context("cannot start `kill`")?;
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(
                begun.elapsed() < PATIENCE,
                "a forwarder did not end when it was told to"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// For this user alone: access for others would be a warning at every start.
fn write_secret(path: &Path) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    Ok(file.write_all(TOKEN.as_bytes())?)
}
