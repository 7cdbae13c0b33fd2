//! Stacks come, change and go, and their resources with them.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::{
    error::ProvideErrorMetadata,
    types::{ResourceStatus, StackEvent, StackStatus, Tag},
};

use crate::fixture::{outputs, start};

pub(crate) const WEB: &str = r#"
Description: A bit of everything
Parameters:
  Retention: {Type: Number, Default: 7}
  Secret: {Type: String, Default: hush, NoEcho: true}
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
  SubnetA:
    Type: AWS::EC2::Subnet
    Properties: {VpcId: !Ref Vpc, CidrBlock: !Select [0, !Cidr [!GetAtt Vpc.CidrBlock, 2, 12]], AvailabilityZone: !Select [0, !GetAZs ""]}
  SubnetB:
    Type: AWS::EC2::Subnet
    Properties: {VpcId: !Ref Vpc, CidrBlock: !Select [1, !Cidr [!GetAtt Vpc.CidrBlock, 2, 12]], AvailabilityZone: !Select [1, !GetAZs ""]}
  Role:
    Type: AWS::IAM::Role
    Properties: {AssumeRolePolicyDocument: {Version: 2012-10-17, Statement: []}}
  Policy:
    Type: AWS::IAM::ManagedPolicy
    Properties: {Roles: [!Ref Role], PolicyDocument: {Statement: [{Effect: Allow, Action: "dynamodb:*", Resource: !GetAtt Table.Arn}]}}
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}, {AttributeName: other, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      GlobalSecondaryIndexes:
        - {IndexName: by-other, KeySchema: [{AttributeName: other, KeyType: HASH}], Projection: {ProjectionType: ALL}}
      TimeToLiveSpecification: {AttributeName: expires_at, Enabled: true}
      PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}
      OnDemandThroughput: {MaxReadRequestUnits: "100", MaxWriteRequestUnits: 100}
      Tags: [{Key: own, Value: mine}]
  Repository:
    Type: AWS::ECR::Repository
    Properties:
      ImageTagMutability: IMMUTABLE
      ImageScanningConfiguration: {ScanOnPush: "true"}
  Logs: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /s/logs, RetentionInDays: !Ref Retention}}
  Cluster: {Type: AWS::ECS::Cluster, Properties: {ClusterName: !Ref AWS::StackName}}
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      Family: !Sub ${AWS::StackName}-task
      RequiresCompatibilities: [FARGATE]
      NetworkMode: awsvpc
      Cpu: 256
      Memory: 512
      ContainerDefinitions:
        - Name: app
          Image: !Sub ${Repository.RepositoryUri}:v1
          Essential: "true"
          StopTimeout: "30"
          Environment: [{Name: TABLE, Value: !Ref Table}, {Name: PORT, Value: 8080}]
          LogConfiguration: {LogDriver: awslogs, Options: {awslogs-group: !Ref Logs}}
Outputs:
  TableName: {Value: !Ref Table, Description: where it is}
  TableArn: {Value: !GetAtt Table.Arn}
  RepositoryUri: {Value: !GetAtt Repository.RepositoryUri}
  SubnetB: {Value: !GetAtt SubnetB.CidrBlock}
  RoleArn: {Value: !GetAtt Role.Arn, Export: {Name: !Sub "${AWS::StackName}-role"}}
"#;

