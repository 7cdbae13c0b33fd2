//! Works on a graph in order, in parallel where the order allows it.

use std::collections::BTreeSet;

use futures::{StreamExt, stream::FuturesUnordered};

use crate::cloudformation::template::{Graph, reverse};

/// Calls `act` for every name once all it depends on are done. What depends on a failed one is never started, nor is
/// anything after `act` answered [`Stop`]. Returns when nothing is under way any more.
pub(super) async fn walk<F, A>(graph: &Graph, act: A)
where
    A: Fn(String) -> F,
    F: Future<Output = Outcome>,
{
    let dependents = reverse(graph);
    let mut open = graph.clone();
    let start = |name: String| {
        let acting = act(name.clone());
        async move { (name, acting.await) }
    };
    let mut running: FuturesUnordered<_> = take_free(&mut open).into_iter().map(start).collect();
    let mut stopped = false;
    while let Some((name, outcome)) = running.next().await {
        match outcome {
            Outcome::Done => {
                for dependent in dependents.get(&name).into_iter().flatten() {
                    open.entry(dependent.clone()).and_modify(|needs| {
                        needs.remove(&name);
                    });
                }
            }
            Outcome::Failed => {}
            Outcome::Stop => stopped = true,
        }
        if !stopped {
            running.extend(take_free(&mut open).into_iter().map(start));
        }
    }
}

/// How work on one resource ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// What depends on it cannot be worked on; the rest can.
    Failed,
    /// Nothing new is to be started.
    Stop,
}

fn take_free(open: &mut Graph) -> Vec<String> {
    let free: BTreeSet<_> = open.iter().filter(|(_, needs)| needs.is_empty()).map(|(name, _)| name.clone()).collect();
    open.retain(|name, _| !free.contains(name));
    free.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Duration};

    use super::*;

    fn graph(rows: &[(&str, &[&str])]) -> Graph {
        let names = |needs: &[&str]| needs.iter().map(|name| (*name).to_owned()).collect();
        rows.iter().map(|(name, needs)| ((*name).to_owned(), names(needs))).collect()
    }

    async fn walked(graph: &Graph, outcome: impl Fn(&str) -> Outcome) -> Vec<String> {
        let seen = Mutex::new(Vec::new());
        walk(graph, |name| {
            let (seen, outcome) = (&seen, outcome(&name));
            async move {
                seen.lock().expect("no panic while held").push(name);
                tokio::time::sleep(Duration::from_secs(1)).await;
                outcome
            }
        })
        .await;
        seen.into_inner().expect("no panic while held")
    }

    #[tokio::test(start_paused = true)]
    async fn independent_resources_are_worked_on_at_the_same_time() {
        let graph = graph(&[("a", &[]), ("b", &[]), ("c", &["a", "b"])]);
        let started = tokio::time::Instant::now();
        assert_eq!(walked(&graph, |_| Outcome::Done).await, ["a", "b", "c"]);
        assert_eq!(tokio::time::Instant::now() - started, Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_depends_on_a_failed_resource_is_left_out_and_the_rest_is_not() {
        let graph = graph(&[("a", &[]), ("b", &["a"]), ("c", &[]), ("d", &["c"])]);
        let outcome = |name: &str| if name == "a" { Outcome::Failed } else { Outcome::Done };
        assert_eq!(walked(&graph, outcome).await, ["a", "c", "d"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_lets_running_work_end_but_starts_nothing_new() {
        let graph = graph(&[("a", &[]), ("b", &[]), ("c", &["b"])]);
        let outcome = |name: &str| if name == "a" { Outcome::Stop } else { Outcome::Done };
        assert_eq!(walked(&graph, outcome).await, ["a", "b"]);
    }
}
