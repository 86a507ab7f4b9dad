//! Links through a NATS server, without nodes at their ends.
#![allow(clippy::unwrap_used, reason = "a failed helper is a failed test")]
#![cfg(feature = "nats")]

mod nats_server;

use std::future::Future;
use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_core::Stream;
use iris_mesh::{Link, Listener, Nats, NatsAuth, NatsConfig, NatsError, Source, Transport};
use nats_server::{Server, free_port};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes that a peer may send before somebody reads, a little more than the code says.
const WINDOW: usize = (512 << 10) + (64 << 10);

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let done = runtime.block_on(async { timeout(3 * PATIENCE, work).await.unwrap() });
    runtime.shutdown_background();
    done
}

fn nats(server: &Server) -> Nats {
    Nats::new(NatsConfig::at(&server.url())).unwrap()
}

/// A link, from both sides.
async fn pair(at: &Nats, to: &Nats, name: &str) -> (Link, Link) {
    let mut listener = at.listen(&format!("nats:{name}")).await.unwrap();
    let address = listener.local_address();
    let accept = async { listener.accept().await.unwrap().open.await.unwrap() };
    let (here, there) = tokio::join!(accept, to.connect(&address));
    (here, there.unwrap())
}

async fn send(link: &mut Link, bytes: &[u8]) -> io::Result<()> {
    let mut chunks = vec![Bytes::copy_from_slice(bytes)];
    timeout(PATIENCE, link.sink.send(&mut chunks))
        .await
        .unwrap()
}

async fn receive(link: &mut Link) -> io::Result<Option<Bytes>> {
    timeout(PATIENCE, link.source.receive()).await.unwrap()
}

/// All that comes until `count` bytes are there.
async fn receive_bytes(source: &mut Box<dyn Source>, count: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < count {
        let part = timeout(PATIENCE, source.receive()).await.unwrap();
        all.extend_from_slice(&part.unwrap().unwrap());
    }
    all
}

fn nats_error(error: &io::Error) -> &NatsError {
    error.get_ref().unwrap().downcast_ref().unwrap()
}

fn error_of<T>(result: io::Result<T>) -> io::Error {
    match result {
        Ok(_) => panic!("it cannot succeed"),
        Err(error) => error,
    }
}

/// A client that hears and says what it likes.
struct Stranger {
    client: async_nats::Client,
    links: async_nats::Subscriber,
}

impl Stranger {
    async fn at(server: &Server) -> Self {
        let client = async_nats::connect(server.url()).await.unwrap();
        let links = client.subscribe("iris._.link.>").await.unwrap();
        // Behind it the server knows of the subscription.
        client.flush().await.unwrap();
        let answer = client.request("nobody.is.there", Bytes::new()).await;
        assert!(answer.is_err());
        Self { client, links }
    }

    /// The next message to an end of a link.
    async fn hear(&mut self) -> async_nats::Message {
        use std::pin::Pin;
        let next = std::future::poll_fn(|cx| Pin::new(&mut self.links).poll_next(cx));
        timeout(PATIENCE, next).await.unwrap().unwrap()
    }
}

#[test]
fn bytes_arrive_in_order_until_an_end_closes() {
    let Some(server) = Server::start("") else {
        return;
    };
    run(async {
        let (one, two) = (nats(&server), nats(&server));
        let (mut here, mut there) = pair(&one, &two, "alpha").await;
        assert_eq!(there.peer, "nats:alpha");
        assert!(!here.is_local && !there.is_local && !one.is_secure());
        send(&mut there, b"to you").await.unwrap();
        assert_eq!(receive(&mut here).await.unwrap().unwrap(), "to you");
        send(&mut here, b"and back").await.unwrap();
        assert_eq!(receive(&mut there).await.unwrap().unwrap(), "and back");

        // Several windows, in pieces of any length.
        let long: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
        let sending = async {
            let mut sizes = [1, 70_000, 3, 200_000, 4096].into_iter().cycle();
            let mut rest = &long[..];
            while !rest.is_empty() {
                let mut chunks = Vec::new();
                for _ in 0..3 {
                    let size = sizes.next().unwrap().min(rest.len());
                    chunks.push(Bytes::copy_from_slice(&rest[..size]));
                    rest = &rest[size..];
                }
                there.sink.send(&mut chunks).await.unwrap();
                assert!(chunks.is_empty());
            }
        };
        let (all, ()) = tokio::join!(receive_bytes(&mut here.source, long.len()), sending);
        assert!(all == long);

        there.sink.close().await.unwrap();
        assert_eq!(receive(&mut here).await.unwrap(), None);
        // The other direction goes on.
        send(&mut here, b"last").await.unwrap();
        here.sink.close().await.unwrap();
        assert_eq!(receive(&mut there).await.unwrap().unwrap(), "last");
        assert_eq!(receive(&mut there).await.unwrap(), None);
    });
}

