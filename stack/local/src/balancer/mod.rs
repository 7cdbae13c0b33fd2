//! Elastic Load Balancing v2: application load balancers, whose listeners are proxies of this process.
//!
//! What differs from AWS: a load balancer has one listener, which forwards everything to one group in plain HTTP on a
//! loopback address; its `DNSName` is that address with its port; health checks come at least as often as
//! [`Settings::health_check_interval_max`].

mod body;
mod errors;
mod group;
mod headers;
mod health;
mod input;
mod listeners;
mod load_balancers;
mod pool;
mod proxy;
mod serve;
mod settings;
mod state;
mod tags;
mod target_groups;
mod traffic;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};

use self::{
    group::Group,
    input::Input,
    state::{State, label},
    traffic::Labels,
};
use crate::{
    cloud::Context,
    cloudwatch::Datum,
    service::{AwsError, Call, Reply},
};

pub(crate) use self::health::TargetHealth;
pub use self::settings::Settings;

/// Elastic Load Balancing v2.
pub struct Balancer {
    context: Context,
    settings: Settings,
    state: Mutex<State>,
}

impl Balancer {
    pub(crate) fn new(context: Context, settings: Settings) -> Arc<Self> {
        let balancer = Arc::new(Self { state: Mutex::default(), context, settings });
        balancer.context.tasks.spawn(publish(balancer.clone()));
        balancer
    }

    /// Answers one API call.
    pub async fn call(&self, call: Call) -> Result<Reply, AwsError> {
        let input: Input = call.input()?;
        let answer = match call.operation.as_str() {
            "RegisterTargets" => self.register_targets(&input),
            "DeregisterTargets" => self.deregister_targets(&input),
            "CreateListener" => self.create_listener(&input),
            operation => self.answer(operation, &input),
        };
        Reply::json(&answer?)
    }

    /// Answers what concerns the state alone.
    fn answer(&self, operation: &str, input: &Input) -> Result<Value, AwsError> {
        let identity = &self.context.identity;
        let state = &mut *self.state();
        match operation {
            "CreateLoadBalancer" => {
                load_balancers::create(state, (identity, &self.settings), self.context.clock.now(), input)
            }
            "DescribeLoadBalancers" => load_balancers::describe(state, identity, input),
            "DeleteLoadBalancer" => load_balancers::delete(state, input),
            "ModifyLoadBalancerAttributes" => load_balancers::modify_attributes(state, input),
            "DescribeLoadBalancerAttributes" => load_balancers::describe_attributes(state, input),
            "SetSubnets" | "SetSecurityGroups" | "SetIpAddressType" => load_balancers::set(state, input),
            "CreateTargetGroup" => target_groups::create(state, identity, input),
            "DescribeTargetGroups" => target_groups::describe(state, input),
            "DeleteTargetGroup" => target_groups::delete(state, input),
            "ModifyTargetGroup" => target_groups::modify(state, input),
            "ModifyTargetGroupAttributes" => target_groups::modify_attributes(state, input),
            "DescribeTargetGroupAttributes" => target_groups::describe_attributes(state, input),
            "DescribeTargetHealth" => target_groups::describe_health(state, input),
            "DescribeListeners" => listeners::describe(state, input),
            "ModifyListener" => listeners::modify(state, input),
            "DeleteListener" => listeners::delete(state, input),
            "AddTags" => tags::add(state, input),
            "RemoveTags" => tags::remove(state, input),
            "DescribeTags" => tags::describe(state, input),
            other => Err(AwsError::not_implemented("elasticloadbalancing", other)),
        }
    }

    fn create_listener(&self, input: &Input) -> Result<Value, AwsError> {
        let mut state = self.state();
        let Context { clock, stopping, tasks, .. } = &self.context;
        let opened = listeners::create(&mut state, (&self.settings, *clock), stopping, input)?;
        tasks.spawn(serve::serve(opened.listener, opened.route, opened.serving));
        listeners::created(&state, &opened.arn)
    }

