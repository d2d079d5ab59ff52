//! A port that passes on to another one, until it is cut.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use super::network::Cut;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Cut(Cut),
    Closed,
}

/// The shared orders of proxies that are cut together.
#[derive(Debug)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
    /// Both ends of all connections, to be ended by a cut.
    connections: Mutex<BTreeMap<u64, [TcpStream; 2]>>,
}

impl Gate {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::Open),
            changed: Condvar::new(),
            connections: Mutex::default(),
        })
    }

    pub(super) fn cut(&self, how: Cut) {
        self.set(State::Cut(how));
    }

    pub(super) fn heal(&self) {
        self.set(State::Open);
    }

    fn set(&self, state: State) {
        *self.state.lock().unwrap() = state;
        self.changed.notify_all();
        if matches!(state, State::Cut(Cut::Reset) | State::Closed) {
            for stream in self.connections.lock().unwrap().values().flatten() {
                // It may have ended.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    /// Waits while the network is silent. Returns true if it is open then.
    fn wait(&self) -> bool {
        let state = self.state.lock().unwrap();
        let silent = |state: &mut State| *state == State::Cut(Cut::Silent);
        *self.changed.wait_while(state, silent).unwrap() == State::Open
    }

    fn is_closed(&self) -> bool {
        *self.state.lock().unwrap() == State::Closed
    }
}

/// A port on this machine. Dropped, it and all that share its gate end their connections.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    gate: Arc<Gate>,
}

impl Proxy {
    /// Listens, and passes on to the target while the gate is open.
    pub(super) fn to(target: SocketAddr, gate: &Arc<Gate>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = Arc::clone(gate);
        std::thread::spawn(move || {
            while let Ok((from, _)) = listener.accept() {
                if accepting.is_closed() {
                    break;
                }
                let gate = Arc::clone(&accepting);
                std::thread::spawn(move || pass(&from, target, &gate));
            }
        });
        Self {
            address,
            gate: Arc::clone(gate),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.gate.set(State::Closed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

/// Passes on the bytes between two ends, until one of them ends or the network is cut.
fn pass(from: &TcpStream, target: SocketAddr, gate: &Gate) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    if !gate.wait() {
        return;
    }
    let Ok(to) = TcpStream::connect(target) else { return };
    for stream in [from, &to] {
        // Nodes send small pieces and wait for the answer.
        let _ = stream.set_nodelay(true);
    }
    let (Ok(one), Ok(other)) = (from.try_clone(), to.try_clone()) else {
        return;
    };
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    gate.connections.lock().unwrap().insert(number, [one, other]);
    // A cut that came in between has not seen this one.
    if gate.wait() {
        std::thread::scope(|scope| {
            scope.spawn(|| copy(&to, from, gate));
            copy(from, &to, gate);
        });
    }
    gate.connections.lock().unwrap().remove(&number);
}

fn copy(mut from: &TcpStream, mut to: &TcpStream, gate: &Gate) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if !gate.wait() || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    for stream in [from, to] {
        let _ = stream.shutdown(Shutdown::Both);
    }
}
