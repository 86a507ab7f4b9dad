//! Peers that want all of a node's memory, places or time.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use iris::NodeConfig;
use iris::mesh::{Incoming, Link, Listener, Tcp, Transport};

use super::raw::{Framed, connect, resolve};
use super::{ask, echo, runtime, runtime_with, until};

/// Set for the process that is attacked.
const VICTIM: &str = "IRIS_TEST_VICTIM";

/// Runs `attack` on a node in a process of its own; gives by how many KiB that has grown.
fn growth_of_a_victim(attack: impl FnOnce(&str) -> Vec<TcpStream>) -> u64 {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "flood::the_victim", "--nocapture"])
        .env(VICTIM, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = io::BufReader::new(victim.stdout.take().unwrap());
    let mut read = |what: &str| {
        let mut line = String::new();
        while !line.starts_with(what) {
            line.clear();
            let n = io::BufRead::read_line(&mut out, &mut line).unwrap();
            assert_ne!(n, 0, "the victim is gone");
        }
        line[what.len()..].trim().to_owned()
    };
    let address = read("address ");
    let before: u64 = read("kib ").parse().unwrap();
    let streams = attack(&address);
    // What it holds while they are open.
    let mut ask = victim.stdin.take().unwrap();
    ask.write_all(b"x").unwrap();
    let after: u64 = read("kib ").parse().unwrap();
    drop((ask, streams));
    assert!(victim.wait().unwrap().success());
    after.saturating_sub(before)
}

/// Resident memory of this process.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.unwrap().parse().unwrap()
}

/// Not a test by itself: the process that the others attack.
#[test]
fn the_victim() {
    if std::env::var_os(VICTIM).is_none() {
        return;
    }
    let rt = runtime_with(NodeConfig {
        // All of them at once, or the gate would keep most of them out.
        max_links: 10_000,
        max_unproven: 10_000,
        max_unproven_per_ip: 10_000,
        ..NodeConfig::default()
    });
    echo(&rt);
    let address = rt.listen("127.0.0.1:0").unwrap();
    ask(&runtime(), &address, b"warm");
    let mut out = io::stdout();
    writeln!(out, "\naddress {address}\nkib {}", resident_kib()).unwrap();
    let mut input = io::stdin();
    input.read_exact(&mut [0]).unwrap();
    // An honest peer is served meanwhile, and all that came before it has been read.
    ask(&runtime(), &address, b"alive");
    writeln!(out, "\nkib {}", resident_kib()).unwrap();
    // Until the other side has let go.
    drop(input.read(&mut [0]));
}

#[cfg(target_os = "linux")]
#[test]
fn headers_that_announce_gigabytes_cost_nothing() {
    const LINKS: usize = 1_000;
    let four_gib = u32::MAX.to_be_bytes();
    let frame = [&[0x10, 0, 0, 0][..], &four_gib].concat();
    let packet = [&[1, 0][..], &(1_u64 << 52).to_be_bytes(), &four_gib].concat();
    let name = [&[1, 1][..], &four_gib].concat();
    // As much as is allowed, of which nothing comes.
    let whole = [&[1, 0][..], &(1_u64 << 52).to_be_bytes(), &[0, 0x10, 0, 0]].concat();
    for claim in [frame, packet, name, whole] {
        let grown = growth_of_a_victim(|address| {
            let open = |_| {
                let mut stream = connect(address);
                drop(stream.write_all(&claim));
                stream
            };
            (0..LINKS).map(open).collect()
        });
        assert!(grown < 64 << 10, "{grown} KiB for {claim:?}");
    }
}

#[test]
fn thousands_of_links_that_say_a_byte_at_a_time_keep_nobody_out() {
    const LINKS: usize = 3_000;
    const HONEST: usize = 50;
    let rt = runtime();
    echo(&rt);
    let address = rt.listen("127.0.0.1:0").unwrap();
    // One that is there before keeps its session.
    let friend = runtime();
    ask(&friend, &address, b"before");
    let going = Arc::new(AtomicBool::new(true));
    let (target, go_on) = (address.clone(), going.clone());
    let sent = Arc::new(AtomicU64::new(0));
    let bytes = sent.clone();
    let attacker = thread::spawn(move || {
        // HELLOs, names and packets whose ends never come.
        let starts: [&[u8]; 3] = [b"\x10\0\0\0\0\0\x01\0", b"\x01\x01\0\0\0\x80", b"\x01"];
        let open = |n: usize| {
            let mut stream = connect(&target);
            drop(stream.write_all(starts[n % 3]));
            stream
        };
        let mut links: Vec<_> = (0..LINKS).map(open).collect();
        let mut turn = 0;
        while go_on.load(Ordering::SeqCst) {
            // Those that were closed come again, some at a time; the others say another byte.
            turn += 1;
            for (n, link) in links.iter_mut().enumerate() {
                let closed = link.write_all(b"a").is_err();
                bytes.fetch_add(1, Ordering::SeqCst);
                if closed && n % 64 == turn % 64 {
                    *link = open(n);
                }
            }
            thread::sleep(Duration::from_millis(20));
        }
    });
    until("the attack has begun", || {
        sent.load(Ordering::SeqCst) > LINKS as u64
    });
    for n in 0..HONEST {
        let question = n.to_string().into_bytes();
        ask(&runtime(), &address, &question);
        ask(&friend, &address, &question);
    }
    assert!(!attacker.is_finished());
    going.store(false, Ordering::SeqCst);
    attacker.join().unwrap();
    assert!(rt.node().unwrap().turned_away() > LINKS as u64 / 2);
}

