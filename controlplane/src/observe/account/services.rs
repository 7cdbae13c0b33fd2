//! DescribeServices, ten services a call, whichever pipelines they belong to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use aws_sdk_ecs::{Client, types::ServiceField};
use tokio::sync::{mpsc, oneshot};

use super::{Failed, Pace};
use crate::{
    limits::{DEPLOYMENT_TAG, SERVICES_PER_DESCRIBE},
    units::TaskCount,
};

/// How long a question waits for company. Pipelines whose turns begin together ask within this time.
const COMPANY: Duration = Duration::from_millis(50);

/// Questions that may wait: more than turns that run at once can ask.
const QUESTIONS_MAX: usize = 256;

/// What ECS says of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::observe) struct Described {
    pub(in crate::observe) counts: Counts,
    /// The deployment that the service's tags name.
    pub(in crate::observe) deployment: Option<String>,
}

/// How many tasks a service has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::observe) struct Counts {
    pub(in crate::observe) desired: TaskCount,
    pub(in crate::observe) running: TaskCount,
    pub(in crate::observe) pending: TaskCount,
}

/// A service as it is; nothing when there is no active one of that name.
type Answer = Result<Option<Described>, Failed>;

struct Question {
    cluster: String,
    service: String,
    answer: oneshot::Sender<Answer>,
}

/// Asks ECS about services.
pub(in crate::observe) struct Services {
    questions: mpsc::Sender<Question>,
}

impl Services {
    /// Answers questions as long as this lives.
    pub(super) fn start(client: Client, pace: Arc<Pace>) -> Self {
        let (questions, asked) = mpsc::channel(QUESTIONS_MAX);
        tokio::spawn(answer(client, pace, asked));
        Self { questions }
    }

    pub(in crate::observe) async fn describe(&self, cluster: &str, service: &str) -> Answer {
        let stopped = || Failed("the control plane is stopping".to_owned());
        let (answer, answered) = oneshot::channel();
        let question = Question { cluster: cluster.to_owned(), service: service.to_owned(), answer };
        self.questions.send(question).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

async fn answer(client: Client, pace: Arc<Pace>, mut asked: mpsc::Receiver<Question>) {
    while let Some(first) = asked.recv().await {
        // The right to call comes first: whoever asks while it is waited for joins.
        pace.take().await;
        tokio::time::sleep(COMPANY).await;
        let mut waiting = vec![first];
        while let Ok(question) = asked.try_recv() {
            waiting.push(question);
        }
        for (number, (cluster, questions)) in calls(waiting).into_iter().enumerate() {
            if number > 0 {
                pace.take().await;
            }
            // Whoever asks meanwhile goes into the next call: the slower the answers, the fuller the calls.
            call(&client, &cluster, questions).await;
        }
    }
}

/// Questions about the same service.
type Same = (String, Vec<oneshot::Sender<Answer>>);

/// Which questions go into which call: one cluster each, and at most as many services as one call takes.
fn calls(questions: Vec<Question>) -> Vec<(String, Vec<Same>)> {
    let mut clusters: BTreeMap<String, BTreeMap<String, Vec<_>>> = BTreeMap::new();
    for Question { cluster, service, answer } in questions {
        clusters.entry(cluster).or_default().entry(service).or_default().push(answer);
    }
    let mut calls = Vec::new();
    for (cluster, services) in clusters {
        let mut services = services.into_iter().peekable();
        while services.peek().is_some() {
            calls.push((cluster.clone(), services.by_ref().take(SERVICES_PER_DESCRIBE).collect()));
        }
    }
    calls
}

async fn call(client: &Client, cluster: &str, questions: Vec<Same>) {
    let names: BTreeSet<_> = questions.iter().map(|(service, _)| service.clone()).collect();
    let described = describe(client, cluster, names).await;
    for (service, waiting) in questions {
        let answer = described.as_ref().map(|services| services.get(&service).cloned()).map_err(Clone::clone);
        for asker in waiting {
            // Who no longer waits has ended its turn.
            let _ = asker.send(answer.clone());
        }
    }
}

async fn describe(
    client: &Client,
    cluster: &str,
    names: BTreeSet<String>,
) -> Result<BTreeMap<String, Described>, Failed> {
    let call = client.describe_services().cluster(cluster).set_services(Some(names.into_iter().collect()));
    let answer = call.include(ServiceField::Tags).send().await;
    let answer = answer.map_err(|error| Failed::of(&aws_sdk_ecs::Error::from(error)))?;
    let active = answer.services.unwrap_or_default().into_iter().filter(|service| service.status() == Some("ACTIVE"));
    let count = |number: i32| TaskCount(u32::try_from(number).unwrap_or_default());
    let described = active.filter_map(|service| {
        let tag = service.tags().iter().find(|tag| tag.key() == Some(DEPLOYMENT_TAG));
        let described = Described {
            counts: Counts {
                desired: count(service.desired_count()),
                running: count(service.running_count()),
                pending: count(service.pending_count()),
            },
            deployment: tag.and_then(|tag| tag.value().map(str::to_owned)),
        };
        Some((service.service_name?, described))
    });
    Ok(described.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(cluster: &str, service: String) -> Question {
        Question { cluster: cluster.to_owned(), service, answer: oneshot::channel().0 }
    }

    #[test]
    fn a_call_is_about_one_cluster_and_at_most_ten_services_and_names_each_once() {
        let mut questions: Vec<_> = (0..12).map(|number| question("a", format!("s{number}"))).collect();
        questions.push(question("b", "s0".to_owned()));
        questions.push(question("a", "s0".to_owned()));
        let calls = calls(questions);
        let shape: Vec<_> = calls.iter().map(|(cluster, same)| (cluster.as_str(), same.len())).collect();
        assert_eq!(shape, [("a", 10), ("a", 2), ("b", 1)]);
        assert_eq!(calls[0].1[0].1.len(), 2, "both who ask about s0 of a are answered");
    }
}
