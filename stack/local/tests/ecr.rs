//! ECR through the SDK: an image is pushed, read and deleted.

mod endpoint;

use aws_sdk_ecr::{
    Client,
    error::ProvideErrorMetadata,
    primitives::Blob,
    types::{ImageIdentifier, ImageTagMutability, LayerAvailability, Tag},
};
use endpoint::Endpoint;
use sha2::{Digest, Sha256};

const REPOSITORY: &str = "weir/producer";

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

async fn start() -> (Endpoint, Client) {
    let endpoint = endpoint::start().await;
    let client = Client::new(&endpoint.sdk);
    let tag = Tag::builder().key("weir:deployment").value("w").build().unwrap();
    let create = client.create_repository().repository_name(REPOSITORY).tags(tag);
    let created = create.image_tag_mutability(ImageTagMutability::Immutable).send().await.unwrap();
    let uri = created.repository().unwrap().repository_uri().unwrap();
    assert_eq!(uri, "000000000000.dkr.ecr.eu-central-1.amazonaws.com/weir/producer");
    (endpoint, client)
}

/// Uploads a blob in two parts.
async fn upload(client: &Client, blob: &[u8], digest: &str) -> Result<(), String> {
    let code = |error: Option<&str>| error.unwrap_or_default().to_owned();
    let begun = client.initiate_layer_upload().repository_name(REPOSITORY).send().await.unwrap();
    let id = begun.upload_id().unwrap();
    let middle = blob.len() / 2;
    for (first, part) in [(0, &blob[..middle]), (middle, &blob[middle..])] {
        let last = i64::try_from(first + part.len()).unwrap() - 1;
        let upload = client.upload_layer_part().repository_name(REPOSITORY).upload_id(id);
        let upload = upload.part_first_byte(i64::try_from(first).unwrap()).part_last_byte(last);
        upload.layer_part_blob(Blob::new(part)).send().await.map_err(|error| code(error.code()))?;
    }
    let complete = client.complete_layer_upload().repository_name(REPOSITORY).upload_id(id).layer_digests(digest);
    complete.send().await.map(|_| ()).map_err(|error| code(error.code()))
}

fn manifest(config: &[u8], layer: &[u8], note: &str) -> String {
    format!(
        r#"{{"schemaVersion":2, "mediaType":"application/vnd.oci.image.manifest.v1+json","annotations":{{"n":"{note}"}},"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{}","size":{}}}]}}"#,
        digest(config),
        config.len(),
        digest(layer),
        layer.len()
    )
}

const CONFIG: &[u8] = br#"{"config":{"Entrypoint":["ctl","role","producer"],"Labels":{"weir.host-process":"true"}}}"#;
const LAYER: &[u8] = b"an empty layer";

async fn put(client: &Client, manifest: &str, tag: &str) -> Result<String, String> {
    let put = client.put_image().repository_name(REPOSITORY).image_manifest(manifest).image_tag(tag);
    match put.send().await {
        Ok(put) => Ok(put.image().unwrap().image_id().unwrap().image_digest().unwrap().to_owned()),
        Err(error) => Err(error.code().unwrap_or_default().to_owned()),
    }
}

fn tagged(tag: &str) -> ImageIdentifier {
    ImageIdentifier::builder().image_tag(tag).build()
}

#[tokio::test]
async fn an_image_is_pushed_once_and_kept_byte_for_byte() {
    let (endpoint, client) = start().await;
    let first = manifest(CONFIG, LAYER, "1");
    assert_eq!(put(&client, &first, "v1").await, Err("LayersNotFoundException".to_owned()));
    let check = client.batch_check_layer_availability().repository_name(REPOSITORY).layer_digests(digest(LAYER));
    let checked = check.clone().send().await.unwrap();
    assert_eq!(checked.layers()[0].layer_availability(), Some(&LayerAvailability::Unavailable));
    assert_eq!(upload(&client, LAYER, &digest(b"other")).await, Err("InvalidLayerException".to_owned()));
    upload(&client, LAYER, &digest(LAYER)).await.unwrap();
    upload(&client, CONFIG, &digest(CONFIG)).await.unwrap();
    assert_eq!(upload(&client, LAYER, &digest(LAYER)).await, Err("LayerAlreadyExistsException".to_owned()));
    assert_eq!(check.send().await.unwrap().layers()[0].layer_availability(), Some(&LayerAvailability::Available));
    assert_eq!(put(&client, &first, "v1").await, Ok(digest(first.as_bytes())));
    assert_eq!(put(&client, &first, "v1").await, Err("ImageAlreadyExistsException".to_owned()));
    let second = manifest(CONFIG, LAYER, "2");
    assert_eq!(put(&client, &second, "v1").await, Err("ImageTagAlreadyExistsException".to_owned()));
    let get = client.batch_get_image().repository_name(REPOSITORY).image_ids(tagged("v1")).image_ids(tagged("v9"));
    let got = get.send().await.unwrap();
    assert_eq!(got.images()[0].image_manifest(), Some(first.as_str()));
    assert_eq!(got.failures()[0].failure_code().unwrap().as_str(), "ImageNotFound");
    let described = client.describe_images().repository_name(REPOSITORY).send().await.unwrap();
    assert_eq!(described.image_details()[0].image_tags(), ["v1"]);
    assert_eq!(described.image_details()[0].image_size_in_bytes(), i64::try_from(LAYER.len()).ok());
    endpoint.cloud.stop().await;
}

