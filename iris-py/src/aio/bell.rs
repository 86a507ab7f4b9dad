//! Wakes a thread that sleeps in a selector, without the GIL.

use std::io::{self, Read, Write};

#[cfg(not(unix))]
use std::net::TcpStream as Stream;
#[cfg(unix)]
use std::os::unix::net::UnixStream as Stream;

/// A connection to oneself: one end is written to, the other is what the selector watches.
#[derive(Debug)]
pub(crate) struct Bell {
    rings: Stream,
    heard: Stream,
}

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        let (rings, heard) = pair()?;
        rings.set_nonblocking(true)?;
        heard.set_nonblocking(true)?;
        Ok(Self { rings, heard })
    }

    /// What the selector is to watch.
    #[cfg(unix)]
    pub(crate) fn watched(&self) -> i64 {
        use std::os::fd::AsRawFd;
        self.heard.as_raw_fd().into()
    }

    /// What the selector is to watch.
    #[cfg(windows)]
    pub(crate) fn watched(&self) -> i64 {
        use std::os::windows::io::AsRawSocket;
        self.heard.as_raw_socket().cast_signed()
    }

    /// Wakes the selector. A bell that is full rings already.
    pub(crate) fn ring(&self) {
        (&self.rings).write_all(&[1]).ok();
    }

    /// Takes back all that was rung.
    pub(crate) fn hush(&self) {
        let mut rung = [0; 64];
        while (&self.heard)
            .read(&mut rung)
            .is_ok_and(|count| count == rung.len())
        {}
    }
}

#[cfg(unix)]
fn pair() -> io::Result<(Stream, Stream)> {
    Stream::pair()
}

#[cfg(not(unix))]
fn pair() -> io::Result<(Stream, Stream)> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let rings = Stream::connect(listener.local_addr()?)?;
    loop {
        let (heard, from) = listener.accept()?;
        // Somebody else may have been quicker.
        if from == rings.local_addr()? {
            return Ok((rings, heard));
        }
    }
}