#[test]
fn a_server_that_takes_short_messages_only_carries_long_ones() {
    let Some(server) = Server::start("max_payload: 1024") else {
        return;
    };
    run(async {
        let (one, two) = (nats(&server), nats(&server));
        let (mut here, mut there) = pair(&one, &two, "alpha").await;
        let long: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        let sending = send(&mut there, &long);
        let (all, sent) = tokio::join!(receive_bytes(&mut here.source, long.len()), sending);
        sent.unwrap();
        assert!(all == long);
    });
    let Some(server) = Server::start("max_payload: 1000") else {
        return;
    };
    let refused = run(async { error_of(nats(&server).connect("nats:alpha").await) });
    assert!(
        matches!(nats_error(&refused), NatsError::MaxPayload { .. }),
        "{refused}"
    );
}

#[test]
fn who_reads_nothing_is_sent_no_more_than_it_has_granted() {
    let Some(server) = Server::start("") else {
        return;
    };
    run(async {
        let (one, two) = (nats(&server), nats(&server));
        let mut stranger = Stranger::at(&server).await;
        let (mut here, there) = pair(&one, &two, "alpha").await;
        let mut sink = there.sink;
        let long = Bytes::from(vec![7; 4 << 20]);
        let copy = long.clone();
        let sending = tokio::spawn(async move {
            sink.send(&mut vec![copy]).await.unwrap();
            sink
        });
        // What is on its way while nobody reads: messages come until the credit is used up.
        let mut heard = 0;
        while let Ok(message) = timeout(Duration::from_millis(500), stranger.hear()).await {
            heard += message.payload.len();
        }
        assert!(heard > 0 && heard < WINDOW, "{heard}");
        assert!(!sending.is_finished());
        let all = receive_bytes(&mut here.source, long.len()).await;
        assert!(all == long);
        timeout(PATIENCE, sending).await.unwrap().unwrap();
    });
}

#[test]
fn with_the_first_gap_both_ends_know_that_the_link_is_broken() {
    let Some(server) = Server::start("") else {
        return;
    };
    run(async {
        let (one, two) = (nats(&server), nats(&server));
        let forged: [(&str, &[u8]); 4] = [
            // As if the one before had been lost.
            ("lost", b"\x10\0\0\0\0\0\0\x10\0data"),
            // As if there had been one before the end.
            ("lost", b"\x12\0\0\0\0\0\0\x10\0"),
            ("protocol", b"\xffwhat is this"),
            ("as I said", b"\x13as I said"),
        ];
        for (n, (why, packet)) in forged.into_iter().enumerate() {
            let mut stranger = Stranger::at(&server).await;
            let (mut here, mut there) = pair(&one, &two, &format!("gap {n}")).await;
            send(&mut there, b"before").await.unwrap();
            let to = loop {
                let message = stranger.hear().await;
                if message.payload.starts_with(b"\x10") {
                    break message.subject;
                }
            };
            let publish = stranger.client.publish(to, Bytes::from_static(packet));
            publish.await.unwrap();
            stranger.client.flush().await.unwrap();
            // What came before it still arrives, and nothing after it.
            assert_eq!(receive(&mut here).await.unwrap().unwrap(), "before");
            let error = error_of(receive(&mut here).await);
            assert!(error.to_string().contains(why), "{error}");
            send(&mut here, b"x").await.unwrap_err();
            if n < 3 {
                let error = error_of(receive(&mut there).await);
                assert!(error.to_string().contains(why), "{error}");
                send(&mut there, b"x").await.unwrap_err();
            }
        }
    });
}

