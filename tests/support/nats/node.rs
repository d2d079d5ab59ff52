//! One nats-server.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dx_standin::until;
use serde_json::Value;

use super::PATIENCE;
use super::cable::ANY_ROUTE;
use super::cluster::Options;
use super::namespace::Namespace;
use super::proxy::{Gate, Proxy};
use super::standing::tail;

/// The limit of a node's answer about itself.
const ANSWER: Duration = Duration::from_secs(5);

/// One server with its ports, its data, and its process while it has one.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) index: usize,
    program: PathBuf,
    directory: PathBuf,
    /// The network that it is in, if that is one of its own.
    place: Option<Arc<Namespace>>,
    /// The address on which it listens for clients.
    listens: SocketAddr,
    /// The address at which other nodes reach it, unless there is a link between them that can be cut.
    pub(super) route: SocketAddr,
    monitor: SocketAddr,
    /// The address for clients of a node in a network of its own: `pipefold` speaks without TLS to this machine alone.
    entrance: Option<Proxy>,
    /// Behind a lock because asking for its end needs it mutable.
    process: Mutex<Option<Child>>,
}

/// The index of the node of this name.
pub(super) fn index_of(name: &str) -> Option<usize> {
    name.strip_prefix('n')?.parse().ok()
}

impl Node {
    pub(super) fn new(program: &Path, index: usize, directory: &Path, place: Option<Arc<Namespace>>) -> Self {
        /// The usual port: no other process is in this network.
        const PORTS: [u16; 2] = [4222, 8222];
        std::fs::create_dir(directory).unwrap();
        let [listens, route, monitor] = match &place {
            Some(place) => {
                let [client, monitor] = PORTS.map(|port| SocketAddr::from((place.address, port)));
                [client, ANY_ROUTE, monitor]
            }
            None => free_ports(),
        };
        Self {
            index,
            program: program.to_owned(),
            directory: directory.to_owned(),
            entrance: place.as_ref().map(|_| Proxy::to(listens, &Gate::new())),
            place,
            listens,
            route,
            monitor,
            process: Mutex::new(None),
        }
    }

    /// Its address for clients.
    pub(super) fn client(&self) -> SocketAddr {
        self.entrance.as_ref().map_or(self.listens, |entrance| entrance.address)
    }

    /// Writes its configuration.
    pub(super) fn configure(&self, routes: &[SocketAddr], options: &Options) {
        let (index, store) = (self.index, self.directory.join("data"));
        let mut text = format!(
            "server_name: n{index}\nlisten: \"{}\"\nhttp: \"{}\"\njetstream {{ store_dir: \"{}\", max_memory_store: 16MB, max_file_store: {} }}\n{}\n",
            self.listens,
            self.monitor,
            store.display(),
            options.max_store,
            options.configuration,
        );
        if !routes.is_empty() {
            let routes: Vec<String> = routes.iter().map(|route| format!("\"nats-route://{route}\"")).collect();
            // Nodes share the addresses of others. With links they must not find a way around them: no process listens on port 1.
            let advertise = if options.links {
                ", advertise: \"127.0.0.1:1\""
            } else {
                ""
            };
            text.push_str(&format!(
                "cluster {{ name: fleet, listen: \"{}\", routes: [{}]{advertise} }}\n",
                self.route,
                routes.join(", ")
            ));
        }
        std::fs::write(self.directory.join("nats.conf"), text).unwrap();
    }

    /// Starts it and waits until it listens for clients.
    pub(super) fn start(&self) {
        assert!(!self.is_alive(), "n{} runs", self.index);
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.directory.join("log"))
            .unwrap();
        let mut command = match &self.place {
            Some(place) => place.command(&self.program),
            None => Command::new(&self.program),
        };
        let child = command
            .arg("--config")
            .arg(self.directory.join("nats.conf"))
            .env_clear()
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        if let Some(place) = &self.place {
            place.ends_with_the_test(Some(child.id()));
        }
        *self.process.lock().unwrap() = Some(child);
        let listens = || TcpStream::connect(self.listens).is_ok();
        until(PATIENCE, || (listens() || !self.is_alive()).then_some(()));
        assert!(listens(), "n{} does not listen\n{}", self.index, tail(&self.log()));
    }

    pub(super) fn is_alive(&self) -> bool {
        let mut process = self.process.lock().unwrap();
        process
            .as_mut()
            .is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    pub(super) fn kill(&self) {
        if let Some(mut child) = self.process.lock().unwrap().take() {
            // It may have ended.
            let _ = child.kill();
            let _ = child.wait();
            // The number may become another process's.
            if let Some(place) = &self.place {
                place.ends_with_the_test(None);
            }
        }
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// The answer of its monitoring to a path.
    pub(super) fn monitor(&self, path: &str) -> Option<Value> {
        let mut stream = TcpStream::connect_timeout(&self.monitor, ANSWER).ok()?;
        stream.set_read_timeout(Some(ANSWER)).ok()?;
        // Of HTTP 1.0, so that a long answer comes in one piece.
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let body = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        serde_json::from_slice(&answer[body..]).ok()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Free ports, below those that the system gives to connections: a killed node finds its own free again.
fn free_ports<const COUNT: usize>() -> [SocketAddr; COUNT] {
    /// Above what services use.
    const FIRST: u16 = 12_000;
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let end = range.split_whitespace().next().and_then(|low| low.parse().ok());
    let end = end.filter(|end| *end > FIRST + 1000).unwrap_or(32_768);
    // Held until all are found, so that none is found twice.
    let mut held = Vec::new();
    while held.len() < COUNT {
        let port = fastrand::u16(FIRST..end);
        held.extend(TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
    }
    std::array::from_fn(|index| held[index].local_addr().unwrap())
}
