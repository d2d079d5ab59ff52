//! A network of its own for a node, and cables between two of them: what is cut is cut by the kernel.
//!
//! A namespace lives as long as a process that waits in it for the test to end, so one that a killed test leaves behind goes by itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use super::network::Cut;
use crate::Random;

/// Where nodes listen for each other. They share it with nobody.
const ROUTES: u16 = 6222;

/// Waits for the end of its input, which a test's death is too, and then ends the node whose process number came last: it would keep the
/// namespace.
const HOLDER: &str =
    "ip link set lo up && echo up && while read -r line; do node=$line; done; [ -z \"$node\" ] || kill -9 \"$node\"";

/// A network with a cable to the test's.
#[derive(Debug)]
pub(super) struct Namespace {
    /// The process that holds it. Behind a lock because the node's process number is told to it.
    holder: Mutex<Child>,
    /// Where what is in it is reached from the test's network.
    pub(super) address: Ipv4Addr,
}

impl Namespace {
    /// Makes one.
    ///
    /// # Errors
    /// Why it cannot: as a rule only root may, and not in every container.
    pub(super) fn new() -> Result<Self, String> {
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", HOLDER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|why| format!("unshare (Debian: util-linux): {why}"))?;
        let mut line = String::new();
        // One that ends before says none.
        let _ = BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line);
        if line != "up\n" {
            let mut why = String::new();
            let _ = holder.stderr.take().unwrap().read_to_string(&mut why);
            let _ = holder.wait();
            return Err(format!(
                "a network namespace needs root and `ip` (Debian: iproute2): {}",
                why.trim()
            ));
        }
        let [here, there] = free_addresses()?;
        let namespace = Self {
            holder: Mutex::new(holder),
            address: there,
        };
        // Named after this process, so that no other's is meant; it goes with the namespace.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("pf{:x}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let id = namespace.id();
        ip(&format!("link add {name} type veth peer name test netns {id}"))?;
        ip(&format!("addr add {here}/30 dev {name}"))?;
        ip(&format!("link set {name} up"))?;
        namespace.ip(&format!("addr add {there}/30 dev test"))?;
        namespace.ip("link set test up")?;
        Ok(namespace)
    }

    /// A command in it.
    pub(super) fn command(&self, program: &std::path::Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.id())).arg(program);
        command
    }

    /// Has this process ended when the test ends, or none.
    pub(super) fn ends_with_the_test(&self, process: Option<u32>) {
        let mut holder = self.holder.lock().unwrap();
        let told = process.map_or_else(String::new, |id| id.to_string());
        writeln!(holder.stdin.as_mut().unwrap(), "{told}").unwrap();
    }

    fn ip(&self, arguments: &str) -> Result<(), String> {
        run(self.command("ip".as_ref()).args(arguments.split(' ')))
    }

    fn id(&self) -> u32 {
        self.holder.lock().unwrap().id()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let holder = self.holder.get_mut().unwrap();
        drop(holder.stdin.take());
        let _ = holder.wait();
    }
}

/// A cable between two namespaces, with an address at each end. There is no other way from one to the other: none has a route but to what its
/// own cables reach.
#[derive(Debug)]
pub(super) struct Cable {
    /// Each end's namespace, and what the cable is called there.
    ends: [(Arc<Namespace>, String); 2],
    /// Where the node with the lower index listens.
    pub(super) low: SocketAddr,
    /// Where the other one does.
    pub(super) high: SocketAddr,
}

impl Cable {
    /// Lays one between the namespaces of two nodes.
    ///
    /// # Panics
    /// If that fails.
    pub(super) fn between(places: &[Arc<Namespace>], low: usize, high: usize) -> Self {
        // Only these two namespaces know of them, so that they may be the same in each cluster.
        let address = |end: u8| Ipv4Addr::new(10, u8::try_from(low).unwrap(), u8::try_from(high).unwrap(), end);
        let ends = [(low, high), (high, low)].map(|(at, to)| (Arc::clone(&places[at]), format!("to-n{to}")));
        let [(one, to_high), (other, to_low)] = &ends;
        let (one, other) = (one.id(), other.id());
        ip(&format!(
            "link add {to_high} netns {one} type veth peer name {to_low} netns {other}"
        ))
        .unwrap();
        for ((place, name), end) in ends.iter().zip([1, 2]) {
            place.ip(&format!("addr add {}/24 dev {name}", address(end))).unwrap();
            place.ip(&format!("link set {name} up")).unwrap();
        }
        Self {
            low: (address(1), ROUTES).into(),
            high: (address(2), ROUTES).into(),
            ends,
        }
    }

    pub(super) fn cut(&self, how: Cut) {
        for (place, name) in &self.ends {
            place.ip(&format!("link set {name} down")).unwrap();
        }
        if how == Cut::Reset {
            for ((place, _), far) in self.ends.iter().zip([self.high, self.low]) {
                // After the link went down, or new connections would take the old ones' place. Each end is told by its own kernel; one that was
                // built without `INET_DIAG_DESTROY` tells nobody, and the cut is a silent one.
                let far = far.ip().to_string();
                run(place.command("ss".as_ref()).args(["--kill", "--tcp", "dst", &far])).unwrap();
            }
        }
    }

    pub(super) fn heal(&self) {
        for (place, name) in &self.ends {
            place.ip(&format!("link set {name} up")).unwrap();
        }
        for ((place, _), far) in self.ends.iter().zip([self.high, self.low]) {
            // The kernel forgot them with the link, and fails here if they are not there again.
            place.ip(&format!("route get {}", far.ip())).unwrap();
        }
    }
}

/// Where nodes in namespaces listen for each other.
pub(super) const ANY_ROUTE: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, ROUTES));

/// Two addresses for a cable to the test's network, out of what is set aside for tests of network devices and so is nobody else's
/// (RFC 2544, 198.18.0.0/15).
fn free_addresses() -> Result<[Ipv4Addr; 2], String> {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let mut random = Random::new(u64::from(now.subsec_nanos()) ^ u64::from(std::process::id()) << 32);
    loop {
        let first = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + 4 * u32::try_from(random.below(1 << 15)).unwrap();
        let network = format!("{}/30", Ipv4Addr::from(first));
        let mut known = Command::new("ip");
        known.args(["-4", "-oneline", "addr", "show", "to", &network]);
        // Others may be at the same: they draw out of 32,768, and do not draw the same.
        if output(&mut known)?.is_empty() {
            return Ok([1, 2].map(|end| Ipv4Addr::from(first + end)));
        }
    }
}

/// In the test's own network.
fn ip(arguments: &str) -> Result<(), String> {
    run(Command::new("ip").args(arguments.split(' ')))
}

fn run(command: &mut Command) -> Result<(), String> {
    output(command).map(drop)
}

fn output(command: &mut Command) -> Result<Vec<u8>, String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|why| format!("{command:?}: {why}"))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(format!("{command:?}: {why}"))
    }
}
