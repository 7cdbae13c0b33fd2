//! Where a task listens: a loopback address of its own, or 127.0.0.1 with ports of its own.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicU32, Ordering},
};

use tokio::net::TcpSocket;

/// A port that no task uses. Whoever holds it on an address has that address, also against other endpoints on the
/// machine; the system releases it when this process ends, however it ends.
const RESERVATION_PORT: u16 = 65_535;

/// Addresses are 127.a.b.c with a and c in 1..=254, so none is 127.0.0.1, a network or a broadcast address.
const ADDRESSES: u32 = 254 * 256 * 254;

/// How many addresses are tried for one task.
const ATTEMPTS_MAX: u32 = 256;

/// Hands out places.
pub(super) struct Places {
    address_per_task: bool,
    /// A container port, and the variable that tells a process its port instead.
    port_variables: Vec<(u16, String)>,
    next: AtomicU32,
}

/// Where one task listens. The address is free again when this is dropped.
pub(super) struct Place {
    pub(super) address: IpAddr,
    /// Container ports that are elsewhere: the port, where it is, and the variable that says so.
    pub(super) moved: Vec<(u16, u16, String)>,
    _reservation: Option<TcpSocket>,
}

impl Place {
    /// Where a container port is.
    pub(super) fn socket(&self, port: u16) -> SocketAddr {
        let moved = self.moved.iter().find(|(from, ..)| *from == port);
        SocketAddr::new(self.address, moved.map_or(port, |(_, to, _)| *to))
    }
}

impl Places {
    pub(super) fn new(address_per_task: bool, port_variables: Vec<(u16, String)>) -> Self {
        // Endpoints on one machine start far apart, so that they seldom try each other's addresses.
        let first = std::process::id().wrapping_mul(2_654_435_761) % ADDRESSES;
        Self { address_per_task, port_variables, next: AtomicU32::new(first) }
    }

    /// Finds a free place.
    ///
    /// # Errors
    /// When no address or no port is free.
    pub(super) fn reserve(&self) -> io::Result<Place> {
        let (address, reservation) = if self.address_per_task {
            let (address, socket) = self.free_address()?;
            (address, Some(socket))
        } else {
            (IpAddr::V4(Ipv4Addr::LOCALHOST), None)
        };
        let shared = reservation.is_none();
        let (mut moved, mut held) = (Vec::new(), Vec::new());
        for (port, variable) in &self.port_variables {
            // On a shared address every task moves; on an own one only where somebody listens on all addresses.
            if shared || !is_free(SocketAddr::new(address, *port))? {
                let socket = bind(SocketAddr::new(address, 0))?;
                moved.push((*port, socket.local_addr()?.port(), variable.clone()));
                // Held until all are chosen, so that they differ.
                held.push(socket);
            }
        }
        Ok(Place { address, moved, _reservation: reservation })
    }

    fn free_address(&self) -> io::Result<(IpAddr, TcpSocket)> {
        let mut last = io::Error::other("no address was tried");
        for _ in 0..ATTEMPTS_MAX {
            let address = address(self.next.fetch_add(1, Ordering::Relaxed));
            match bind(SocketAddr::new(address, RESERVATION_PORT)) {
                Ok(socket) => return Ok((address, socket)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

fn address(index: u32) -> IpAddr {
    let index = index % ADDRESSES;
    let octet = |number: u32| u8::try_from(number % 256).unwrap_or_default();
    IpAddr::V4(Ipv4Addr::new(127, octet(1 + index / (254 * 256)), octet(index / 254), octet(1 + index % 254)))
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(address)?;
    Ok(socket)
}

fn is_free(address: SocketAddr) -> io::Result<bool> {
    let socket = TcpSocket::new_v4()?;
    // Connections of a former task that linger do not count.
    socket.set_reuseaddr(true)?;
    Ok(socket.bind(address).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Vec<(u16, String)> {
        vec![(8080, "PORT".to_owned()), (9464, "ADMIN".to_owned())]
    }

    #[tokio::test]
    async fn no_address_is_given_twice_while_it_is_held_not_even_by_another_endpoint() {
        if !cfg!(target_os = "linux") {
            eprintln!("skipped: only Linux answers on all of 127.0.0.0/8");
            return;
        }
        let (one, other) = (Places::new(true, vec![]), Places::new(true, vec![]));
        let held: Vec<_> = (0..20).flat_map(|_| [one.reserve().unwrap(), other.reserve().unwrap()]).collect();
        let mut addresses: Vec<_> = held.iter().map(|place| place.address).collect();
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), held.len());
        assert!(addresses.iter().all(|address| address.is_loopback() && *address != IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }

    #[tokio::test]
    async fn on_a_shared_address_every_named_port_moves() {
        let place = Places::new(false, variables()).reserve().unwrap();
        assert_eq!(place.address, IpAddr::V4(Ipv4Addr::LOCALHOST));
        let moved: Vec<_> = place.moved.iter().map(|(from, ..)| *from).collect();
        assert_eq!(moved, [8080, 9464]);
        assert_ne!(place.socket(8080), place.socket(9464));
        assert_eq!(place.socket(7000).port(), 7000);
    }

    #[test]
    fn every_address_is_a_host_address_below_127() {
        for index in [0, 253, 254, 65_023, 65_024, ADDRESSES - 1, ADDRESSES] {
            let IpAddr::V4(address) = address(index) else { panic!("not IPv4") };
            let [first, second, _, last] = address.octets();
            assert!(first == 127 && (1..=254).contains(&second) && (1..=254).contains(&last), "{index}: {address}");
        }
    }
}
