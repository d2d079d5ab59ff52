//! From a host's name to a connection.
//!
//! A name may have addresses that do not answer: most often those of IPv6 on a network without it. They are tried side by side, each a
//! little after the one before it (RFC 8305), so that such an address costs a fraction of a second and not the whole budget.
//!
//! At most one thread is started, to look up a name within a time; if it cannot be started, the name is looked up without it.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, RustlsConnector,
    Transport, time,
};
use ureq::{Agent, Error};

/// The time that one address has before the next one is tried beside it (RFC 8305, section 8: "Connection Attempt Delay").
const HEAD_START: Duration = Duration::from_millis(250);

/// The most addresses that the library holds.
const MOST: usize = 16;

/// The library's client with this connector.
pub fn agent(config: Config) -> Agent {
    agent_with(config, Names)
}

fn agent_with(config: Config, names: impl Resolver) -> Agent {
    let connector = ().chain(ConnectProxyConnector::default()).chain(SideBySide).chain(RustlsConnector::default());
    Agent::with_parts(config, connector, names)
}

/// The system's resolver.
#[derive(Debug)]
struct Names;

impl Resolver for Names {
    fn resolve(&self, uri: &Uri, _: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let malformed = || Error::BadUri(uri.to_string());
        let host = uri.host().ok_or_else(malformed)?;
        let implied = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(implied);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => look_up(host.to_owned(), port, timeout)?,
        };
        if addresses.is_empty() {
            return Err(Error::HostNotFound);
        }
        let mut resolved = self.empty();
        in_turns(addresses)
            .into_iter()
            .take(MOST)
            .for_each(|address| resolved.push(address));
        Ok(resolved)
    }
}

fn look_up(host: String, port: u16, timeout: NextTimeout) -> Result<Vec<SocketAddr>, Error> {
    let look_up = |(host, port): (String, u16)| -> io::Result<Vec<SocketAddr>> {
        Ok((host.as_str(), port).to_socket_addrs()?.collect())
    };
    let Some(limit) = limit(&timeout) else {
        return Ok(look_up((host, port))?);
    };
    let (send, receive) = sync_channel(1);
    let asked = (host.clone(), port);
    let beside = std::thread::Builder::new()
        .name("resolver".into())
        .spawn(move || send.send(look_up(asked)));
    if beside.is_err() {
        return Ok(look_up((host, port))?);
    }
    match receive.recv_timeout(limit) {
        Ok(found) => Ok(found?),
        Err(RecvTimeoutError::Timeout) => Err(Error::Timeout(timeout.reason)),
        Err(RecvTimeoutError::Disconnected) => Err(Error::HostNotFound),
    }
}

/// Orders the addresses of IPv6 and IPv4 in turns, each in the system's order (RFC 8305, section 4).
fn in_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (same, other): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let (mut same, mut other) = (same.into_iter(), other.into_iter());
    let mut turns = Vec::new();
    loop {
        match (same.next(), other.next()) {
            (None, None) => return turns,
            pair => turns.extend([pair.0, pair.1].into_iter().flatten()),
        }
    }
}

fn limit(timeout: &NextTimeout) -> Option<Duration> {
    match timeout.after {
        time::Duration::Exact(limit) => Some(limit),
        time::Duration::NotHappening => None,
    }
}

/// The connector to the first address that answers.
#[derive(Debug)]
struct SideBySide;

impl<In: Transport> Connector<In> for SideBySide {
    type Out = Either<In, Tcp>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        if let Some(through_proxy) = chained {
            return Ok(Some(Either::A(through_proxy)));
        }
        let until = limit(&details.timeout).map(|limit| Instant::now() + limit);
        let stream = race(&details.addrs, until, HEAD_START).map_err(|why| match why.kind() {
            ErrorKind::TimedOut => Error::Timeout(details.timeout.reason),
            _ => Error::Io(why),
        })?;
        stream.set_nodelay(details.config.no_delay())?;
        let (input, output) = (details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(Tcp {
            stream,
            buffers: LazyBuffers::new(input, output),
        })))
    }
}

