//! What others put inside resources of the deployment, and what keeps those from being deleted.

use super::{IMAGE, Owner, REPOSITORY, Resource, STREAM, STREAM_CONSUMER};
use crate::{
    call::{CallError, call, found},
    clients::Clients,
};

/// Images of the repositories and consumers of the streams among `resources`.
pub(crate) async fn list(clients: &Clients, resources: &[Resource]) -> Result<Vec<Resource>, CallError> {
    let mut contents = Vec::new();
    for holder in resources {
        match holder.kind.as_str() {
            REPOSITORY => contents.extend(images(clients, &holder.id).await?),
            STREAM => contents.extend(consumers(clients, &holder.id).await?),
            _ => {}
        }
    }
    contents.retain(|content| !resources.iter().any(|known| known.is(content)));
    Ok(contents)
}

async fn images(clients: &Clients, repository: &str) -> Result<Vec<Resource>, CallError> {
    let mut digests = Vec::new();
    let mut page = None;
    loop {
        let request = clients.ecr.list_images().repository_name(repository).set_next_token(page);
        let listed = found(call("ecr:ListImages", request.send()).await, &["RepositoryNotFoundException"])?;
        let Some(answer) = listed else { break };
        digests.extend(answer.image_ids().iter().filter_map(|image| image.image_digest().map(str::to_owned)));
        page = answer.next_token;
        if page.is_none() {
            break;
        }
    }
    // An image is listed once for each of its tags.
    digests.sort();
    digests.dedup();
    let image = |digest| Resource {
        kind: IMAGE.to_owned(),
        id: format!("{repository}@{digest}"),
        arn: None,
        owner: Owner::Contents,
    };
    Ok(digests.into_iter().map(image).collect())
}

async fn consumers(clients: &Clients, stream: &str) -> Result<Vec<Resource>, CallError> {
    let mut consumers = Vec::new();
    let summary =
        call("kinesis:DescribeStreamSummary", clients.kinesis.describe_stream_summary().stream_name(stream).send());
    let summary = found(summary.await, &["ResourceNotFoundException"])?;
    let Some(stream_arn) = summary.and_then(|answer| answer.stream_description_summary).map(|it| it.stream_arn) else {
        return Ok(consumers);
    };
    let mut page = None;
    loop {
        let request = clients.kinesis.list_stream_consumers().stream_arn(&stream_arn).set_next_token(page);
        let listed = found(call("kinesis:ListStreamConsumers", request.send()).await, &["ResourceNotFoundException"])?;
        let Some(answer) = listed else { return Ok(consumers) };
        consumers.extend(answer.consumers.unwrap_or_default().into_iter().map(|consumer| Resource {
            kind: STREAM_CONSUMER.to_owned(),
            id: consumer.consumer_arn.clone(),
            arn: Some(consumer.consumer_arn),
            owner: Owner::Contents,
        }));
        page = answer.next_token;
        if page.is_none() {
            return Ok(consumers);
        }
    }
}
