//! The exchange of HELLO and AUTH.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::frame::header::kind;
use crate::frame::reader::check_label;
use crate::frame::{ErrorCode, Extra, Frame, FrameError, Hello, InputBuffer, RawFrame};
use crate::handshake::{Authenticated, HandshakeConfig, HandshakeError, Peer, Role, feature};
use crate::limits::{HANDSHAKE_TIMEOUT, HEADER, MAX_BODY, MAX_HELLO};

/// The least credit that a peer may grant: room for two frames, or nothing would move.
#[expect(clippy::cast_possible_truncation, reason = "131,200")]
const LEAST_CREDIT: u32 = 2 * MAX_BODY as u32;

/// How far a handshake has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The peer has not said all that it must.
    Pending,
    /// The dialler has proved who it is. The acceptor now looks whether it wants the connection
    /// ([`Sessions`](super::Sessions), access rules), and calls [`Handshake::admit`] or
    /// [`Handshake::refuse`].
    Proven(Peer),
    /// Both have. Only at the dialler.
    Done(Box<Authenticated>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Hello,
    Auth,
    Proven,
    Over,
}

/// A handshake at either side.
#[derive(Debug)]
pub struct Handshake {
    config: HandshakeConfig,
    role: Role,
    state: State,
    started: Instant,
    input: InputBuffer,
    out: Vec<u8>,
    /// The bodies of both HELLOs as they travelled.
    our_hello: Vec<u8>,
    their_hello: Bytes,
    peer: Option<Peer>,
    their_nonce: [u8; 32],
}

impl Handshake {
    /// The dialling side. `nonce` is 32 random bytes, new for each connection.
    ///
    /// # Errors
    ///
    /// [`FrameError::TooLong`] if the cluster's or node's name is longer than 255 bytes, and
    /// [`FrameError::Name`] if it has control characters.
    pub fn dial(
        now: Instant,
        config: HandshakeConfig,
        nonce: [u8; 32],
    ) -> Result<Self, FrameError> {
        let mut this = Self::new(now, Role::Dialler, config, nonce)?;
        this.send_hello();
        Ok(this)
    }

    /// The accepting side.
    ///
    /// # Errors
    ///
    /// As [`dial`](Self::dial).
    pub fn accept(
        now: Instant,
        config: HandshakeConfig,
        nonce: [u8; 32],
    ) -> Result<Self, FrameError> {
        Self::new(now, Role::Acceptor, config, nonce)
    }

    fn new(
        now: Instant,
        role: Role,
        mut config: HandshakeConfig,
        nonce: [u8; 32],
    ) -> Result<Self, FrameError> {
        config.hello.nonce = nonce;
        for text in [&config.hello.cluster, &config.hello.name] {
            check_label(kind::HELLO, text)?;
        }
        let mut frame = Vec::new();
        Frame::Hello(Box::new(config.hello.clone())).encode(Extra::default(), &mut frame)?;
        Ok(Self {
            config,
            role,
            state: State::Hello,
            started: now,
            input: InputBuffer::new(MAX_HELLO),
            out: Vec::new(),
            our_hello: frame.split_off(HEADER),
            their_hello: Bytes::new(),
            peer: None,
            their_nonce: [0; 32],
        })
    }

    /// Takes bytes of the peer.
    ///
    /// # Errors
    ///
    /// The handshake is over. [`poll_transmit`](Self::poll_transmit) has what tells the peer;
    /// close the connection after it.
    pub fn handle_input(&mut self, now: Instant, input: Bytes) -> Result<Progress, HandshakeError> {
        self.input.push(input);
        self.handle_timeout(now)?;
        let progress = self.read();
        if let Err(error) = &progress {
            self.fail(error);
        }
        progress
    }

    /// Bytes to send; empty if there are none.
    pub fn poll_transmit(&mut self) -> Bytes {
        std::mem::take(&mut self.out).into()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Instant {
        self.started + HANDSHAKE_TIMEOUT
    }

    /// Looks at the time.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Timeout`] after 5 s.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), HandshakeError> {
        if self.state == State::Over || now < self.poll_timeout() {
            return Ok(());
        }
        let waiting = match self.state {
            State::Hello => "introduction",
            _ => "proof of identity",
        };
        let error = HandshakeError::Timeout {
            waiting,
            after: HANDSHAKE_TIMEOUT,
        };
        self.fail(&error);
        Err(error)
    }

    /// The peer as far as it has introduced itself; before [`Progress::Proven`] that is only
    /// its word.
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// Takes the dialler in. `None` unless it has proved who it is.
    pub fn admit(&mut self) -> Option<Authenticated> {
        if self.state != State::Proven {
            return None;
        }
        self.send_auth();
        Some(self.finish())
    }

    /// Ends the handshake with an ERROR to the peer.
    pub fn refuse(&mut self, code: ErrorCode, message: impl Into<String>) {
        self.state = State::Over;
        self.send(&Frame::Error {
            code,
            message: message.into(),
        });
    }

    fn read(&mut self) -> Result<Progress, HandshakeError> {
        while matches!(self.state, State::Hello | State::Auth)
            && let Some(raw) = self.input.next()?
        {
            match self.handle_frame(raw)? {
                Progress::Pending => {}
                progress => return Ok(progress),
            }
        }
        Ok(Progress::Pending)
    }

