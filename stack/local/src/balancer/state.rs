//! What was created: load balancers, target groups and listeners, by ARN.

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;

use super::{errors, group::Group, input::Input, proxy::Route};
use crate::service::AwsError;

/// Connections that the system may hold until they are accepted.
const BACKLOG: u32 = 1_024;

pub(super) type Pairs = BTreeMap<String, String>;

#[derive(Default)]
pub(super) struct State {
    pub(super) balancers: BTreeMap<String, LoadBalancer>,
    pub(super) groups: BTreeMap<String, TargetGroup>,
    pub(super) listeners: BTreeMap<String, Listener>,
}

pub(super) struct LoadBalancer {
    pub(super) name: String,
    pub(super) created_at: Duration,
    pub(super) address: SocketAddr,
    /// The address, held until a listener serves it.
    pub(super) socket: Option<TcpSocket>,
    pub(super) given: Input,
    pub(super) attributes: Pairs,
    pub(super) tags: Pairs,
}

pub(super) struct TargetGroup {
    pub(super) name: String,
    pub(super) given: Input,
    pub(super) attributes: Pairs,
    pub(super) tags: Pairs,
    pub(super) group: Arc<Group>,
}

pub(super) struct Listener {
    pub(super) balancer: String,
    pub(super) group: String,
    pub(super) given: Input,
    pub(super) tags: Pairs,
    pub(super) serving: CancellationToken,
    pub(super) route: Arc<Route>,
}

impl State {
    pub(super) fn balancer(&mut self, arn: &str) -> Result<&mut LoadBalancer, AwsError> {
        self.balancers.get_mut(arn).ok_or_else(|| errors::no_balancer(arn))
    }

    pub(super) fn group(&mut self, arn: &str) -> Result<&mut TargetGroup, AwsError> {
        self.groups.get_mut(arn).ok_or_else(|| errors::no_group(arn))
    }

    /// The load balancers whose listeners send requests to a group.
    pub(super) fn balancers_of(&self, group: &str) -> Vec<String> {
        let own = self.listeners.values().filter(|listener| listener.group == group);
        own.map(|listener| listener.balancer.clone()).collect()
    }

    /// Stops a listener. Its load balancer keeps its address.
    pub(super) fn close_listener(&mut self, arn: &str) -> Option<Listener> {
        let listener = self.listeners.remove(arn)?;
        listener.serving.cancel();
        Some(listener)
    }
}

impl LoadBalancer {
    /// Starts to listen on the address of this load balancer.
    pub(super) fn listen(&mut self) -> io::Result<TcpListener> {
        match self.socket.take() {
            Some(socket) => socket.listen(BACKLOG),
            None => hold(self.address)?.listen(BACKLOG),
        }
    }
}

/// Takes an address without listening: clients are refused until a listener is there.
pub(super) fn hold(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart must not wait for the connections of the last run.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// The part of an ARN that metrics name a resource by.
pub(super) fn label(arn: &str) -> String {
    let resource = arn.rsplit(':').next().unwrap_or(arn);
    resource.strip_prefix("loadbalancer/").unwrap_or(resource).to_owned()
}
