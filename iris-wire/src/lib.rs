//! Frames of the mesh protocol and one connection's state, without I/O.
//!
//! Nothing is built here yet. This crate will hold the bytes that nodes exchange: the
//! four original packets (user message `0x00`, resolve `0x01`, ping `0x02`, pong
//! `0x03`), the framed protocol above them, and a connection as a state machine that is
//! fed with bytes and the time and answers with bytes and events. It will do no I/O and
//! read no clock, so that every sequence of packets can be tested as a plain value.

#![forbid(unsafe_code)]