#[tokio::test]
async fn a_stack_is_created_from_real_resources_and_deleted_without_leftovers() {
    let fixture = start().await;
    let id = fixture.create(WEB, &[]).await.unwrap();
    let stack = fixture.reaches("s", StackStatus::CreateComplete).await;
    assert_eq!(stack.stack_id(), Some(id.as_str()));
    assert_eq!(stack.description(), Some("A bit of everything"));
    let outputs = outputs(&stack);
    assert_eq!(outputs["SubnetB"], "10.0.16.0/20");
    assert!(outputs["RoleArn"].starts_with("arn:aws:iam::000000000000:role/s-Role-"), "{outputs:?}");
    let secret = stack.parameters().iter().find(|parameter| parameter.parameter_key() == Some("Secret"));
    assert_eq!(secret.unwrap().parameter_value(), Some("****"));

    let tables = aws_sdk_dynamodb::Client::new(&fixture.endpoint.sdk);
    let table = tables.describe_table().table_name(outputs["TableName"]).send().await.unwrap();
    let table = table.table().unwrap();
    assert_eq!(table.table_arn(), Some(outputs["TableArn"]));
    assert_eq!(table.global_secondary_indexes().len(), 1);
    assert_eq!(table.on_demand_throughput().unwrap().max_read_request_units(), Some(100));
    let ttl = tables.describe_time_to_live().table_name(outputs["TableName"]).send().await.unwrap();
    assert_eq!(ttl.time_to_live_description().unwrap().attribute_name(), Some("expires_at"));
    let tags = tables.list_tags_of_resource().resource_arn(outputs["TableArn"]).send().await.unwrap();
    let tags: BTreeMap<_, _> = tags.tags().iter().map(|tag| (tag.key(), tag.value())).collect();
    assert_eq!(tags, BTreeMap::from([("own", "mine"), ("weir:deployment", "s")]));

    let containers = aws_sdk_ecs::Client::new(&fixture.endpoint.sdk);
    let task = containers.describe_task_definition().task_definition("s-task").send().await.unwrap();
    let container = &task.task_definition().unwrap().container_definitions()[0];
    assert_eq!(container.image(), Some(format!("{}:v1", outputs["RepositoryUri"]).as_str()));
    assert_eq!(container.stop_timeout(), Some(30));
    let environment: Vec<_> = container.environment().iter().filter_map(|pair| pair.value()).collect();
    assert_eq!(environment, [outputs["TableName"], "8080"]);

    fixture.delete(&[]).await;
    fixture.reaches(&id, StackStatus::DeleteComplete).await;
    assert!(fixture.describe("s").await.is_none(), "a deleted stack is found by its id only");
    assert!(tables.list_tables().send().await.unwrap().table_names().is_empty());
    let repositories = aws_sdk_ecr::Client::new(&fixture.endpoint.sdk);
    assert!(repositories.describe_repositories().send().await.unwrap().repositories().is_empty());
    fixture.client.delete_stack().stack_name("never-there").send().await.unwrap();
    fixture.endpoint.cloud.stop().await;
}

#[tokio::test]
async fn events_and_resources_tell_what_happened_in_order() {
    let fixture = start().await;
    fixture.create(WEB, &[]).await.unwrap();
    fixture.reaches("s", StackStatus::CreateComplete).await;
    let events = fixture.events("s").await;
    assert_eq!(events[0].resource_status(), Some(&ResourceStatus::CreateComplete));
    assert_eq!(events[0].logical_resource_id(), Some("s"));
    let position = |resource: &str, status: ResourceStatus| {
        let wanted = |event: &StackEvent| {
            event.logical_resource_id() == Some(resource) && event.resource_status() == Some(&status)
        };
        events.iter().position(wanted).unwrap()
    };
    assert!(position("Policy", ResourceStatus::CreateInProgress) < position("Table", ResourceStatus::CreateComplete));
    let mut pages = fixture.client.list_stack_resources().stack_name("s").into_paginator().send();
    let mut listed = 0;
    while let Some(page) = pages.next().await {
        listed += page.unwrap().stack_resource_summaries().len();
    }
    assert_eq!(listed, 10);
    let table = fixture.physical_id("Table").await;
    let owner = fixture.client.describe_stack_resources().physical_resource_id(table).send().await.unwrap();
    assert_eq!(owner.stack_resources()[0].stack_name(), Some("s"));
    let template = fixture.client.get_template().stack_name("s").send().await.unwrap();
    assert_eq!(template.template_body(), Some(WEB));
}

