//! What fails is taken back, or left and named.

use aws_sdk_cloudformation::{
    error::ProvideErrorMetadata,
    types::{ResourceStatus, StackStatus},
};

use crate::fixture::start;

#[tokio::test]
async fn a_failed_creation_is_rolled_back_to_nothing() {
    let fixture = start().await;
    let logs = aws_sdk_cloudwatchlogs::Client::new(&fixture.endpoint.sdk);
    logs.create_log_group().log_group_name("/taken").send().await.unwrap();
    let template = r#"Resources:
  First: {Type: AWS::DynamoDB::Table, Properties: {BillingMode: PAY_PER_REQUEST, AttributeDefinitions: [{AttributeName: k, AttributeType: S}], KeySchema: [{AttributeName: k, KeyType: HASH}]}}
  Taken: {Type: AWS::Logs::LogGroup, DependsOn: First, Properties: {LogGroupName: /taken}}
  Never: {Type: AWS::Logs::LogGroup, DependsOn: Taken}"#;
    fixture.create(template, &[]).await.unwrap();
    fixture.reaches("s", StackStatus::RollbackComplete).await;
    let reason = fixture.reasons("s", "Taken", ResourceStatus::CreateFailed).await.concat();
    assert!(reason.contains("ResourceAlreadyExistsException"), "{reason}");
    let reason = fixture.reasons("s", "s", ResourceStatus::RollbackInProgress).await.concat();
    assert_eq!(reason, "The following resource(s) failed to create: [Taken]. Rollback requested by user.");
    let tables = aws_sdk_dynamodb::Client::new(&fixture.endpoint.sdk);
    assert!(tables.list_tables().send().await.unwrap().table_names().is_empty());
    let groups = logs.describe_log_groups().send().await.unwrap();
    assert_eq!(groups.log_groups().len(), 1, "the foreign group is still there");
    assert_eq!(fixture.create(template, &[]).await, Err("AlreadyExistsException: Stack [s] already exists".to_owned()));
    assert!(
        fixture
            .update(template, &[])
            .await
            .unwrap_err()
            .contains("is in ROLLBACK_COMPLETE state and can not be updated")
    );
}

#[tokio::test]
async fn a_failed_update_is_taken_back() {
    let fixture = start().await;
    let one = "Resources: {A: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /a, RetentionInDays: 7}}}";
    fixture.create(one, &[]).await.unwrap();
    fixture.reaches("s", StackStatus::CreateComplete).await;
    let two = r#"Resources:
  A: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /a, RetentionInDays: 14}}
  B: {Type: AWS::Logs::LogGroup, DependsOn: A, Properties: {LogGroupName: /b}}
  C: {Type: AWS::Logs::LogGroup, DependsOn: B, Properties: {LogGroupName: /a}}"#;
    fixture.update(two, &[]).await.unwrap();
    fixture.reaches("s", StackStatus::UpdateRollbackComplete).await;
    let logs = aws_sdk_cloudwatchlogs::Client::new(&fixture.endpoint.sdk);
    let groups = logs.describe_log_groups().send().await.unwrap();
    let groups: Vec<_> =
        groups.log_groups().iter().map(|group| (group.log_group_name(), group.retention_in_days())).collect();
    assert_eq!(groups, [(Some("/a"), Some(7))]);
    let reasons = fixture.reasons("s", "s", ResourceStatus::UpdateRollbackInProgress).await;
    assert_eq!(reasons, ["The following resource(s) failed to update: [C]."]);
    let body = fixture.client.get_template().stack_name("s").send().await.unwrap();
    assert_eq!(body.template_body(), Some(one));
}

#[tokio::test]
async fn a_repository_with_images_fails_the_deletion_until_it_is_retained() {
    let fixture = start().await;
    let template = r#"Resources:
  Full: {Type: AWS::ECR::Repository, Properties: {RepositoryName: full}}
  Other: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /other}}"#;
    let id = fixture.create(template, &[]).await.unwrap();
    fixture.reaches("s", StackStatus::CreateComplete).await;
    let repositories = aws_sdk_ecr::Client::new(&fixture.endpoint.sdk);
    let manifest = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    repositories.put_image().repository_name("full").image_manifest(manifest).image_tag("v1").send().await.unwrap();
    let early = fixture.client.delete_stack().stack_name("s").retain_resources("Full").send().await.unwrap_err();
    assert!(early.message().unwrap().contains("RetainResources"), "{early:?}");
    fixture.delete(&[]).await;
    let stack = fixture.reaches("s", StackStatus::DeleteFailed).await;
    assert_eq!(stack.stack_status_reason(), Some("The following resource(s) failed to delete: [Full]. "));
    let reason = fixture.reasons("s", "Full", ResourceStatus::DeleteFailed).await.concat();
    assert!(reason.contains("RepositoryNotEmptyException"), "{reason}");
    fixture.delete(&["Full"]).await;
    fixture.reaches(&id, StackStatus::DeleteComplete).await;
    let left = repositories.describe_repositories().send().await.unwrap();
    assert_eq!(left.repositories().len(), 1);
}

#[tokio::test]
async fn a_named_resource_is_not_replaced_and_the_stack_can_be_updated_again() {
    let fixture = start().await;
    let table = |key: &str, days: u32| {
        format!(
            "Resources: {{L: {{Type: AWS::Logs::LogGroup, Properties: {{LogGroupName: /l, RetentionInDays: {days}}}}}, \
             T: {{Type: AWS::DynamoDB::Table, DependsOn: L, Properties: {{TableName: tab, BillingMode: PAY_PER_REQUEST, \
             AttributeDefinitions: [{{AttributeName: {key}, AttributeType: S}}], \
             KeySchema: [{{AttributeName: {key}, KeyType: HASH}}]}}}}}}"
        )
    };
    fixture.create(&table("a", 1), &[]).await.unwrap();
    fixture.reaches("s", StackStatus::CreateComplete).await;
    fixture.update(&table("b", 3), &[]).await.unwrap();
    fixture.reaches("s", StackStatus::UpdateRollbackComplete).await;
    let reason = fixture.reasons("s", "T", ResourceStatus::UpdateFailed).await.concat();
    assert!(reason.contains("when a custom-named resource requires replacing"), "{reason}");
    fixture.update(&table("a", 5), &[]).await.unwrap();
    fixture.reaches("s", StackStatus::UpdateComplete).await;
}
