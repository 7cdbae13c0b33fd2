//! Ports of this machine.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    process::Command,
};

use crate::failure::Failure;

/// Fails when something listens on `address`, naming it and the flag that chooses another port.
pub(super) fn require_free(address: SocketAddr, flag: &str) -> Result<(), Failure> {
    let Err(error) = TcpListener::bind(address) else { return Ok(()) };
    let what = if error.kind() == io::ErrorKind::AddrInUse {
        let holder = holder(address.port()).map(|holder| format!(" by {holder}")).unwrap_or_default();
        format!("port {} is in use{holder}", address.port())
    } else {
        format!("cannot listen on {address}: {error}")
    };
    Err(Failure::failed(what).hint(format!("{flag} chooses another port, {flag} 0 any free one")))
}

/// Which process listens on a port, in words, where the machine tells.
fn holder(port: u16) -> Option<String> {
    holder_in_proc(port).or_else(|| holder_by_lsof(port))
}

/// Linux: the socket's inode from /proc/net/tcp, then the process that has it open.
fn holder_in_proc(port: u16) -> Option<String> {
    let sockets = fs::read_to_string("/proc/net/tcp").ok()?;
    let inode = sockets.lines().skip(1).find_map(|line| listening(line, port))?;
    let socket = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let mut files = fs::read_dir(process.path().join("fd")).ok()?.flatten();
        files.find(|file| fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == socket.as_str()))?;
        let name = fs::read_to_string(process.path().join("comm")).ok()?;
        Some(format!("process {pid} ({})", name.trim()))
    })
}

/// The inode of a line of /proc/net/tcp, if it is a listener (state 0A) on `port`.
fn listening(line: &str, port: u16) -> Option<&str> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let local = fields.get(1)?.rsplit(':').next()?;
    let found = fields.get(3) == Some(&"0A") && u16::from_str_radix(local, 16) == Ok(port);
    found.then(|| fields.get(9).copied())?
}

/// macOS has no /proc but always `lsof`.
fn holder_by_lsof(port: u16) -> Option<String> {
    let listing = Command::new("lsof").args(["-nP", "-Fpc", "-sTCP:LISTEN", &format!("-iTCP:{port}")]).output().ok()?;
    let listing = String::from_utf8(listing.stdout).ok()?;
    let field = |tag| listing.lines().find_map(|line| line.strip_prefix(tag));
    Some(format!("process {} ({})", field('p')?, field('c')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_its_holder_and_the_way_out() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let failure = require_free(address, "--endpoint-port").expect_err("it is taken");
        assert!(failure.to_string().starts_with(&format!("port {} is in use", address.port())), "{failure}");
        assert!(failure.hint.is_some_and(|hint| hint.contains("--endpoint-port 0")));
    }

    #[test]
    fn listeners_are_told_from_connections() {
        let line = |state| format!("0: 0100007F:1F90 00000000:0000 {state} 0:0 0:0 0 0 0 777 1");
        assert_eq!(listening(&line("0A"), 8080), Some("777"));
        assert_eq!(listening(&line("01"), 8080), None);
        assert_eq!(listening(&line("0A"), 8081), None);
    }
}
