//! A server on a socket whose answers a test writes, and helpers of all tests.

use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dx_standin::Socket;
use dx_standin::http::{self, Stream};
use pipefold_gocd::client::{Client, ClientOptions, Credentials, Secret};
use pipefold_gocd::documents::{Counter, Name, PipelineLocator, StageLocator};
use pipefold_gocd::{Dialect, Resource, ServerUrl};

/// A document, as far as the client looks.
pub(crate) const DOCUMENT: &str = "<?xml version=\"1.0\"?>\n<pipelines/>";
/// The timeout for answers that come: long enough for any, and short enough to fail a test that waits for ever.
pub(crate) const AMPLE: Duration = Duration::from_secs(20);
/// The timeout for answers that do not come.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// The server's reaction to a request.
pub(crate) enum Deed {
    /// Answers with a status, headers and a body, and keeps the connection.
    Say(u16, Vec<(String, String)>, Vec<u8>),
    /// Writes that and closes.
    Raw(Vec<u8>),
    /// Writes the first, then the second again and again with a pause between.
    Repeat(Vec<u8>, Vec<u8>, Duration),
    /// Sends nothing and keeps the connection open.
    Silence,
}

/// An answer with that status and body.
pub(crate) fn say(status: u16, body: &str) -> Deed {
    Deed::Say(status, Vec::new(), body.as_bytes().to_vec())
}

/// The same with headers.
pub(crate) fn say_with(status: u16, headers: &[(&str, &str)], body: &str) -> Deed {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Deed::Say(status, headers.iter().map(owned).collect(), body.as_bytes().to_vec())
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The number of requests before it.
    pub(crate) number: usize,
    /// The number of its connection, from 1.
    pub(crate) connection: u64,
    /// Method and path.
    pub(crate) line: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// A server that ends when it is dropped.
pub(crate) struct Server {
    socket: Socket,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) fn start(deed: impl Fn(&Request) -> Deed + Send + Sync + 'static) -> Self {
        Self::start_at(0, deed)
    }

    pub(crate) fn start_at(port: u16, deed: impl Fn(&Request) -> Deed + Send + Sync + 'static) -> Self {
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let log = requests.clone();
        let socket = Socket::open(port, move |stream, number| serve(stream, number, &log, &deed)).unwrap();
        Self { socket, requests }
    }

    pub(crate) fn port(&self) -> u16 {
        self.socket.address().port()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.line).collect()
    }

    pub(crate) fn options(&self) -> ClientOptions {
        options(self.port())
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.options()).unwrap()
    }
}

fn serve(stream: TcpStream, connection: u64, requests: &Mutex<Vec<Request>>, deed: &dyn Fn(&Request) -> Deed) {
    let mut stream = Stream::new(stream);
    while let Ok(http::Request {
        method,
        target,
        headers,
        ..
    }) = stream.read_request()
    {
        let request = {
            let mut requests = requests.lock().unwrap();
            let number = requests.len();
            requests.push(Request {
                number,
                connection,
                line: format!("{method} {target}"),
                headers,
            });
            requests.last().unwrap().clone()
        };
        match deed(&request) {
            Deed::Say(status, headers, body) => {
                let mut head = format!("HTTP/1.1 {status} Words\r\nContent-Length: {}\r\n", body.len());
                for (name, value) in headers {
                    head += &format!("{name}: {value}\r\n");
                }
                if stream.write(&[head.as_bytes(), b"\r\n", &body].concat()).is_err() {
                    return;
                }
            }
            Deed::Raw(bytes) => {
                let _ = stream.write(&bytes);
                return;
            }
            Deed::Repeat(first, rest, pause) => {
                // Until either side closes the connection.
                let mut alive = stream.write(&first).is_ok();
                while alive {
                    alive = stream.write(&rest).is_ok();
                    std::thread::sleep(pause);
                }
                return;
            }
            Deed::Silence => {
                stream.drain();
                return;
            }
        }
    }
}

pub(crate) fn server_url(port: u16) -> ServerUrl {
    ServerUrl::parse(&format!("http://127.0.0.1:{port}/go")).unwrap()
}

/// Options with pauses as short as tests need.
pub(crate) fn options(port: u16) -> ClientOptions {
    ClientOptions {
        timeout: AMPLE,
        first_pause: Duration::from_millis(1),
        ..ClientOptions::new(server_url(port))
    }
}

pub(crate) fn basic(password: &str) -> Credentials {
    Credentials::Basic {
        user: "Aladdin".to_owned(),
        password: Secret::new(password.to_owned()).unwrap(),
    }
}

pub(crate) fn pipelines() -> Resource {
    Resource::Pipelines(Dialect::New)
}

pub(crate) fn run() -> PipelineLocator {
    PipelineLocator {
        name: Name::new("shop/ä").unwrap(),
        counter: Counter::parse("7").unwrap(),
    }
}

/// A stage's run by its name, which C redirects.
pub(crate) fn by_name() -> Resource {
    Resource::StageByName(StageLocator {
        pipeline: PipelineLocator {
            name: Name::new("shop").unwrap(),
            counter: Counter::parse("7").unwrap(),
        },
        name: Name::new("build").unwrap(),
        counter: Counter::parse("1").unwrap(),
    })
}

/// Runs something, and checks that it ended long before a test's patience.
pub(crate) fn quickly<T>(run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    assert!(start.elapsed() < AMPLE / 2, "took {:?}", start.elapsed());
    result
}
