//! The whole prototype that the template of a deployment follows.

use std::{path::Path, time::Duration};

use aws_sdk_cloudformation::types::{Capability, ResourceSignalStatus, StackStatus};

use crate::{
    fixture::{eventually, outputs, parameters, start_with},
    images::Image,
    stand_in,
};

#[tokio::test]
async fn the_reference_prototype_rises_and_falls() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/template.yaml");
    let Ok(template) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: {} is not on this machine", path.display());
        return;
    };
    let fixture = start_with(|settings| {
        settings.balancer.listen = ([127, 0, 0, 1], 0).into();
        settings.balancer.health_check_interval_max = Duration::from_millis(50);
    })
    .await;
    let image = Image::new(&stand_in::command());
    let digest = image.digest();
    let images = ["ProducerImage", "ConsumerImage", "ControllerImage"].map(|parameter| (parameter, digest.as_str()));
    let given = [&images[..], &[("AllowedCidr", "127.0.0.1/32")]].concat();
    let create = fixture.client.create_stack().stack_name("weir").template_body(template);
    let create = create.set_parameters(parameters(&given)).capabilities(Capability::CapabilityIam);
    let id = create.send().await.unwrap().stack_id().unwrap().to_owned();
    eventually("the images to be awaited", async || {
        let describe = fixture.client.describe_stack_resource().stack_name("weir").logical_resource_id("ImagesPushed");
        describe.send().await.ok()
    })
    .await;
    let repositories = aws_sdk_ecr::Client::new(&fixture.endpoint.sdk).describe_repositories().send().await.unwrap();
    for repository in repositories.repositories() {
        image.push(&fixture.endpoint, repository.repository_name().unwrap()).await;
    }
    let signal = fixture.client.signal_resource().stack_name("weir").logical_resource_id("ImagesPushed");
    signal.unique_id("test").status(ResourceSignalStatus::Success).send().await.unwrap();
    let stack = fixture.reaches("weir", StackStatus::CreateComplete).await;
    assert!(outputs(&stack)["Endpoint"].starts_with("http://"), "{:?}", outputs(&stack));
    fixture.client.delete_stack().stack_name("weir").send().await.unwrap();
    fixture.reaches(&id, StackStatus::DeleteComplete).await;
    fixture.endpoint.cloud.stop().await;
}
