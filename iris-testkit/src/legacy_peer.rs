//! A node of the earlier release, as its peers see it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// How the original packets are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegacyDialect {
    /// A dialler begins with a version byte `01`.
    Preface,
    /// Packets and nothing else.
    Bare,
}

/// The longest wait for bytes of the other side.
const PATIENCE: Duration = Duration::from_secs(10);

/// The dialling side: speaks the original packets 00 to 03 over TCP and knows nothing else, byte
/// by byte and blocking. Whatever does not come within 10 s is an error.
#[derive(Debug)]
pub struct LegacyPeer(TcpStream);

impl LegacyPeer {
    /// Connects to a node.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn dial(address: &str, dialect: LegacyDialect) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut peer = Self(stream);
        if dialect == LegacyDialect::Preface {
            peer.say(&[1])?;
        }
        Ok(peer)
    }

    /// Sends any bytes.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// The next `N` bytes of the other side.
    ///
    /// # Errors
    ///
    /// What the system says; [`io::ErrorKind::UnexpectedEof`] if the other side has closed.
    pub fn hear<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Resolve, `01`: who has a name; 0 for nobody.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn resolve(&mut self, name: &str) -> io::Result<u64> {
        self.say(&[&[1], &len(name.len())[..], name.as_bytes()].concat())?;
        self.hear().map(u64::from_be_bytes)
    }

    /// User, `00`: a message for a process.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn send(&mut self, pid: u64, data: &[u8]) -> io::Result<()> {
        self.say(&[&[0], &pid.to_be_bytes()[..], &len(data.len()), data].concat())
    }

    /// Ping, `02`, and its Pong, `03`. All that was sent before has been read then.
    ///
    /// # Errors
    ///
    /// What the system says, and [`io::ErrorKind::InvalidData`] for any other answer.
    pub fn ping(&mut self) -> io::Result<()> {
        self.say(&[2])?;
        match self.hear()? {
            [3] => Ok(()),
            other => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{other:02x?} answers a ping"),
            )),
        }
    }

    /// Listens on a free port of this machine as an accepting side that knows `names`.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn serve(dialect: LegacyDialect, names: &[(&str, u64)]) -> io::Result<LegacyListener> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let names: Vec<_> = names
            .iter()
            .map(|&(name, pid)| (name.as_bytes().to_vec(), pid))
            .collect();
        let (tell, heard) = channel();
        // It ends with the process: nothing tells a listener of the release to stop, either.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tell, names) = (tell.clone(), names.clone());
                thread::spawn(move || answer(stream, dialect, &names, &tell));
            }
        });
        Ok(LegacyListener { address, heard })
    }
}

/// The accepting side. Its threads end with the process.
#[derive(Debug)]
pub struct LegacyListener {
    address: String,
    heard: Receiver<(u64, Vec<u8>)>,
}

impl LegacyListener {
    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The next message: the pid that it is for, and its data.
    ///
    /// # Errors
    ///
    /// None has come within 10 s.
    pub fn hear(&self) -> Result<(u64, Vec<u8>), RecvTimeoutError> {
        self.heard.recv_timeout(PATIENCE)
    }
}

fn len(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()
}

/// Serves one connection. An error closes it, as does a type that is unknown.
fn answer(
    stream: TcpStream,
    dialect: LegacyDialect,
    names: &[(Vec<u8>, u64)],
    tell: &Sender<(u64, Vec<u8>)>,
) -> io::Result<()> {
    let mut out = stream.try_clone()?;
    let mut input = BufReader::new(stream);
    if dialect == LegacyDialect::Preface && byte(&mut input)? != 1 {
        return Ok(());
    }
    while !input.fill_buf()?.is_empty() {
        match byte(&mut input)? {
            0 => {
                let mut pid = [0; 8];
                input.read_exact(&mut pid)?;
                let data = sized(&mut input)?;
                if tell.send((u64::from_be_bytes(pid), data)).is_err() {
                    return Ok(());
                }
            }
            1 => {
                let name = sized(&mut input)?;
                let known = names.iter().find(|(known, _)| *known == name);
                let pid = known.map_or(0, |(_, pid)| *pid);
                out.write_all(&pid.to_be_bytes())?;
            }
            2 => out.write_all(&[3])?,
            _ => return Ok(()),
        }
    }
    Ok(())
}

fn byte(input: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    input.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// Four bytes of length, and so many bytes.
fn sized(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut len = [0; 4];
    input.read_exact(&mut len)?;
    let len = u64::from(u32::from_be_bytes(len));
    let mut data = Vec::new();
    // As it comes, so that a length alone costs no memory.
    if input.take(len).read_to_end(&mut data)? as u64 == len {
        Ok(data)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}
