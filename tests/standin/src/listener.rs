//! The listening socket: a thread that accepts, and one for each connection.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::connection;
use crate::state::State;
use crate::tls::Tls;

/// The thread that accepts connections, and a way to end it.
#[derive(Debug)]
pub(crate) struct Listener {
    address: SocketAddr,
    closing: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Listener {
    /// Accepts connections from now on.
    ///
    /// # Errors
    ///
    /// If a thread cannot be started.
    pub(crate) fn run(socket: TcpListener, state: Arc<State>, tls: Option<Arc<Tls>>) -> io::Result<Self> {
        let address = socket.local_addr()?;
        let closing = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&closing);
        let accept = move || {
            for stream in socket.incoming() {
                if seen.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (state, tls) = (Arc::clone(&state), tls.clone());
                let number = state.enter(&stream);
                let serve = move || {
                    // Answers are small and awaited: they must not wait for more to fill a packet.
                    let _ = stream.set_nodelay(true);
                    match tls {
                        None => connection::serve(&state, stream, number),
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream) {
                                connection::serve(&state, stream, number);
                            }
                        }
                    }
                    state.leave(number);
                };
                // Without a thread the connection is dropped, which the client sees.
                let _ = std::thread::Builder::new().name("dx-standin".to_owned()).spawn(serve);
            }
        };
        let thread = std::thread::Builder::new()
            .name("dx-standin-accept".to_owned())
            .spawn(accept)?;
        Ok(Self {
            address,
            closing,
            thread,
        })
    }

    /// Stops listening, and returns when the kernel refuses connections. Open ones go on.
    pub(crate) fn close(self) {
        self.closing.store(true, Ordering::Relaxed);
        // `accept` waits for a connection: give it one.
        if TcpStream::connect(self.address).is_ok() {
            // Its only way to fail is a panic, and that was printed.
            let _ = self.thread.join();
        }
    }
}
