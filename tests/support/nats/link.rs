//! The network between two nodes, as proxies that can be cut.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// How a network can be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Whatever is sent vanishes for as long as it lasts, as when a cable is pulled: nobody is told. What was on its way arrives after.
    Silent,
    /// Connections are ended, and new ones refused.
    Reset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Cut(Cut),
    Closed,
}

/// Two proxies, one in each direction of connecting, that share their fate.
#[derive(Debug)]
pub(super) struct Link {
    /// Where the node with the higher index reaches the one with the lower.
    pub(super) to_low: SocketAddr,
    /// The other direction.
    pub(super) to_high: SocketAddr,
    gate: Arc<Gate>,
}

impl Link {
    /// Listens for both.
    pub(super) fn between(low: SocketAddr, high: SocketAddr) -> Self {
        let gate = Arc::new(Gate {
            state: Mutex::new(State::Open),
            changed: Condvar::new(),
            streams: Mutex::default(),
        });
        Self {
            to_low: listen(low, &gate),
            to_high: listen(high, &gate),
            gate,
        }
    }

    pub(super) fn cut(&self, how: Cut) {
        self.gate.set(State::Cut(how));
    }

    pub(super) fn heal(&self) {
        self.gate.set(State::Open);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.gate.set(State::Closed);
        for address in [self.to_low, self.to_high] {
            // Wakes the thread that accepts.
            let _ = TcpStream::connect(address);
        }
    }
}

#[derive(Debug)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
    /// All connections, to be ended by a cut.
    streams: Mutex<Vec<TcpStream>>,
}

impl Gate {
    fn set(&self, state: State) {
        *self.state.lock().unwrap() = state;
        self.changed.notify_all();
        if matches!(state, State::Cut(Cut::Reset) | State::Closed) {
            for stream in self.streams.lock().unwrap().drain(..) {
                // It may have ended.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    /// Waits while the network is silent. Says whether it is open then.
    fn wait(&self) -> bool {
        let state = self.state.lock().unwrap();
        let silent = |state: &mut State| *state == State::Cut(Cut::Silent);
        *self.changed.wait_while(state, silent).unwrap() == State::Open
    }

    fn is_closed(&self) -> bool {
        *self.state.lock().unwrap() == State::Closed
    }
}

fn listen(target: SocketAddr, gate: &Arc<Gate>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let gate = Arc::clone(gate);
    std::thread::spawn(move || {
        while let Ok((from, _)) = listener.accept() {
            if gate.is_closed() {
                break;
            }
            let gate = Arc::clone(&gate);
            std::thread::spawn(move || pass(from, target, &gate));
        }
    });
    address
}

/// Passes on what two ends say to each other, until one of them ends or the network is cut.
fn pass(from: TcpStream, target: SocketAddr, gate: &Arc<Gate>) {
    if !gate.wait() {
        return;
    }
    let Ok(to) = TcpStream::connect(target) else { return };
    let mut copies = Vec::new();
    for stream in [&from, &to] {
        // Nodes send small pieces and wait for the answer.
        let _ = stream.set_nodelay(true);
        let (Ok(one), Ok(other)) = (stream.try_clone(), stream.try_clone()) else {
            return;
        };
        gate.streams.lock().unwrap().push(one);
        copies.push(other);
    }
    // A cut that came in between has not seen these.
    if !gate.wait() {
        return;
    }
    let (back_to, back_from) = (copies.remove(0), copies.remove(0));
    let back = Arc::clone(gate);
    std::thread::spawn(move || copy(back_from, back_to, &back));
    copy(from, to, gate);
}

fn copy(mut from: TcpStream, mut to: TcpStream, gate: &Gate) {
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
