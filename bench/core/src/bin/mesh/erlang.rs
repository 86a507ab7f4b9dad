//! The same between two Erlang nodes, where Erlang is installed.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::{Done, Size};

const PROGRAM: &str = include_str!("../../../erlang/mesh.erl");

/// The other node, killed with this.
struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Messages a second of 32 bytes, bytes a second in messages of 64 KiB, microseconds of a round
/// trip; `None` without Erlang.
pub(crate) fn measure(size: &Size) -> Done<Option<[f64; 3]>> {
    let has = |program: &str| Command::new(program).arg("-version").output().is_ok();
    if !has("erl") {
        eprintln!("bench mesh: `erl` is not installed (erlang-base), so Erlang is left out");
        return Ok(None);
    }
    let folder = std::env::temp_dir().join(format!("iris-bench-erlang-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("mesh.erl"), PROGRAM)?;
    let compiled = Command::new("erlc")
        .arg("mesh.erl")
        .current_dir(&folder)
        .status()?;
    if !compiled.success() {
        return Err("erlc has refused mesh.erl".into());
    }
    let measured = run(&folder, size);
    std::fs::remove_dir_all(&folder)?;
    measured.map(Some)
}

fn run(folder: &Path, size: &Size) -> Done<[f64; 3]> {
    // A port of its own instead of a daemon that would stay behind.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let erl = |name: &str| {
        let mut command = Command::new("erl");
        command
            .args(["-noshell", "-setcookie", "bench", "-start_epmd", "false"])
            .args(["-name", name, "-erl_epmd_port"])
            .arg(port.to_string())
            .arg("-pa")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        command
    };
    let mut sink = erl("sink@127.0.0.1")
        .args(["-s", "mesh", "serve"])
        .spawn()?;
    let out = sink.stdout.take().ok_or("no output of an Erlang node")?;
    let _sink = Node(sink);
    BufReader::new(out).read_line(&mut String::new())?;
    let output = erl("source@127.0.0.1")
        .args(["-dist_listen", "false", "-hidden", "-s", "mesh", "measure"])
        .arg(size.runs.to_string())
        // It is slower, and the figures are rates.
        .arg((size.small / 4).to_string())
        .arg(size.large.to_string())
        .arg(size.trips.to_string())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let figures: Vec<f64> = text.split_whitespace().flat_map(str::parse).collect();
    figures
        .try_into()
        .map_err(|_| format!("an Erlang node has said {text:?}").into())
}
