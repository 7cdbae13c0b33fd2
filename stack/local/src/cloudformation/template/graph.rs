//! Which resource waits for which.

use std::collections::{BTreeMap, BTreeSet};

/// For each resource, the resources it depends on. Every name that occurs is a key.
pub(crate) type Graph = BTreeMap<String, BTreeSet<String>>;

/// The graph with every arrow turned around: what to delete first.
pub(crate) fn reverse(graph: &Graph) -> Graph {
    let mut reversed: Graph = graph.keys().map(|name| (name.clone(), BTreeSet::new())).collect();
    for (name, dependencies) in graph {
        for dependency in dependencies {
            reversed.entry(dependency.clone()).or_default().insert(name.clone());
        }
    }
    reversed
}

/// One order in which a graph without cycles can be built.
pub(crate) fn order(graph: &Graph) -> Vec<String> {
    let mut open = graph.clone();
    let mut order = Vec::new();
    loop {
        let free = take_free(&mut open);
        if free.is_empty() {
            return order;
        }
        order.extend(free);
    }
}

/// Takes out what depends on nothing that is still in the graph.
fn take_free(open: &mut Graph) -> Vec<String> {
    let free: Vec<String> = open.iter().filter(|(_, needs)| needs.is_empty()).map(|(name, _)| name.clone()).collect();
    open.retain(|name, _| !free.contains(name));
    for needs in open.values_mut() {
        needs.retain(|name| !free.contains(name));
    }
    free
}

/// The resources that take part in a cycle, or in a path between two; empty when the graph can be built.
pub(super) fn cycle(graph: &Graph) -> Vec<String> {
    let unbuildable = strip(graph.clone());
    strip(reverse(&unbuildable)).into_keys().collect()
}

/// What stays when resources without open dependencies are taken away until there are none.
fn strip(mut graph: Graph) -> Graph {
    while !take_free(&mut graph).is_empty() {}
    graph
}
