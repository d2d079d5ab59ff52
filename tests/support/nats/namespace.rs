//! A network of its own for a node, as a namespace of the kernel's.
//!
//! It lives as long as a process that waits in it for the test to end, so what a killed test leaves behind goes by itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// Waits for the end of its input, which a test's death is too, and then ends the node whose process number came last: it would keep the
/// namespace.
const HOLDER: &str =
    "ip link set lo up && echo up && while read -r line; do node=$line; done; [ -z \"$node\" ] || kill -9 \"$node\"";

/// A network with a way to the test's.
#[derive(Debug)]
pub(super) struct Namespace {
    /// The process that holds it. Behind a lock because it gets the node's process number.
    holder: Mutex<Child>,
    /// The address by which the test's network reaches it.
    pub(super) address: Ipv4Addr,
}

impl Namespace {
    /// Makes one.
    ///
    /// # Errors
    /// The reason of the system: as a rule only root may, and not in every container.
    pub(super) fn new() -> Result<Self, String> {
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", HOLDER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|why| format!("unshare (Debian: util-linux): {why}"))?;
        let mut line = String::new();
        // One that ends before prints none.
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

    /// `ip` in it.
    pub(super) fn ip(&self, arguments: &str) -> Result<(), String> {
        run(self.command("ip".as_ref()).args(arguments.split(' ')))
    }

    /// Its name for `ip`.
    pub(super) fn id(&self) -> u32 {
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

/// Two addresses for the way to the test's network, out of the range that is set aside for tests of network devices
/// (RFC 2544, 198.18.0.0/15).
fn free_addresses() -> Result<[Ipv4Addr; 2], String> {
    loop {
        let first = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + 4 * fastrand::u32(..1 << 15);
        let network = format!("{}/30", Ipv4Addr::from(first));
        let mut known = Command::new("ip");
        known.args(["-4", "-oneline", "addr", "show", "to", &network]);
        // Others may be at the same: they draw out of 32,768, and do not draw the same.
        if output(&mut known)?.is_empty() {
            return Ok([1, 2].map(|end| Ipv4Addr::from(first + end)));
        }
    }
}

/// `ip` in the test's own network.
pub(super) fn ip(arguments: &str) -> Result<(), String> {
    run(Command::new("ip").args(arguments.split(' ')))
}

/// Runs a command whose output matters only if it fails.
pub(super) fn run(command: &mut Command) -> Result<(), String> {
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