/// Waits for the other end to close.
fn is_closed(link: &mut TcpStream) -> bool {
    match link.read(&mut [0]) {
        Ok(n) => n == 0,
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn half_open_links_of_one_address_have_sixteen_places() {
    let rt = runtime();
    let address = rt.listen("127.0.0.1:0").unwrap();
    let mut links: Vec<_> = (0..40).map(|_| connect(&address)).collect();
    let node = rt.node().unwrap();
    until("the others have gone", || node.turned_away() == 24);
    for (n, link) in links.iter_mut().enumerate() {
        if n < 24 {
            assert!(is_closed(link), "{n} has gone");
        } else {
            // A ping shows that the link is there.
            link.write_all(b"\x01\x02").unwrap();
            let mut pong = [0];
            link.read_exact(&mut pong).unwrap();
            assert_eq!(pong, [3], "{n} has stayed");
        }
    }
}

#[test]
fn idle_links_with_the_original_packets_make_room_and_sessions_stay() {
    const PLACES: usize = 20;
    let rt = runtime_with(NodeConfig {
        max_links: PLACES,
        ..NodeConfig::default()
    });
    echo(&rt);
    let address = rt.listen("127.0.0.1:0").unwrap();
    let mut session = Framed::dial(&address, &Framed::config(1)).unwrap();
    session.run("it is up", |events| !events.is_empty());
    let open = || {
        let mut stream = connect(&address);
        stream.write_all(&[1]).unwrap();
        assert_ne!(resolve(&mut stream, b"echo"), Some(0));
        stream
    };
    let mut links: Vec<_> = (0..PLACES + 10).map(|_| open()).collect();
    for link in &mut links[..11] {
        assert!(is_closed(link));
    }
    for link in &mut links[11..] {
        assert!(resolve(link, b"echo").is_some());
    }
    let pid = rt.whereis("echo").unwrap();
    session.call(1, pid);
    session.run("an answer", |events| {
        events
            .iter()
            .any(|event| matches!(event, iris::wire::Event::Message { .. }))
    });
}

#[test]
fn connections_that_are_reset_at_once_do_not_end_the_listener() {
    let rt = runtime();
    echo(&rt);
    let address = rt.listen("127.0.0.1:0").unwrap();
    let target = address.parse().unwrap();
    let attack = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    attack.block_on(async {
        for _ in 0..3_000 {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.set_zero_linger().unwrap();
            // It is reset before anybody looks at it.
            drop(socket.connect(target).await);
        }
    });
    ask(&runtime(), &address, b"alive");
}

/// A transport whose listener fails, as when there are no more file descriptors.
struct Failing {
    calls: Arc<AtomicU64>,
    fails: Arc<AtomicBool>,
}

struct FailingListener {
    inner: Box<dyn Listener>,
    calls: Arc<AtomicU64>,
    fails: Arc<AtomicBool>,
}

#[async_trait]
impl Transport for Failing {
    async fn listen(&self, address: &str) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(FailingListener {
            inner: Tcp.listen(address).await?,
            calls: self.calls.clone(),
            fails: self.fails.clone(),
        }))
    }

    async fn connect(&self, address: &str) -> io::Result<Link> {
        Tcp.connect(address).await
    }
}

#[async_trait]
impl Listener for FailingListener {
    fn local_address(&self) -> String {
        self.inner.local_address()
    }

    async fn accept(&mut self) -> io::Result<Incoming> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.fails.load(Ordering::SeqCst) {
            const EMFILE: i32 = 24;
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        self.inner.accept().await
    }
}

#[test]
fn a_listener_that_fails_is_asked_again_without_a_spin() {
    let (calls, fails) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(true)));
    let transport = Failing {
        calls: calls.clone(),
        fails: fails.clone(),
    };
    let rt = runtime();
    rt.configure_mesh_over(NodeConfig::default(), Arc::new(transport));
    echo(&rt);
    let began = Instant::now();
    let address = rt.listen("127.0.0.1:0").unwrap();
    until("it has been asked again", || {
        calls.load(Ordering::SeqCst) >= 5
    });
    let calls = calls.load(Ordering::SeqCst);
    // At most once in 50 ms: a slower machine makes fewer.
    let most = began.elapsed().as_millis() / 50 + 2;
    assert!(u128::from(calls) <= most, "{calls} calls, {most} at most");
    fails.store(false, Ordering::SeqCst);
    ask(&runtime(), &address, b"alive");
}

#[test]
fn a_hundred_nodes_that_dial_at_once_all_get_through() {
    let rt = runtime();
    echo(&rt);
    let address = rt.listen("127.0.0.1:0").unwrap();
    let nodes: Vec<_> = (0..100)
        .map(|_| iris::Runtime::builder().workers(1).start().unwrap())
        .collect();
    let asked: Vec<_> = nodes
        .iter()
        .map(|node| node.begin_resolve(&address, "echo").unwrap())
        .collect();
    for pending in asked {
        assert!(pending.wait().unwrap().is_some());
    }
}

/// Nobody reads what it is sent.
pub(super) fn deaf() -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    (listener.local_addr().unwrap().to_string(), listener)
}

#[test]
fn who_accepts_and_says_nothing_costs_a_time_out() {
    let (address, _listener) = deaf();
    let rt = runtime_with(NodeConfig {
        connect_timeout: Duration::from_millis(200),
        ..NodeConfig::default()
    });
    let error = rt.resolve_remote(&address, "echo").unwrap_err();
    assert!(matches!(error, iris::MeshError::Timeout { .. }), "{error}");
    assert!(!rt.is_node_up(&address));
}
