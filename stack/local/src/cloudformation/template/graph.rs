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

/// The resources that take part in a cycle, or in a path between two; empty when the graph can be built.
pub(super) fn cycle(graph: &Graph) -> Vec<String> {
    let unbuildable = strip(graph.clone());
    strip(reverse(&unbuildable)).into_keys().collect()
}

/// What stays when resources without open dependencies are taken away until there are none.
fn strip(mut graph: Graph) -> Graph {
    loop {
        let free: Vec<String> =
            graph.iter().filter(|(_, open)| open.is_empty()).map(|(name, _)| name.clone()).collect();
        if free.is_empty() {
            return graph;
        }
        for name in &free {
            graph.remove(name);
        }
        for open in graph.values_mut() {
            open.retain(|name| !free.contains(name));
        }
    }
}