#[tokio::test]
async fn a_repository_is_deleted_only_when_it_is_empty() {
    let (endpoint, client) = start().await;
    upload(&client, LAYER, &digest(LAYER)).await.unwrap();
    upload(&client, CONFIG, &digest(CONFIG)).await.unwrap();
    let images: Vec<String> = (0..5).map(|n| manifest(CONFIG, LAYER, &n.to_string())).collect();
    for (number, image) in images.iter().enumerate() {
        put(&client, image, &format!("v{number}")).await.unwrap();
    }
    put(&client, &images[0], "latest").await.unwrap();
    let refused = client.delete_repository().repository_name(REPOSITORY).send().await.unwrap_err();
    assert_eq!(refused.code(), Some("RepositoryNotEmptyException"));
    let listed = client.list_images().repository_name(REPOSITORY).max_results(2).into_paginator().items();
    let listed: Vec<ImageIdentifier> = listed.send().collect::<Result<_, _>>().await.unwrap();
    assert_eq!(listed.len(), 6);
    let delete = |ids| client.batch_delete_image().repository_name(REPOSITORY).set_image_ids(Some(ids)).send();
    let one_tag = delete(vec![tagged("latest"), tagged("none")]).await.unwrap();
    assert_eq!((one_tag.image_ids().len(), one_tag.failures().len()), (1, 1));
    let by_digest =
        images.iter().map(|image| ImageIdentifier::builder().image_digest(digest(image.as_bytes())).build());
    let all = delete(by_digest.collect()).await.unwrap();
    assert_eq!((all.image_ids().len(), all.failures().len()), (5, 0));
    let check = client.batch_check_layer_availability().repository_name(REPOSITORY).layer_digests(digest(LAYER));
    let layer = check.send().await.unwrap();
    assert_eq!(layer.layers()[0].layer_availability(), Some(&LayerAvailability::Unavailable), "the layer is kept");
    client.delete_repository().repository_name(REPOSITORY).send().await.unwrap();
    let gone = client.describe_repositories().repository_names(REPOSITORY).send().await.unwrap_err();
    assert_eq!(gone.code(), Some("RepositoryNotFoundException"));
    endpoint.cloud.stop().await;
}

#[tokio::test]
async fn repositories_carry_tags_policies_and_a_token() {
    let (endpoint, client) = start().await;
    let described = client.describe_repositories().send().await.unwrap();
    let arn = described.repositories()[0].repository_arn().unwrap();
    let tags = client.list_tags_for_resource().resource_arn(arn).send().await.unwrap();
    assert_eq!(tags.tags()[0].value(), "w");
    let policy = client.put_lifecycle_policy().repository_name(REPOSITORY);
    policy.lifecycle_policy_text(r#"{"rules":[]}"#).send().await.unwrap();
    let policy = client.get_lifecycle_policy().repository_name(REPOSITORY).send().await.unwrap();
    assert_eq!(policy.lifecycle_policy_text(), Some(r#"{"rules":[]}"#));
    let none = client.get_repository_policy().repository_name(REPOSITORY).send().await.unwrap_err();
    assert_eq!(none.code(), Some("RepositoryPolicyNotFoundException"));
    client.set_repository_policy().repository_name(REPOSITORY).policy_text("{}").send().await.unwrap();
    let deleted = client.delete_repository_policy().repository_name(REPOSITORY).send().await.unwrap();
    assert_eq!(deleted.policy_text(), Some("{}"));
    let mutable = client.put_image_tag_mutability().repository_name(REPOSITORY);
    mutable.image_tag_mutability(ImageTagMutability::Mutable).send().await.unwrap();
    let described = client.describe_repositories().send().await.unwrap();
    assert_eq!(described.repositories()[0].image_tag_mutability(), Some(&ImageTagMutability::Mutable));
    let token = client.get_authorization_token().send().await.unwrap();
    assert!(token.authorization_data()[0].expires_at().is_some());
    let bad = client.create_repository().repository_name("Upper").send().await.unwrap_err();
    assert_eq!(bad.code(), Some("InvalidParameterException"));
    let again = client.create_repository().repository_name(REPOSITORY).send().await.unwrap_err();
    assert_eq!(again.code(), Some("RepositoryAlreadyExistsException"));
    endpoint.cloud.stop().await;
}
