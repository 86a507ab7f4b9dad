//! A `nats-server` of a test's own: on a free port of loopback, with a directory that goes away.
#![allow(dead_code, reason = "each test program uses its part")]

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How many there were in this process.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A server that has not begun, or has not ended, after this long never will.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server, stopped with this value: on a panic, too.
pub(crate) struct Server {
    program: PathBuf,
    directory: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Server {
    /// One with these lines of configuration; `None`, and a line on the error stream, where there is
    /// no `nats-server`.
    pub(crate) fn start(config: &str) -> Option<Self> {
        Self::start_with(config, &[])
    }

    /// As [`start`](Self::start), with files beside the configuration, which are named there as
    /// `DIR/name`.
    pub(crate) fn start_with(config: &str, files: &[(&str, &[u8])]) -> Option<Self> {
        let Some(program) = find() else {
            // Not `eprintln`, which a passing test swallows.
            let text =
                "SKIPPED: no nats-server on PATH (Debian: nats-server), so nothing is tested\n";
            io::stderr().write_all(text.as_bytes()).unwrap();
            return None;
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("iris-nats-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        for (name, bytes) in files {
            fs::write(directory.join(name), bytes).unwrap();
        }
        let here = directory.display().to_string();
        fs::write(directory.join("server.conf"), config.replace("DIR", &here)).unwrap();
        let mut server = Self {
            program,
            directory,
            port: 0,
            child: None,
        };
        // Somebody else may take the port before the server does.
        for _ in 0..10 {
            server.port = free_port();
            if server.run() {
                return Some(server);
            }
        }
        let log = fs::read_to_string(server.directory.join("log"));
        panic!("nats-server does not begin: {}", log.unwrap_or_default());
    }

    /// Begins; `false` if it ends at once.
    fn run(&mut self) -> bool {
        let child = Command::new(&self.program)
            .args(["--addr", "127.0.0.1", "--port", &self.port.to_string()])
            .arg("--config")
            .arg(self.directory.join("server.conf"))
            .arg("--log")
            .arg(self.directory.join("log"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let child = self.child.as_mut().unwrap();
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            if self.answers() {
                return true;
            }
            sleep(Duration::from_millis(5));
        }
        false
    }

    /// A server says INFO to whoever connects.
    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return false;
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut word = [0; 4];
        stream.read_exact(&mut word).is_ok() && &word == b"INFO"
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        self.url_as("")
    }

    /// Where it is, for a user: `name:password@`.
    pub(crate) fn url_as(&self, user: &str) -> String {
        format!("nats://{user}127.0.0.1:{}", self.port)
    }

    /// A file of its directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Ends it without a word (SIGKILL).
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            child.wait().unwrap();
        }
    }

    /// Begins again at the same port.
    pub(crate) fn restart(&mut self) {
        let began = Instant::now();
        while !self.run() {
            assert!(began.elapsed() < PATIENCE, "its port is free again");
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// A port that nobody has; also for a server that is not there.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian installs it where only the superuser looks.
    let elsewhere = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(elsewhere)
        .map(|folder| folder.join("nats-server"))
        .find(|program| is_file(program))
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|about| about.is_file())
}
