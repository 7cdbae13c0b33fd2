//! Images on their way into a repository.

use aws_sdk_ecr::types::{ImageIdentifier, ImageTagMutability};
use stack::image::{Image, ImageSource, PushError, build, push};

use crate::endpoint::Endpoint;

fn image() -> Image {
    build(&ImageSource::HostProcess { command: vec!["/bin/true".to_owned()] }).expect("an image")
}

#[tokio::test]
async fn an_image_arrives_once_and_as_it_was_built() {
    let endpoint = Endpoint::start().await;
    let ecr = aws_sdk_ecr::Client::new(&endpoint.sdk);
    let create = ecr.create_repository().repository_name("weir/producer");
    create.image_tag_mutability(ImageTagMutability::Immutable).send().await.expect("a repository");
    let image = image();

    let first = push(&endpoint.clients, "weir/producer", &image).await.expect("the first push");
    let bytes = image.layer.bytes.len() + image.config.bytes.len();
    assert_eq!(first.uploaded, u64::try_from(bytes).expect("a small image"));
    let second = push(&endpoint.clients, "weir/producer", &image).await.expect("the second push");
    assert_eq!(second.uploaded, 0, "nothing is sent twice");

    let by_tag = ImageIdentifier::builder().image_tag(image.digest().tag()).build();
    let stored = ecr.batch_get_image().repository_name("weir/producer").image_ids(by_tag).send().await.expect("a read");
    let stored = stored.images().first().expect("the image");
    assert_eq!(stored.image_manifest().map(str::as_bytes), Some(&*image.manifest.bytes));
    assert_eq!(stored.image_id().and_then(|id| id.image_digest()), Some(image.digest().as_str()));
    endpoint.stop().await;
}

#[tokio::test]
async fn a_push_to_a_repository_that_is_not_there_says_so() {
    let endpoint = Endpoint::start().await;
    let error = push(&endpoint.clients, "weir/absent", &image()).await.expect_err("there is no repository");
    let PushError::Call(refusal) = error else { panic!("{error:?}") };
    assert_eq!(refusal.code(), Some("RepositoryNotFoundException"));
    endpoint.stop().await;
}