#[test]
fn a_peer_that_is_gone_without_a_word_is_noticed_with_the_next_message() {
    let Some(server) = Server::start("") else {
        return;
    };
    run(async {
        let two = nats(&server);
        // The listener lives on threads of its own, which end as with a crash.
        let (tell, told) = tokio::sync::oneshot::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let one = nats(&server);
        let crash = std::thread::spawn(move || {
            run(async {
                let mut listener = one.listen("nats:alpha").await.unwrap();
                tell.send(()).unwrap();
                let link = listener.accept().await.unwrap().open.await.unwrap();
                tokio::task::spawn_blocking(move || ended.recv())
                    .await
                    .unwrap()
                    .ok();
                std::mem::forget((link, listener));
            });
        });
        told.await.unwrap();
        let mut there = two.connect("nats:alpha").await.unwrap();
        send(&mut there, b"are you there").await.unwrap();
        drop(end);
        tokio::task::spawn_blocking(move || crash.join().unwrap())
            .await
            .unwrap();
        // The server may hear of the end a little later than we do.
        let began = Instant::now();
        let error = loop {
            assert!(began.elapsed() < PATIENCE, "it is noticed");
            drop(send(&mut there, b"and now").await);
            if let Ok(received) = timeout(Duration::from_millis(50), there.source.receive()).await {
                break received.unwrap_err();
            }
        };
        assert!(error.to_string().contains("gone"), "{error}");
        // Nor does anybody listen there.
        let error = error_of(two.connect("nats:alpha").await);
        assert!(
            matches!(nats_error(&error), NatsError::Nobody { .. }),
            "{error}"
        );
        assert_ne!(error.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_connection_to_the_server_that_is_lost_breaks_the_links_and_not_the_listener() {
    let Some(mut server) = Server::start("") else {
        return;
    };
    run(async {
        let (one, two) = (nats(&server), nats(&server));
        let mut listener = one.listen("nats:alpha").await.unwrap();
        let accept = async { listener.accept().await.unwrap().open.await.unwrap() };
        let (mut here, there) = tokio::join!(accept, two.connect("nats:alpha"));
        let mut there = there.unwrap();
        server.kill();
        for link in [&mut here, &mut there] {
            let error = error_of(receive(link).await);
            assert!(error.to_string().contains("was lost"), "{error}");
            send(link, b"x").await.unwrap_err();
        }
        let error = error_of(two.connect("nats:alpha").await);
        assert!(
            matches!(nats_error(&error), NatsError::Away { .. }),
            "{error}"
        );
        server.restart();
        let accepting =
            tokio::spawn(async move { listener.accept().await.unwrap().open.await.unwrap() });
        let began = Instant::now();
        let mut there = loop {
            assert!(began.elapsed() < PATIENCE, "it can be dialled again");
            match two.connect("nats:alpha").await {
                Ok(link) => break link,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let mut here = timeout(PATIENCE, accepting).await.unwrap().unwrap();
        send(&mut there, b"again").await.unwrap();
        assert_eq!(receive(&mut here).await.unwrap().unwrap(), "again");
    });
}

#[test]
fn a_name_is_one_listeners_until_it_is_gone() {
    let Some(server) = Server::start("") else {
        return;
    };
    run(async {
        let (one, two) = (nats(&server), nats(&server));
        // Any text is a name, and each is another.
        let names = ["alpha", "a.b", "a b", "*", ">", "größe\n", "a_2eb", "", ""];
        let mut open: Vec<Box<dyn Listener>> = Vec::new();
        for name in names {
            let listener = one.listen(&format!("nats:{name}")).await.unwrap();
            if !name.is_empty() {
                assert_eq!(listener.local_address(), format!("nats:{name}"));
            }
            open.push(listener);
        }
        assert_ne!(open[7].local_address(), open[8].local_address());
        let accepting: Vec<_> = open
            .into_iter()
            .map(|mut listener| {
                tokio::spawn(async move {
                    let address = listener.local_address();
                    loop {
                        let mut link = listener.accept().await.unwrap().open.await.unwrap();
                        send(&mut link, address.as_bytes()).await.unwrap();
                    }
                })
            })
            .collect();
        for name in &names[..7] {
            let address = format!("nats:{name}");
            let error = error_of(two.listen(&address).await);
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}");
            let mut link = two.connect(&address).await.unwrap();
            assert_eq!(receive(&mut link).await.unwrap().unwrap(), address);
        }
        // Another cluster has names of its own.
        let mut config = NatsConfig::at(&server.url());
        config.cluster = "other".to_owned();
        Nats::new(config)
            .unwrap()
            .listen("nats:alpha")
            .await
            .unwrap();
        for task in accepting {
            task.abort();
            drop(task.await);
        }
        let began = Instant::now();
        while let Err(error) = two.listen("nats:alpha").await {
            assert!(began.elapsed() < PATIENCE, "{error}");
        }
        for wrong in ["alpha", "127.0.0.1:9000", "nats://host:4222"] {
            let error = error_of(two.listen(wrong).await);
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
            let error = error_of(two.connect(wrong).await);
            assert!(
                matches!(nats_error(&error), NatsError::Address { .. }),
                "{error}"
            );
        }
    });
}

#[test]
fn of_those_who_want_a_name_at_once_one_gets_it() {
    let Some(server) = Server::start("") else {
        return;
    };
    run(async {
        for round in 0..3 {
            let address = format!("nats:round {round}");
            let all: Vec<_> = (0..4)
                .map(|_| {
                    let (nats, address) = (nats(&server), address.clone());
                    tokio::spawn(async move {
                        // Kept, so that it goes on saying that it has the name.
                        let listener = nats.listen(&address).await;
                        listener.map(|mut listener| {
                            tokio::spawn(async move { while listener.accept().await.is_ok() {} })
                        })
                    })
                })
                .collect();
            let mut won = 0;
            for one in all {
                match one.await.unwrap() {
                    Ok(_) => won += 1,
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}"),
                }
            }
            assert_eq!(won, 1, "round {round}");
        }
    });
}

#[test]
fn no_server_is_an_error_that_says_where() {
    let address = format!("127.0.0.1:{}", free_port());
    let nats = Nats::new(NatsConfig::at(&format!("nats://user:s3cret@{address}"))).unwrap();
    for error in run(async {
        [
            error_of(nats.listen("nats:alpha").await),
            error_of(nats.connect("nats:alpha").await),
        ]
    }) {
        assert!(
            matches!(nats_error(&error), NatsError::Unreachable { .. }),
            "{error}"
        );
        let text = error.to_string();
        assert!(
            text.contains(&address) && !text.contains("s3cret"),
            "{text}"
        );
    }
}

/// A server with a user, one who may do nothing, and an nkey.
const USERS: &str = r#"
authorization {
  users = [
    { user: "node", password: "p@ss word" }
    { user: "mute", password: "p", permissions: { publish: "other", subscribe: "other" } }
    { nkey: "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4" }
  ]
}
"#;

const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";

#[test]
fn a_server_that_knows_nobody_by_these_credentials_refuses_them() {
    let Some(server) = Server::start(USERS) else {
        return;
    };
    let listen = |servers: String, auth: NatsAuth| {
        let mut config = NatsConfig::at(&servers);
        config.auth = auth;
        run(async move { Nats::new(config)?.listen("nats:alpha").await.map(drop) })
    };
    let url = || server.url();
    listen(server.url_as("node:p%40ss%20word@"), NatsAuth::None).unwrap();
    let password = |password: &str| NatsAuth::Password {
        user: "node".to_owned(),
        password: password.to_owned(),
    };
    listen(url(), password("p@ss word")).unwrap();
    listen(url(), NatsAuth::NkeySeed(SEED.to_owned())).unwrap();
    for wrong in [
        NatsAuth::None,
        password("wr0ng"),
        NatsAuth::Token("wr0ng".to_owned()),
        NatsAuth::NkeySeed("wr0ng".to_owned()),
    ] {
        let error = error_of(listen(url(), wrong.clone()));
        assert!(
            matches!(nats_error(&error), NatsError::Refused { .. }),
            "{wrong:?}: {error}"
        );
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        let text = error.to_string();
        assert!(
            text.contains("127.0.0.1") && !text.contains("wr0ng"),
            "{text}"
        );
    }
    let nowhere = server.file("not there.creds");
    let error = error_of(listen(url(), NatsAuth::Credentials(nowhere)));
    assert!(error.to_string().contains("not there.creds"), "{error}");
    // Known, and allowed nothing.
    let error = error_of(listen(server.url_as("mute:p@"), NatsAuth::None));
    assert!(
        matches!(nats_error(&error), NatsError::Permission { .. }),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.contains("iris._.>") && text.contains("Permissions Violation"),
        "{text}"
    );
}