    fn handle_frame(&mut self, raw: RawFrame) -> Result<Progress, HandshakeError> {
        let body = raw.body.clone();
        match (self.state, raw.decode()?.frame) {
            (State::Hello, Frame::Hello(hello)) => {
                self.peer = Some(self.meet(&hello)?);
                self.their_nonce = hello.nonce;
                self.their_hello = body;
                self.state = State::Auth;
                match self.role {
                    Role::Dialler => self.send_auth(),
                    Role::Acceptor => self.send_hello(),
                }
                Ok(Progress::Pending)
            }
            (State::Auth, Frame::Auth { method, mac }) => {
                let ours = self.config.auth.method();
                if method != ours {
                    return Err(HandshakeError::Method {
                        ours,
                        theirs: method,
                    });
                }
                let (dialler, acceptor) = self.hellos();
                let role = match self.role {
                    Role::Dialler => Role::Acceptor,
                    Role::Acceptor => Role::Dialler,
                };
                if !self.config.auth.verify(role, dialler, acceptor, &mac) {
                    return Err(HandshakeError::Proof);
                }
                if self.role == Role::Dialler {
                    return Ok(Progress::Done(Box::new(self.finish())));
                }
                self.state = State::Proven;
                Ok(Progress::Proven(
                    self.peer.clone().expect("its HELLO came before"),
                ))
            }
            (_, Frame::Error { code, message }) => Err(HandshakeError::Refused { code, message }),
            // For later versions.
            (_, Frame::Unknown { .. }) => Ok(Progress::Pending),
            (state, frame) => {
                let why = match state {
                    State::Hello => "an introduction was waited for",
                    _ => "a proof of identity was waited for",
                };
                Err(FrameError::Unexpected {
                    kind: frame.kind(),
                    why,
                }
                .into())
            }
        }
    }

    /// What follows from an introduction.
    fn meet(&self, theirs: &Hello) -> Result<Peer, HandshakeError> {
        let ours = &self.config.hello;
        let version = ours.ver_max.min(theirs.ver_max);
        if version < ours.ver_min.max(theirs.ver_min) {
            return Err(HandshakeError::Version {
                ours: (ours.ver_min, ours.ver_max),
                theirs: (theirs.ver_min, theirs.ver_max),
            });
        }
        if ours.cluster != theirs.cluster {
            let (ours, theirs) = (ours.cluster.clone(), theirs.cluster.clone());
            return Err(HandshakeError::Cluster { ours, theirs });
        }
        if ours.node_id == theirs.node_id {
            return Err(HandshakeError::OwnNode { id: ours.node_id });
        }
        match self.config.required & !theirs.features {
            0 => {}
            missing => return Err(HandshakeError::Features { missing }),
        }
        for (field, value, least) in [
            ("credit in bytes", theirs.credit_bytes, LEAST_CREDIT),
            ("credit in messages", theirs.credit_msgs, 1),
            ("heartbeat in milliseconds", theirs.hb_ms, 10),
        ] {
            if value < least {
                return Err(HandshakeError::Hello {
                    field,
                    value,
                    least,
                });
            }
        }
        let features = ours.features & theirs.features;
        let resume = match features & feature::RESUME {
            0 => 0,
            _ => ours.resume_ms.min(theirs.resume_ms),
        };
        Ok(Peer {
            node_id: theirs.node_id,
            incarnation: theirs.incarnation,
            name: theirs.name.clone(),
            version,
            features,
            max_msg: theirs.max_msg,
            credit_bytes: theirs.credit_bytes,
            credit_msgs: theirs.credit_msgs,
            // A peer that promises a sign of life once an hour is held to once a minute.
            heartbeat: Duration::from_millis(theirs.hb_ms.min(60_000).into()),
            resume: Duration::from_millis(resume.into()),
        })
    }

    fn finish(&mut self) -> Authenticated {
        self.state = State::Over;
        let nonces = (self.config.hello.nonce, self.their_nonce);
        let (dialler, acceptor) = match self.role {
            Role::Dialler => nonces,
            Role::Acceptor => (nonces.1, nonces.0),
        };
        let mut session = [0; 16];
        for (at, byte) in session.iter_mut().enumerate() {
            *byte = dialler[at] ^ acceptor[16 + at];
        }
        // Zeros mean no session.
        session[15] |= u8::from(session == [0; 16]);
        let input = std::mem::replace(&mut self.input, InputBuffer::new(0));
        Authenticated {
            role: self.role,
            peer: self.peer.clone().expect("both have introduced themselves"),
            method: self.config.auth.method(),
            session,
            rest: input.into_rest(),
        }
    }

    fn hellos(&self) -> (&[u8], &[u8]) {
        match self.role {
            Role::Dialler => (&self.our_hello, &self.their_hello),
            Role::Acceptor => (&self.their_hello, &self.our_hello),
        }
    }

    fn send_hello(&mut self) {
        self.send(&Frame::Hello(Box::new(self.config.hello.clone())));
    }

    fn send_auth(&mut self) {
        let (dialler, acceptor) = self.hellos();
        let mac = self.config.auth.sign(self.role, dialler, acceptor);
        self.send(&Frame::Auth {
            method: self.config.auth.method(),
            mac,
        });
    }

    fn send(&mut self, frame: &Frame) {
        frame
            .encode(Extra::default(), &mut self.out)
            .expect("the HELLO was tried in `new`, and the others are short");
    }

    fn fail(&mut self, error: &HandshakeError) {
        self.state = State::Over;
        if let Some(code) = error.code() {
            self.send(&Frame::Error {
                code,
                message: error.for_peer(),
            });
        }
    }
}
