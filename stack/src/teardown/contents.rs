//! What keeps repositories and streams from being deleted goes first.

use aws_sdk_ecr::types::ImageIdentifier;

use super::Work;
use crate::{
    call::{CallError, call, found},
    inventory::{Existence, IMAGE, Inventory, Owner, Resource, STREAM_CONSUMER, contents, existence},
    limits::IMAGES_PER_DELETE,
    pace::Pace,
};

/// Deletes the images and the stream consumers that are in resources of the deployment now.
pub(super) async fn empty(work: Work<'_>, inventory: &Inventory) -> Result<(), CallError> {
    let holders: Vec<_> = inventory.resources.iter().filter(|known| known.owner != Owner::Contents).cloned().collect();
    let contents = contents(work.clients, &holders).await?;
    delete_images(work, contents.iter().filter(|content| content.kind == IMAGE)).await?;
    for consumer in contents.iter().filter(|content| content.kind == STREAM_CONSUMER) {
        deregister(work, consumer).await?;
    }
    Ok(())
}

async fn delete_images(work: Work<'_>, images: impl Iterator<Item = &Resource>) -> Result<(), CallError> {
    let mut images: Vec<_> = images.filter_map(|image| image.id.split_once('@')).collect();
    images.sort_unstable();
    for of_repository in images.chunk_by(|one, other| one.0 == other.0) {
        for batch in of_repository.chunks(IMAGES_PER_DELETE) {
            let ids = batch.iter().map(|(_, digest)| ImageIdentifier::builder().image_digest(*digest).build());
            let request =
                work.clients.ecr.batch_delete_image().repository_name(batch[0].0).set_image_ids(Some(ids.collect()));
            found(call("ecr:BatchDeleteImage", request.send()).await, &["RepositoryNotFoundException"])?;
        }
    }
    Ok(())
}

/// A stream cannot be deleted until its consumers are gone, which takes them some seconds.
pub(super) async fn deregister(work: Work<'_>, consumer: &Resource) -> Result<(), CallError> {
    let request = work.clients.kinesis.deregister_stream_consumer().consumer_arn(&consumer.id);
    found(call("kinesis:DeregisterStreamConsumer", request.send()).await, &["ResourceNotFoundException"])?;
    let mut pace = Pace::new();
    while existence(work.clients, consumer).await? == Existence::Here {
        pace.pause().await;
    }
    Ok(())
}