#[tokio::test]
async fn an_update_changes_in_place_replaces_adds_and_removes() {
    let fixture = start().await;
    fixture.create(WEB, &[]).await.unwrap();
    fixture.reaches("s", StackStatus::CreateComplete).await;
    let none = fixture.update(WEB, &[]).await;
    assert_eq!(none, Err("No updates are to be performed.".to_owned()));
    let (old_table, old_task) = (fixture.physical_id("Table").await, fixture.physical_id("Task").await);
    // Retention in place, the table's key replaces it (and the task that names it), a log group comes, the policy goes.
    let policy = WEB.find("  Policy:").unwrap()..WEB.find("  Table:\n").unwrap();
    let mut changed = WEB.to_owned();
    changed.replace_range(policy, "");
    let changed = changed
        .replace("{AttributeName: pk, ", "{AttributeName: id, ")
        .replace("Outputs:\n", "  More: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /s/more}}\nOutputs:\n");
    fixture.update(&changed, &[("Retention", "14")]).await.unwrap();
    let stack = fixture.reaches("s", StackStatus::UpdateComplete).await;
    assert_ne!(outputs(&stack)["TableName"], old_table);
    assert_ne!(fixture.physical_id("Task").await, old_task);
    let logs = aws_sdk_cloudwatchlogs::Client::new(&fixture.endpoint.sdk);
    let groups = logs.describe_log_groups().log_group_name_prefix("/s/").send().await.unwrap();
    let groups: Vec<_> =
        groups.log_groups().iter().map(|group| (group.log_group_name(), group.retention_in_days())).collect();
    assert_eq!(groups, [(Some("/s/logs"), Some(14)), (Some("/s/more"), None)]);
    let tables = aws_sdk_dynamodb::Client::new(&fixture.endpoint.sdk);
    let names = tables.list_tables().send().await.unwrap();
    assert_eq!(names.table_names(), [outputs(&stack)["TableName"]]);
    let gone = fixture.client.describe_stack_resource().stack_name("s").logical_resource_id("Policy").send().await;
    assert_eq!(gone.unwrap_err().code(), Some("ValidationError"));
}

#[tokio::test]
async fn deletion_policies_and_termination_protection_are_honoured() {
    let fixture = start().await;
    let template = r#"Resources:
  Kept: {Type: AWS::Logs::LogGroup, DeletionPolicy: Retain, Properties: {LogGroupName: /kept}}
  Gone: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /gone}}"#;
    let id = fixture.create(template, &[]).await.unwrap();
    fixture.reaches("s", StackStatus::CreateComplete).await;
    let protect = |on: bool| {
        fixture.client.update_termination_protection().stack_name("s").enable_termination_protection(on).send()
    };
    protect(true).await.unwrap();
    let refused = fixture.client.delete_stack().stack_name("s").send().await.unwrap_err();
    assert!(refused.message().unwrap().contains("cannot be deleted while TerminationProtection is enabled"));
    protect(false).await.unwrap();
    fixture.delete(&[]).await;
    fixture.reaches(&id, StackStatus::DeleteComplete).await;
    assert!(
        fixture.events(&id).await.iter().any(|event| event.resource_status() == Some(&ResourceStatus::DeleteSkipped))
    );
    let logs = aws_sdk_cloudwatchlogs::Client::new(&fixture.endpoint.sdk);
    let groups = logs.describe_log_groups().send().await.unwrap();
    let names: Vec<_> = groups.log_groups().iter().filter_map(|group| group.log_group_name()).collect();
    assert_eq!(names, ["/kept"]);
}

#[tokio::test]
async fn a_stack_tags_change_reaches_its_resources() {
    let fixture = start().await;
    let template = "Resources: {A: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /a}}, V: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}}";
    fixture.create(template, &[]).await.unwrap();
    fixture.reaches("s", StackStatus::CreateComplete).await;
    let tag = Tag::builder().key("team").value("blue").build();
    fixture.client.update_stack().stack_name("s").use_previous_template(true).tags(tag).send().await.unwrap();
    fixture.reaches("s", StackStatus::UpdateComplete).await;
    let logs = aws_sdk_cloudwatchlogs::Client::new(&fixture.endpoint.sdk);
    let arn = "arn:aws:logs:eu-central-1:000000000000:log-group:/a";
    let tags = logs.list_tags_for_resource().resource_arn(arn).send().await.unwrap();
    assert_eq!(tags.tags().unwrap(), &std::collections::HashMap::from([("team".to_owned(), "blue".to_owned())]));
}
