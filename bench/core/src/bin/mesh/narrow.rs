//! A link of 1 Gbit/s, and what a small message meets on it beside large ones.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use iris::{Pid, Runtime};
use nix::sys::socket::{setsockopt, sockopt};

use crate::{Done, PATIENCE, Size};

const BYTES_PER_SECOND: f64 = 125e6;
/// Bytes of a large message.
const BULK: usize = 16 << 20;
/// What the kernel keeps for each of the link's sockets: it is the link that is narrow, not a queue
/// behind it that is long.
const KERNEL_BYTES: usize = 64 << 10;
/// Between probes.
const PAUSE: Duration = Duration::from_millis(2);

/// An address behind which is `target`, at the end of the link.
pub(crate) fn link(target: String) -> Done<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    setsockopt(&listener, sockopt::RcvBuf, &KERNEL_BYTES)?;
    let address = listener.local_addr()?.to_string();
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect(&target) else {
                continue;
            };
            let (Ok(near_too), Ok(far_too)) = (near.try_clone(), far.try_clone()) else {
                continue;
            };
            for end in [&near, &far] {
                // A link without it would still be one.
                drop(end.set_nodelay(true));
                let _ = setsockopt(end, sockopt::SndBuf, &KERNEL_BYTES);
            }
            thread::spawn(move || carry(near, far));
            thread::spawn(move || carry(far_too, near_too));
        }
    });
    Ok(address)
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 16 << 10];
    let mut free = Instant::now();
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        free = free.max(Instant::now()) + Duration::from_secs_f64(n as f64 / BYTES_PER_SECOND);
        if to.write_all(&buffer[..n]).is_err() {
            return;
        }
        thread::sleep(free.saturating_duration_since(Instant::now()));
    }
}

/// The 99th percentiles of round trips of 32 bytes, in microseconds, while messages of 16 MiB
/// fill the link.
pub(crate) fn probe_p99(rt: &Runtime, probe: Pid, bulk: Pid, size: &Size) -> Done<Vec<f64>> {
    let stop = AtomicBool::new(false);
    let large = Bytes::from(vec![0; BULK]);
    thread::scope(|scope| {
        let filler = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                if rt.mailbox_size(bulk).is_some_and(|waiting| waiting < 2) {
                    rt.send(bulk, large.clone())
                        .map_err(|error| error.to_string())?;
                } else {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            Ok::<(), String>(())
        });
        let mut percentiles = Vec::new();
        // Until it is full.
        thread::sleep(Duration::from_millis(500));
        for _ in 0..size.runs {
            let mut took = Vec::with_capacity(size.probes);
            for _ in 0..size.probes {
                thread::sleep(PAUSE);
                let began = Instant::now();
                rt.ask(probe, &[0; 32][..]).timeout(PATIENCE).wait()?;
                took.push(began.elapsed().as_secs_f64() * 1e6);
            }
            took.sort_by(f64::total_cmp);
            percentiles.push(took[took.len() * 99 / 100]);
        }
        stop.store(true, Ordering::Relaxed);
        filler.join().map_err(|_| "the filler has panicked")??;
        Ok(percentiles)
    })
}
