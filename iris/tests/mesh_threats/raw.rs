//! A peer made of bytes: what it says is up to the test.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use iris::Pid;
use iris::wire::connection::LinkId;
use iris::wire::handshake::{Auth, Handshake, HandshakeConfig, Progress};
use iris::wire::{Config, Connection, Event, Frame, Message, Name, NodeId};

use super::PATIENCE;

pub(super) fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// All that comes until the other end closes.
pub(super) fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    // A reset is an end, too.
    drop(stream.read_to_end(&mut all));
    all
}

/// One that speaks the framed protocol.
pub(super) struct Framed {
    stream: TcpStream,
    connection: Connection,
    link: LinkId,
    pub(super) events: Vec<Event>,
}

impl Framed {
    pub(super) fn config(id: u8) -> HandshakeConfig {
        HandshakeConfig::new(NodeId([id; 16]), 1, Auth::Open)
    }

    /// Dials a node; an error is what the node says.
    pub(super) fn dial(address: &str, config: &HandshakeConfig) -> Result<Self, String> {
        let mut stream = connect(address);
        let made = Handshake::dial(Instant::now(), config.clone(), [7; 32]);
        let mut handshake = made.map_err(|error| error.to_string())?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let bytes = handshake.poll_transmit();
            stream.write_all(&bytes).map_err(|it| it.to_string())?;
            let n = stream.read(&mut buffer).map_err(|it| it.to_string())?;
            if n == 0 {
                return Err("closed".to_owned());
            }
            let input = Bytes::copy_from_slice(&buffer[..n]);
            match handshake.handle_input(Instant::now(), input) {
                Ok(Progress::Done(link)) => {
                    let now = Instant::now();
                    let own = Config::new(&config.hello);
                    let mut connection = Connection::new(now, own, link.peer.clone());
                    let link = connection.attach(now, *link).unwrap();
                    return Ok(Self {
                        stream,
                        connection,
                        link,
                        events: Vec::new(),
                    });
                }
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn flush(&mut self) {
        let mut chunks = Vec::new();
        let now = Instant::now();
        while self
            .connection
            .poll_transmit(now, self.link, 64 << 10, &mut chunks)
            > 0
        {
            for chunk in chunks.drain(..) {
                self.stream.write_all(&chunk).unwrap();
            }
        }
    }

    pub(super) fn send(&mut self, dst: Pid, data: &'static [u8]) {
        let message = Message::Send {
            dst,
            src: None,
            data: Bytes::from_static(data),
        };
        self.connection.send(message, None).unwrap();
    }

    pub(super) fn send_name(&mut self, name: &str, data: &'static [u8]) {
        let message = Message::SendName {
            src: None,
            name: Name::try_from(name).unwrap(),
            data: Bytes::from_static(data),
        };
        self.connection.send(message, None).unwrap();
    }

    pub(super) fn call(&mut self, req: u64, dst: Pid) {
        let message = Message::Call {
            req,
            dst,
            src: None,
            deadline_ms: 0,
            data: Bytes::from_static(b"?"),
        };
        self.connection.send(message, None).unwrap();
    }

    pub(super) fn signal(&mut self, frame: Frame) {
        self.connection.signal(frame, None).unwrap();
    }

    /// Carries bytes both ways until `done`, which looks at all events so far.
    pub(super) fn run(&mut self, what: &str, done: impl Fn(&[Event]) -> bool) {
        let began = Instant::now();
        let mut buffer = vec![0; 64 << 10];
        loop {
            self.flush();
            while let Some(event) = self.connection.poll_event() {
                if let Event::Message { cost, .. } = &event {
                    self.connection.release(*cost);
                }
                self.events.push(event);
            }
            if done(&self.events) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{what}: {:?}", self.events);
            let n = match self.stream.read(&mut buffer) {
                Ok(n) => n,
                Err(error) => panic!("{what}: {error}, {:?}", self.events),
            };
            let now = Instant::now();
            if n == 0 {
                self.connection.link_lost(now, self.link);
            } else {
                let input = Bytes::copy_from_slice(&buffer[..n]);
                self.connection.handle_input(now, self.link, input);
            }
        }
    }

    /// Signals of the node that `pick` wants.
    pub(super) fn signals<T>(&self, pick: impl Fn(&Frame) -> Option<T>) -> Vec<T> {
        let signal = |event: &Event| match event {
            Event::Signal { frame, .. } => pick(frame),
            _ => None,
        };
        self.events.iter().filter_map(signal).collect()
    }
}

/// A wire to `target` that counts its connections, and keeps what the dialler of the first has said.
pub(super) struct Tap {
    pub(super) address: String,
    connections: Arc<AtomicUsize>,
    pub(super) said: Arc<Mutex<Vec<u8>>>,
    ends: Arc<Mutex<Vec<TcpStream>>>,
    /// What new connections hear in place of the target.
    lie: Arc<Mutex<Option<&'static [u8]>>>,
    /// How diallers began who heard it.
    pub(super) lied: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    pub(super) fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tap = Self {
            address: listener.local_addr().unwrap().to_string(),
            connections: Arc::default(),
            said: Arc::default(),
            ends: Arc::default(),
            lie: Arc::default(),
            lied: Arc::default(),
        };
        let (connections, said, ends) =
            (tap.connections.clone(), tap.said.clone(), tap.ends.clone());
        let (lie, lied) = (tap.lie.clone(), tap.lied.clone());
        thread::spawn(move || {
            for mut near in listener.incoming().flatten() {
                let lie = *lie.lock().unwrap();
                if let Some(lie) = lie {
                    let mut buffer = [0; 4096];
                    let n = near.read(&mut buffer).unwrap_or(0);
                    lied.lock().unwrap().extend_from_slice(&buffer[..n]);
                    drop(near.write_all(lie));
                    connections.fetch_add(1, Ordering::SeqCst);
                    continue;
                }
                let Ok(far) = TcpStream::connect(&target) else {
                    continue;
                };
                let first = connections.fetch_add(1, Ordering::SeqCst) == 0;
                let (near2, far2) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                for end in [&near, &far] {
                    ends.lock().unwrap().push(end.try_clone().unwrap());
                }
                let kept = first.then(|| said.clone());
                thread::spawn(move || carry(near, far, kept.as_deref()));
                thread::spawn(move || carry(far2, near2, None));
            }
        });
        tap
    }

    /// Connections so far.
    pub(super) fn count(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(super) fn says_only(&self, lie: &'static [u8]) {
        *self.lie.lock().unwrap() = Some(lie);
    }

    pub(super) fn is_honest(&self) {
        *self.lie.lock().unwrap() = None;
    }

    pub(super) fn cut(&self) {
        for end in self.ends.lock().unwrap().drain(..) {
            drop(end.shutdown(Shutdown::Both));
        }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, kept: Option<&Mutex<Vec<u8>>>) {
    let mut buffer = vec![0; 32 << 10];
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(n) => n,
        };
        if let Some(kept) = kept {
            kept.lock().unwrap().extend_from_slice(&buffer[..n]);
        }
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}

/// A server that answers every connection with `answer` and then keeps it open.
pub(super) fn answering(answer: &'static [u8]) -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
    let all = heard.clone();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let all = all.clone();
            thread::spawn(move || -> io::Result<()> {
                let mut buffer = [0; 4096];
                loop {
                    let n = stream.read(&mut buffer)?;
                    if n == 0 {
                        return Ok(());
                    }
                    all.lock().unwrap().extend_from_slice(&buffer[..n]);
                    stream.write_all(answer)?;
                }
            });
        }
    });
    (address, heard)
}

/// Resolves a name with the original packets; `None` if the node closes instead.
pub(super) fn resolve(stream: &mut TcpStream, name: &[u8]) -> Option<u64> {
    let len = u32::try_from(name.len()).unwrap().to_be_bytes();
    stream.write_all(&[&[1], &len[..], name].concat()).ok()?;
    let mut pid = [0; 8];
    stream.read_exact(&mut pid).ok()?;
    Some(u64::from_be_bytes(pid))
}