    fn register_targets(&self, input: &Input) -> Result<Value, AwsError> {
        let (group, targets) = self.targets(input)?;
        for target in targets {
            self.add(&group, target);
        }
        Ok(json!({}))
    }

    fn deregister_targets(&self, input: &Input) -> Result<Value, AwsError> {
        let (group, targets) = self.targets(input)?;
        let delay_max = self.settings.deregistration_delay_max;
        for target in targets {
            let group = group.clone();
            self.context.tasks.spawn(async move { group.drain(target, delay_max).await });
        }
        Ok(json!({}))
    }

    fn targets(&self, input: &Input) -> Result<(Arc<Group>, Vec<SocketAddr>), AwsError> {
        let mut state = self.state();
        let group = state.group(&input.required("TargetGroupArn")?)?;
        Ok((group.group.clone(), target_groups::targets(group, input)?))
    }

    fn add(&self, group: &Arc<Group>, target: SocketAddr) {
        if let Some(target) = group.add(target) {
            let watch = health::watch(group.clone(), target, self.settings.health_check_interval_max);
            let stopping = self.context.stopping.clone();
            self.context.tasks.spawn(async move { stopping.run_until_cancelled(watch).await });
        }
    }

    /// Adds a target to a group; it gets requests once its health check passes.
    pub(crate) fn register(&self, target_group_arn: &str, target: SocketAddr) -> Result<(), AwsError> {
        let group = self.group(target_group_arn).ok_or_else(|| errors::no_group(target_group_arn))?;
        self.add(&group, target);
        Ok(())
    }

    /// Takes a target out: no new requests at once, and returns when the open ones ended or the group's
    /// deregistration delay is over.
    pub(crate) async fn deregister(&self, target_group_arn: &str, target: SocketAddr) {
        if let Some(group) = self.group(target_group_arn) {
            group.drain(target, self.settings.deregistration_delay_max).await;
        }
    }

    /// Takes a target out whose process is gone.
    pub(crate) fn withdraw(&self, target_group_arn: &str, target: SocketAddr) {
        if let Some(group) = self.group(target_group_arn) {
            group.remove(target);
        }
    }

    /// How a target stands.
    pub(crate) fn health(&self, target_group_arn: &str, target: SocketAddr) -> TargetHealth {
        self.group(target_group_arn).map_or(TargetHealth::Unused, |group| group.health(target))
    }

    /// Everything that carries tags.
    pub(crate) fn tagged_resources(&self) -> Vec<(String, BTreeMap<String, String>)> {
        tags::tagged(&self.state())
    }

    fn group(&self, arn: &str) -> Option<Arc<Group>> {
        self.state().groups.get(arn).map(|group| group.group.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What every group in use did since the last time, and how its targets stand.
    fn measure(&self) -> Vec<Datum> {
        let now_ms = self.context.clock.now_ms();
        let state = self.state();
        let measured = state.listeners.values().filter_map(|listener| {
            let group = &state.groups.get(&listener.group)?.group;
            let labels = Labels { load_balancer: label(&listener.balancer), target_group: label(&listener.group) };
            let standing = group.standing();
            let count = |health| standing.iter().filter(|(_, it, _)| *it == health).count();
            let (healthy, unhealthy) = (count(TargetHealth::Healthy), count(TargetHealth::Unhealthy));
            let mut data = traffic::of_traffic(&group.traffic.take(), &labels, now_ms);
            data.extend(traffic::of_health(healthy, unhealthy, &labels, now_ms));
            Some(data)
        });
        measured.flatten().collect()
    }
}

/// Publishes metrics until the endpoint stops.
async fn publish(balancer: Arc<Balancer>) {
    let mut interval = tokio::time::interval(balancer.settings.publish_interval);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while balancer.context.stopping.run_until_cancelled(interval.tick()).await.is_some() {
        let Ok(services) = balancer.context.peers.services() else { continue };
        for datum in balancer.measure() {
            services.cloudwatch.put(datum);
        }
    }
}
