//! A server that speaks NATS as badly as it likes, and one that puts words into another's mouth.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// The limit of a connection: longer than any client stays.
const PATIENCE: Duration = Duration::from_secs(60);

/// The behaviour on a connection.
type Talk = dyn Fn(&mut TcpStream, &Heard) + Send + Sync;

/// The bytes from clients, on all connections.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<u8>>>);

/// A server that listens until the test ends.
pub struct Liar {
    address: SocketAddr,
    heard: Heard,
}

impl Heard {
    pub fn add(&self, bytes: &[u8]) {
        self.0.lock().unwrap().extend_from_slice(bytes);
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Liar {
    /// Starts a server that calls this with every connection, each in a thread of its own.
    pub fn start(talk: impl Fn(&mut TcpStream, &Heard) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (address, heard) = (listener.local_addr().unwrap(), Heard::default());
        let (talk, ear): (Arc<Talk>, Heard) = (Arc::new(talk), heard.clone());
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let (talk, ear) = (Arc::clone(&talk), ear.clone());
                for set in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
                    set(&stream, Some(PATIENCE)).unwrap();
                }
                std::thread::spawn(move || talk(&mut stream, &ear));
            }
        });
        Self { address, heard }
    }

    /// Sends this, and then nothing more.
    pub fn saying(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |stream, heard| {
            if stream.write_all(&bytes).is_ok() {
                listen(stream, heard);
            }
        })
    }

    /// Sends this, and then these bytes over and over.
    pub fn endlessly(first: &'static str, bytes: &'static [u8]) -> Self {
        Self::start(move |stream, _| {
            let piece = bytes.repeat(64 * 1024 / bytes.len());
            let mut went = stream.write_all(first.as_bytes());
            while went.is_ok() {
                went = stream.write_all(&piece);
            }
        })
    }

    /// Greets with these fields, and answers what it is asked under a subject with the bytes that come behind `MSG reply id `, or not at all.
    pub fn answering(fields: Value, answer: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self::start(move |stream, heard| {
            let _ = stream.write_all(greeting(&fields).as_bytes());
            // It ends with the client.
            let _ = converse(stream, heard, &answer);
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address for clients that do not encrypt.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// The bytes from clients so far.
    pub fn heard(&self) -> String {
        self.heard.text()
    }
}

/// Passes on the bytes between a server and its clients.
pub struct Relay {
    address: SocketAddr,
    clients: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    /// Starts a relay in front of this server.
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let clients = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&clients);
        std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let server = TcpStream::connect(server).unwrap();
                all.lock().unwrap().push(client.try_clone().unwrap());
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    // It ends with either of them.
                    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                }
            }
        });
        Self { address, clients }
    }

    /// Its address for clients that do not encrypt.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Sends this to all clients, as if it came from the server.
    pub fn say(&self, bytes: &[u8]) {
        for mut client in self.clients.lock().unwrap().iter() {
            // It may be gone.
            let _ = client.write_all(bytes);
        }
    }
}

/// A server's greeting, with these fields besides the usual ones, or in place of them.
pub fn greeting(fields: &Value) -> String {
    let mut info = json!({
        "server_id": "LIAR", "server_name": "liar", "version": "2.12.0", "proto": 1, "host": "127.0.0.1", "port": 4222, "headers": true,
        "max_payload": 1_048_576, "jetstream": true, "client_id": 1,
    });
    for (name, value) in fields.as_object().into_iter().flatten() {
        info[name] = value.clone();
    }
    format!("INFO {info}\r\n")
}

/// An answer of this text, in the form that follows a message's subject and id.
pub fn text(text: &str) -> Option<Vec<u8>> {
    Some(format!("{}\r\n{text}\r\n", text.len()).into_bytes())
}

fn listen(stream: &mut TcpStream, heard: &Heard) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        heard.add(&bytes[..count]);
    }
}

fn converse(stream: &mut TcpStream, heard: &Heard, answer: &dyn Fn(&str) -> Option<Vec<u8>>) -> std::io::Result<()> {
    let mut from = BufReader::new(stream.try_clone()?);
    // Subjects that the client listens to, with their ids; what follows the last dot may be anything.
    let mut subscribed: Vec<(String, String)> = Vec::new();
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(());
        }
        heard.add(line.as_bytes());
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["PING"] => stream.write_all(b"PONG\r\n")?,
            ["SUB", subject, .., id] => {
                let prefix = subject.trim_end_matches('*').to_owned();
                subscribed.push((prefix, (*id).to_owned()));
            }
            ["PUB" | "HPUB", subject, middle @ .., length] => {
                let mut payload = vec![0; length.parse::<usize>().unwrap() + 2];
                from.read_exact(&mut payload)?;
                heard.add(&payload);
                let Some(reply) = middle.first() else { continue };
                let Some((_, id)) = subscribed.iter().find(|(prefix, _)| reply.starts_with(prefix.as_str())) else {
                    continue;
                };
                if let Some(answer) = answer(subject) {
                    stream.write_all(format!("MSG {reply} {id} ").as_bytes())?;
                    stream.write_all(&answer)?;
                }
            }
            _ => {}
        }
    }
}