/// Connects to whichever of the addresses answers first. In a single thread: a build may have used up all others.
fn race(addresses: &[SocketAddr], until: Option<Instant>, head_start: Duration) -> io::Result<TcpStream> {
    let mut to_try = addresses.iter();
    let mut begun: Vec<Socket> = Vec::new();
    let mut next = Instant::now();
    let mut why = io::Error::from(ErrorKind::ConnectionRefused);
    loop {
        let now = Instant::now();
        if until.is_some_and(|until| now >= until) {
            return Err(ErrorKind::TimedOut.into());
        }
        if now >= next
            && let Some(address) = to_try.next()
        {
            match begin(*address) {
                Ok((socket, true)) => return connected(socket),
                Ok((socket, false)) => {
                    begun.push(socket);
                    next = now + head_start;
                }
                Err(error) => why = error,
            }
            continue;
        }
        if begun.is_empty() {
            return Err(why);
        }
        let next_wake = (to_try.len() > 0).then_some(next);
        let wake = [until, next_wake].into_iter().flatten().min();
        for (index, refused) in ready(&begun, wake)?.into_iter().rev() {
            let socket = begun.swap_remove(index);
            match refused {
                None => return connected(socket),
                Some(error) => {
                    why = error;
                    next = now;
                }
            }
        }
    }
}

/// Begins a connection; true if it is made already.
fn begin(address: SocketAddr) -> io::Result<(Socket, bool)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    match socket.connect(&address.into()) {
        Ok(()) => Ok((socket, true)),
        Err(error) if is_in_progress(&error) => Ok((socket, false)),
        Err(error) => Err(error),
    }
}

fn is_in_progress(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock || error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error())
}

fn connected(socket: Socket) -> io::Result<TcpStream> {
    socket.set_nonblocking(false)?;
    Ok(socket.into())
}

