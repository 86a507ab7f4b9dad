//! The node of the earlier release says what it said, byte by byte.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use iris_testkit::LegacyDialect::{Bare, Preface};
use iris_testkit::LegacyPeer;

const USER: &[u8] = b"\x00\x00\x00\x00\x01\x00\x00\x00\x07\x00\x00\x00\x05hello";
const RESOLVE: &[u8] = b"\x01\x00\x00\x00\x03abc";
const PID: u64 = 0x1_0000_0007;

#[test]
fn the_dialling_side_sends_the_original_packets() {
    for (dialect, preface) in [(Preface, &b"\x01"[..]), (Bare, b"")] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let peer = thread::spawn(move || {
            let mut peer = LegacyPeer::dial(&address, dialect).unwrap();
            assert_eq!(peer.resolve("abc").unwrap(), PID);
            peer.send(PID, b"hello").unwrap();
            peer.ping().unwrap();
            peer.ping().unwrap_err()
        });
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(&PID.to_be_bytes()).unwrap();
        stream.write_all(&[3, 4]).unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).unwrap();
        assert_eq!(said, [preface, RESOLVE, USER, b"\x02\x02"].concat());
        let error = peer.join().unwrap();
        assert_eq!(error.to_string(), "[04] answers a ping");
    }
}

#[test]
fn the_accepting_side_answers_them() {
    for (dialect, preface) in [(Preface, &b"\x01"[..]), (Bare, b"")] {
        let served = LegacyPeer::serve(dialect, &[("abc", PID)]).unwrap();
        let mut stream = TcpStream::connect(served.address()).unwrap();
        let nobody = b"\x01\x00\x00\x00\x02no";
        let said = [preface, RESOLVE, nobody, USER, b"\x02\x99"].concat();
        stream.write_all(&said).unwrap();
        let mut answers = Vec::new();
        // The unknown type closes the connection.
        stream.read_to_end(&mut answers).unwrap();
        assert_eq!(answers, [&PID.to_be_bytes()[..], &[0; 8], &[3]].concat());
        assert_eq!(served.hear().unwrap(), (PID, b"hello".to_vec()));
    }
}

#[test]
fn the_two_sides_understand_each_other_and_a_wrong_dialect_is_noticed() {
    for dialect in [Preface, Bare] {
        let served = LegacyPeer::serve(dialect, &[("abc", PID)]).unwrap();
        let mut peer = LegacyPeer::dial(served.address(), dialect).unwrap();
        let pid = peer.resolve("abc").unwrap();
        peer.send(pid, b"hello").unwrap();
        peer.ping().unwrap();
        assert_eq!(served.hear().unwrap(), (PID, b"hello".to_vec()));
    }
    let served = LegacyPeer::serve(Preface, &[]).unwrap();
    let mut peer = LegacyPeer::dial(served.address(), Bare).unwrap();
    peer.ping().unwrap_err();
}
