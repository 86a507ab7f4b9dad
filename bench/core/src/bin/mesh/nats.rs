//! The same through a NATS server, where one is installed: from a client to a client on a subject.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::{Client, Subscriber};
use bytes::Bytes;

use crate::{Done, LARGE, PATIENCE, SMALL, Size, median};

/// The server, killed with this.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Messages a second of 32 bytes, bytes a second in messages of 64 KiB, microseconds of a round
/// trip; `None` without a server.
pub(crate) fn measure(size: &Size) -> Done<Option<[f64; 3]>> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let started = Command::new("nats-server")
        .args(["--addr", "127.0.0.1", "--port"])
        .arg(port.port().to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(child) = started else {
        eprintln!("bench mesh: `nats-server` is not installed, so NATS is left out");
        return Ok(None);
    };
    let _server = Server(child);
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(port).is_err() {
        if Instant::now() > until {
            return Err("nats-server does not listen".into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(run(&port.to_string(), size)).map(Some)
}

async fn run(address: &str, size: &Size) -> Done<[f64; 3]> {
    let (from, to) = (
        async_nats::connect(address).await?,
        async_nats::connect(address).await?,
    );
    let mut sink = to.subscribe("sink").await?;
    let echo = to.subscribe("echo").await?;
    to.flush().await?;
    tokio::spawn(answer(to.clone(), echo));
    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..size.runs {
        // It is slower, and the figures are rates. In parts, for the server drops who reads slowly.
        rates[0].push(one_way(&from, &mut sink, SMALL, size.small / 4, 10_000).await?);
        rates[1].push(LARGE as f64 * one_way(&from, &mut sink, LARGE, size.large / 4, 100).await?);
        let mut took = Vec::with_capacity(size.trips);
        for _ in 0..size.trips {
            let began = Instant::now();
            from.request("echo", Bytes::from_static(&[0; SMALL]))
                .await?;
            took.push(began.elapsed().as_secs_f64() * 1e6);
        }
        rates[2].push(median(&mut took));
    }
    Ok(rates.map(|mut rates| median(&mut rates)))
}

async fn answer(to: Client, mut echo: Subscriber) {
    use futures_util::StreamExt;
    while let Some(question) = echo.next().await {
        if let Some(reply) = question.reply
            && to.publish(reply, question.payload).await.is_err()
        {
            return;
        }
    }
}

async fn one_way(
    from: &Client,
    sink: &mut Subscriber,
    size: usize,
    count: u64,
    part: u64,
) -> Done<f64> {
    use futures_util::StreamExt;
    let message = Bytes::from(vec![0; size]);
    let began = Instant::now();
    let mut sent = 0;
    let mut handled = 0;
    while handled < count {
        while sent < count && sent < handled + 2 * part {
            from.publish("sink", message.clone()).await?;
            sent += 1;
        }
        for _ in 0..part.min(count - handled) {
            sink.next().await.ok_or("the subscription has ended")?;
            handled += 1;
        }
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}
