//! The Node.js face of Iris.
//!
//! Nothing is built here yet: this crate will hold the N-API module, its one
//! thread-safe function for each runtime, and the npm package. It adds no rules of its
//! own about actors; those live in the facade and below.

#![forbid(unsafe_code)]
