//! What a hostile client, skill or agent tries against a running worker, and what it gets.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "helpers of tests"
)]

#[path = "../common/mod.rs"]
mod common;
mod doors;
mod files;
mod wire;

use common::{HANG, Worker};
use std::{
    io::{Read, Write},
    net::TcpStream,
};

/// What is left on a connection until its end; an end by force counts as one.
fn rest(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(HANG)).unwrap();
    let (mut out, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => out.extend_from_slice(&piece[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("the worker keeps the connection: {error}"),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn raw(worker: &Worker, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(worker.address).unwrap();
    let _ = stream.write_all(bytes);
    rest(&mut stream)
}
