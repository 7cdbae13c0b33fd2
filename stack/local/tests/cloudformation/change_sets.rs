//! Change sets.

use aws_sdk_cloudformation::types::{ChangeSetType, StackStatus};

use crate::fixture::{parameters, start};

#[tokio::test]
async fn a_change_set_shows_what_an_update_would_do_and_does_it() {
    let fixture = start().await;
    let client = &fixture.client;
    let template = "Parameters: {Days: {Type: Number}, Path: {Type: String, Default: /a}}\nResources: {A: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Ref Path, RetentionInDays: !Ref Days}}}";
    let propose = |name: &str, kind: ChangeSetType, given: &[(&str, &str)]| {
        let create = client.create_change_set().stack_name("s").change_set_name(name).change_set_type(kind);
        create.template_body(template).set_parameters(parameters(given)).send()
    };
    propose("first", ChangeSetType::Create, &[("Days", "7")]).await.unwrap();
    fixture.reaches("s", StackStatus::ReviewInProgress).await;
    client.execute_change_set().stack_name("s").change_set_name("first").send().await.unwrap();
    fixture.reaches("s", StackStatus::CreateComplete).await;

    propose("same", ChangeSetType::Update, &[("Days", "7")]).await.unwrap();
    let same = client.describe_change_set().stack_name("s").change_set_name("same").send().await.unwrap();
    assert_eq!(same.status().unwrap().as_str(), "FAILED");
    assert!(same.status_reason().unwrap().starts_with("The submitted information didn't contain changes."));

    propose("renamed", ChangeSetType::Update, &[("Days", "7"), ("Path", "/b")]).await.unwrap();
    let renamed = client.describe_change_set().stack_name("s").change_set_name("renamed").send().await.unwrap();
    let change = renamed.changes()[0].resource_change().unwrap();
    assert_eq!(change.replacement().unwrap().as_str(), "True");

    let proposed = propose("longer", ChangeSetType::Update, &[("Days", "14")]).await.unwrap();
    let describe = client.describe_change_set().change_set_name(proposed.id().unwrap()).include_property_values(true);
    let longer = describe.send().await.unwrap();
    let change = longer.changes()[0].resource_change().unwrap();
    assert_eq!(change.action().unwrap().as_str(), "Modify");
    assert_eq!(change.replacement().unwrap().as_str(), "False");
    let target = change.details()[0].target().unwrap();
    assert_eq!(
        (target.name(), target.before_value(), target.after_value()),
        (Some("RetentionInDays"), Some("7"), Some("14"))
    );
    let listed = client.list_change_sets().stack_name("s").send().await.unwrap();
    assert_eq!(listed.summaries().len(), 4);
    client.execute_change_set().change_set_name(proposed.id().unwrap()).send().await.unwrap();
    fixture.reaches("s", StackStatus::UpdateComplete).await;
    let logs = aws_sdk_cloudwatchlogs::Client::new(&fixture.endpoint.sdk);
    let groups = logs.describe_log_groups().send().await.unwrap();
    assert_eq!(groups.log_groups()[0].retention_in_days(), Some(14));
}
