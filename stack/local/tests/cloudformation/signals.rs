//! Wait conditions and signals.

use aws_sdk_cloudformation::types::{ResourceSignalStatus, ResourceStatus, StackStatus};

use crate::fixture::{Fixture, eventually, start};

const WAITING: &str = r#"Resources:
  Before: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /before}}
  Pushed: {Type: AWS::CloudFormation::WaitCondition, DependsOn: Before, CreationPolicy: {ResourceSignal: {Count: 1, Timeout: PT5M}}}
  After: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Sub "/after/${AWS::StackName}", Tags: [{Key: ready, Value: !Ref Pushed}]}}"#;

impl Fixture {
    async fn create_waiting(&self) {
        self.create(WAITING, &[]).await.unwrap();
        eventually("the wait condition to start", async || {
            let describe = self.client.describe_stack_resource().stack_name("s").logical_resource_id("Pushed").send();
            describe.await.ok().map(|_| ())
        })
        .await;
    }
}

#[tokio::test]
async fn a_wait_condition_holds_what_depends_on_it_until_it_is_signalled() {
    let fixture = start().await;
    fixture.create_waiting().await;
    let unknown = fixture.client.describe_stack_resource().stack_name("s").logical_resource_id("After").send().await;
    assert!(unknown.is_err(), "After must wait");
    fixture.signal("Pushed", ResourceSignalStatus::Success).await.unwrap();
    fixture.reaches("s", StackStatus::CreateComplete).await;
    let late = fixture.signal("Pushed", ResourceSignalStatus::Success).await.unwrap_err();
    assert!(late.ends_with("is in CREATE_COMPLETE state and cannot be signaled"), "{late}");
}

#[tokio::test]
async fn a_failure_signal_fails_the_stack_at_once() {
    let fixture = start().await;
    fixture.create_waiting().await;
    fixture.signal("Pushed", ResourceSignalStatus::Failure).await.unwrap();
    fixture.reaches("s", StackStatus::RollbackComplete).await;
    let reason = fixture.reasons("s", "Pushed", ResourceStatus::CreateFailed).await.concat();
    assert_eq!(reason, "Received FAILURE signal with UniqueId push-1");
}

#[tokio::test]
async fn a_stack_that_is_still_being_created_can_be_deleted() {
    let fixture = start().await;
    fixture.create_waiting().await;
    let id = fixture.describe("s").await.unwrap().stack_id().unwrap().to_owned();
    fixture.delete(&[]).await;
    fixture.reaches(&id, StackStatus::DeleteComplete).await;
    let logs = aws_sdk_cloudwatchlogs::Client::new(&fixture.endpoint.sdk);
    assert!(logs.describe_log_groups().send().await.unwrap().log_groups().is_empty());
}