/// The indexes of the connections that are made or failed, in order. Empty when the time is up.
fn ready(begun: &[Socket], wake: Option<Instant>) -> io::Result<Vec<(usize, Option<io::Error>)>> {
    let mut polled: Vec<PollFd<'_>> = begun.iter().map(|socket| PollFd::new(socket, PollFlags::OUT)).collect();
    let left = wake.map(|wake| wake.saturating_duration_since(Instant::now()));
    let left = left.and_then(|left| Timespec::try_from(left).ok());
    match poll(&mut polled, left.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let ready = polled.iter().map(|polled| !polled.revents().is_empty());
    let indices: Vec<usize> = ready
        .enumerate()
        .filter_map(|(index, ready)| ready.then_some(index))
        .collect();
    indices
        .into_iter()
        .map(|index| Ok((index, begun[index].take_error()?)))
        .collect()
}

/// A plain connection.
struct Tcp {
    stream: TcpStream,
    buffers: LazyBuffers,
}

impl Transport for Tcp {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = timeout.for_write();
        self.stream.set_write_timeout(some_time(&timeout)?)?;
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.stream.write_all(output).map_err(|why| in_time(why, &timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = timeout.for_read();
        let until = limit(&timeout).map(|limit| Instant::now() + limit);
        self.stream.set_read_timeout(some_time(&timeout)?)?;
        let read = loop {
            match self.stream.read(self.buffers.input_append_buf()) {
                Err(why)
                    if why.kind() == ErrorKind::Interrupted && until.is_none_or(|until| Instant::now() < until) => {}
                read => break read.map_err(|why| in_time(why, &timeout))?,
            }
        };
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    /// Returns true if the connection is up and nothing arrived on it since the last answer.
    fn is_open(&mut self) -> bool {
        let mut byte = [0];
        let silent = self
            .stream
            .set_nonblocking(true)
            .and_then(|()| self.stream.peek(&mut byte));
        let is_silent = silent.is_err_and(|why| why.kind() == ErrorKind::WouldBlock);
        self.stream.set_nonblocking(false).is_ok() && is_silent
    }
}

impl fmt::Debug for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tcp")
            .field("to", &self.stream.peer_addr().ok())
            .finish()
    }
}

/// The timeout to set on a socket, where zero would mean none.
fn some_time(timeout: &NextTimeout) -> Result<Option<Duration>, Error> {
    match limit(timeout) {
        Some(Duration::ZERO) => Err(Error::Timeout(timeout.reason)),
        limit => Ok(limit),
    }
}

fn in_time(why: io::Error, timeout: &NextTimeout) -> Error {
    match why.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Error::Timeout(timeout.reason),
        _ => Error::Io(why),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    /// A listener whose queue is full: further connections are neither made nor refused, as in a black hole.
    fn black_hole() -> (Socket, Vec<Socket>, SocketAddr) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let fill = (0..8).map(|_| begin(address).unwrap().0).collect();
        // The last of them must have had the time to be left waiting.
        std::thread::sleep(Duration::from_millis(50));
        (socket, fill, address)
    }

    #[test]
    fn a_black_hole_costs_its_head_start_and_no_more() {
        let (_hole, _fill, nowhere) = black_hole();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let good = listener.local_addr().unwrap();
        for holes in [1, 3, 8] {
            let addresses: Vec<_> = std::iter::repeat_n(nowhere, holes).chain([good]).collect();
            let start = Instant::now();
            let stream = race(
                &addresses,
                Some(start + Duration::from_secs(20)),
                Duration::from_millis(20),
            )
            .unwrap();
            assert_eq!(stream.peer_addr().unwrap(), good);
            let head_starts = Duration::from_millis(20) * u32::try_from(holes).unwrap();
            assert!(
                (head_starts..Duration::from_secs(10)).contains(&start.elapsed()),
                "{:?}",
                start.elapsed()
            );
        }
    }

    /// A name with these addresses.
    #[derive(Debug)]
    struct Fixed(Vec<SocketAddr>);

    impl Resolver for Fixed {
        fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
            let mut resolved = self.empty();
            self.0.iter().for_each(|address| resolved.push(*address));
            Ok(resolved)
        }
    }

    #[test]
    fn a_request_gets_past_a_black_hole() {
        let (_hole, _fill, nowhere) = black_hole();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let good = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        });
        let start = Instant::now();
        let config = Config::builder().timeout_global(Some(Duration::from_secs(60)));
        let answer = agent_with(config.build(), Fixed(vec![nowhere, good]))
            .get("http://two.example/")
            .call();
        assert_eq!(answer.unwrap().status(), 204);
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
        server.join().unwrap();
    }

    #[test]
    fn a_slow_address_still_wins_when_there_is_nothing_better() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let good = listener.local_addr().unwrap();
        let (_hole, _fill, nowhere) = black_hole();
        let until = Instant::now() + Duration::from_secs(20);
        let stream = race(&[good, nowhere], Some(until), Duration::from_millis(20)).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
    }

    #[test]
    fn after_a_refusal_the_next_address_is_tried_at_once() {
        let refusing = {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            listener.local_addr().unwrap()
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let good = listener.local_addr().unwrap();
        let start = Instant::now();
        let far = Duration::from_secs(60);
        let stream = race(&[refusing, refusing, good], None, far).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
        let why = race(&[refusing, refusing], None, far).unwrap_err();
        assert_eq!(why.kind(), ErrorKind::ConnectionRefused);
    }

    #[test]
    fn black_holes_alone_end_with_the_time() {
        let (_hole, _fill, nowhere) = black_hole();
        let until = Instant::now() + Duration::from_millis(100);
        let why = race(&[nowhere, nowhere], Some(until), Duration::from_millis(10)).unwrap_err();
        assert_eq!(why.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn families_take_turns() {
        let addresses = |hosts: &[&str]| -> Vec<SocketAddr> {
            let at = |host: &&str| SocketAddr::new(host.parse().unwrap(), 443);
            hosts.iter().map(at).collect()
        };
        let turns = in_turns(addresses(&[
            "2001:db8::1",
            "2001:db8::2",
            "2001:db8::3",
            "192.0.2.1",
            "192.0.2.2",
        ]));
        let expected = ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "2001:db8::3"];
        assert_eq!(turns, addresses(&expected));
        assert_eq!(in_turns(addresses(&["192.0.2.1"])), addresses(&["192.0.2.1"]));
    }
}
