//! What a deployment and a teardown refuse before they touch anything.

use aws_sdk_cloudformation::types::Tag;
use stack::{
    Identity, Progress,
    deploy::DeployError,
    teardown::{Options, TeardownError, teardown},
};
use tokio_util::sync::CancellationToken;

use crate::endpoint::{Endpoint, name, request};

/// A stack that somebody else made.
const FOREIGN_STACK: &str =
    r#"{"Resources": {"Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "theirs"}}}}"#;

async fn create_stack(endpoint: &Endpoint, name: &str, tag: &str) {
    let tag = Tag::builder().key("weir:deployment").value(tag).build();
    let client = aws_sdk_cloudformation::Client::new(&endpoint.sdk);
    client.create_stack().stack_name(name).template_body(FOREIGN_STACK).tags(tag).send().await.expect("a stack");
}

#[tokio::test]
async fn a_teardown_confirmed_for_another_account_or_region_is_refused() {
    let endpoint = Endpoint::start().await;
    let here = endpoint.clients.identity().await.expect("an identity");
    for place in [
        Identity { account: "111111111111".to_owned(), ..here.clone() },
        Identity { region: "us-east-1".to_owned(), ..here.clone() },
    ] {
        let options = Options { place };
        let (silent, never) = (Progress::silent(), CancellationToken::new());
        let refusal = teardown(&endpoint.clients, &name("weir"), &options, &silent, &never).await;
        let error = refusal.expect_err("another place");
        assert!(matches!(error, TeardownError::OtherPlace { .. }), "{error:?}");
        assert!(error.is_refusal());
    }
    endpoint.stop().await;
}

#[tokio::test]
async fn a_stack_without_this_deployments_tag_is_neither_updated_nor_deleted() {
    let endpoint = Endpoint::start().await;
    create_stack(&endpoint, "weir", "another").await;
    let name = name("weir");
    let deployed = endpoint.deploy(&request(&name)).await.0;
    assert!(matches!(deployed, Err(DeployError::Foreign { .. })), "{deployed:?}");
    let torn_down = endpoint.teardown(&name).await;
    assert!(matches!(torn_down, Err(TeardownError::Foreign { .. })), "{torn_down:?}");
    let logs = aws_sdk_cloudwatchlogs::Client::new(&endpoint.sdk);
    let groups = logs.describe_log_groups().log_group_name_prefix("theirs").send().await.expect("the log groups");
    assert_eq!(groups.log_groups().len(), 1);
    endpoint.stop().await;
}
