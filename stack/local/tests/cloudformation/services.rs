//! Streams, load balancers and services: the resources that take a while.

use std::time::Duration;

use aws_sdk_cloudformation::types::{ResourceSignalStatus, ResourceStatus, StackStatus};

use crate::{
    fixture::{Fixture, eventually, outputs, start, start_with},
    images::Image,
    stand_in,
};

const STREAM: &str = r#"
Parameters: {Shards: {Type: Number, Default: 2}, Hours: {Type: Number, Default: 48}}
Resources:
  Stream:
    Type: AWS::Kinesis::Stream
    Properties:
      Name: !Ref AWS::StackName
      ShardCount: !Ref Shards
      StreamModeDetails: {StreamMode: PROVISIONED}
      RetentionPeriodHours: !Ref Hours
      StreamEncryption: {EncryptionType: KMS, KeyId: alias/aws/kinesis}
      DesiredShardLevelMetrics: [IncomingBytes, IncomingRecords]
  Consumer:
    Type: AWS::Kinesis::StreamConsumer
    Properties: {ConsumerName: main, StreamARN: !GetAtt Stream.Arn}
Outputs:
  ConsumerArn: {Value: !Ref Consumer}
"#;

#[tokio::test]
async fn a_stream_is_made_changed_and_deleted_with_all_its_settings() {
    let fixture = start().await;
    let id = fixture.create(STREAM, &[]).await.unwrap();
    let stack = fixture.reaches("s", StackStatus::CreateComplete).await;
    let kinesis = aws_sdk_kinesis::Client::new(&fixture.endpoint.sdk);
    let summary = async || {
        let described = kinesis.describe_stream_summary().stream_name("s").send().await.unwrap();
        described.stream_description_summary().unwrap().clone()
    };
    let stream = summary().await;
    assert_eq!((stream.open_shard_count(), stream.retention_period_hours()), (2, 48));
    assert_eq!(stream.key_id(), Some("alias/aws/kinesis"));
    assert_eq!(stream.enhanced_monitoring()[0].shard_level_metrics().len(), 2);
    let consumers = kinesis.list_stream_consumers().stream_arn(stream.stream_arn()).send().await.unwrap();
    assert_eq!(consumers.consumers()[0].consumer_arn(), outputs(&stack)["ConsumerArn"]);
    let tags = kinesis.list_tags_for_stream().stream_name("s").send().await.unwrap();
    assert_eq!(tags.tags()[0].value(), Some("s"));
    fixture.update(STREAM, &[("Shards", "4"), ("Hours", "24")]).await.unwrap();
    fixture.reaches("s", StackStatus::UpdateComplete).await;
    let stream = summary().await;
    assert_eq!((stream.open_shard_count(), stream.retention_period_hours()), (4, 24));
    fixture.delete(&[]).await;
    fixture.reaches(&id, StackStatus::DeleteComplete).await;
    assert!(kinesis.list_streams().send().await.unwrap().stream_names().is_empty());
}

#[tokio::test]
async fn a_stream_with_a_foreign_consumer_fails_the_deletion() {
    let fixture = start().await;
    let id = fixture.create(STREAM, &[]).await.unwrap();
    fixture.reaches("s", StackStatus::CreateComplete).await;
    let kinesis = aws_sdk_kinesis::Client::new(&fixture.endpoint.sdk);
    let arn = "arn:aws:kinesis:eu-central-1:000000000000:stream/s";
    kinesis.register_stream_consumer().stream_arn(arn).consumer_name("kcl").send().await.unwrap();
    fixture.delete(&[]).await;
    fixture.reaches("s", StackStatus::DeleteFailed).await;
    let reason = fixture.reasons("s", "Stream", ResourceStatus::DeleteFailed).await.concat();
    assert!(reason.contains("ResourceInUseException"), "{reason}");
    kinesis.deregister_stream_consumer().stream_arn(arn).consumer_name("kcl").send().await.unwrap();
    eventually("the consumer to be gone", async || {
        let consumers = kinesis.list_stream_consumers().stream_arn(arn).send().await.unwrap();
        consumers.consumers().is_empty().then_some(())
    })
    .await;
    fixture.delete(&[]).await;
    fixture.reaches(&id, StackStatus::DeleteComplete).await;
}

const WEB: &str = r#"
Parameters: {Digest: {Type: String}}
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
  SubnetA: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.0.0.0/20}}
  SubnetB: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.0.16.0/20}}
  Repository: {Type: AWS::ECR::Repository, Properties: {RepositoryName: s/app, EmptyOnDelete: true}}
  Pushed:
    Type: AWS::CloudFormation::WaitCondition
    DependsOn: Repository
    CreationPolicy: {ResourceSignal: {Count: 1, Timeout: PT1M}}
  Balancer:
    Type: AWS::ElasticLoadBalancingV2::LoadBalancer
    Properties:
      Subnets: [!Ref SubnetA, !Ref SubnetB]
      LoadBalancerAttributes: [{Key: idle_timeout.timeout_seconds, Value: 60}]
  Group:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties:
      VpcId: !Ref Vpc
      TargetType: ip
      Protocol: HTTP
      Port: 8080
      HealthCheckPath: /healthcheck
      HealthCheckIntervalSeconds: 6
      HealthCheckTimeoutSeconds: 5
      HealthyThresholdCount: 2
      TargetGroupAttributes: [{Key: deregistration_delay.timeout_seconds, Value: "1"}]
  Listener:
    Type: AWS::ElasticLoadBalancingV2::Listener
    Properties:
      LoadBalancerArn: !Ref Balancer
      Port: 80
      Protocol: HTTP
      DefaultActions: [{Type: forward, TargetGroupArn: !Ref Group}]
  Cluster: {Type: AWS::ECS::Cluster, Properties: {ClusterName: s}}
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      Family: s-app
      NetworkMode: awsvpc
      RequiresCompatibilities: [FARGATE]
      Cpu: "256"
      Memory: "512"
      ContainerDefinitions:
        - Name: app
          Image: !Sub ${Repository.RepositoryUri}@${Digest}
          PortMappings: [{ContainerPort: 8080}]
          Environment: [{Name: IMAGES_READY, Value: !Ref Pushed}]
  Service:
    Type: AWS::ECS::Service
    DependsOn: Listener
    Properties:
      ServiceName: app
      Cluster: !Ref Cluster
      TaskDefinition: !Ref Task
      LaunchType: FARGATE
      HealthCheckGracePeriodSeconds: 30
      DeploymentConfiguration: {DeploymentCircuitBreaker: {Enable: true, Rollback: true}}
      LoadBalancers: [{ContainerName: app, ContainerPort: 8080, TargetGroupArn: !Ref Group}]
      NetworkConfiguration: {AwsvpcConfiguration: {Subnets: [!Ref SubnetA]}}
Outputs:
  Url: {Value: !Sub "http://${Balancer.DNSName}"}
  FullName: {Value: !GetAtt Group.TargetGroupFullName}
"#;

/// An endpoint whose tasks settle fast, and whose load balancer takes any free port.
async fn start_fast() -> Fixture {
    start_with(|settings| {
        settings.balancer.listen = ([127, 0, 0, 1], 0).into();
        settings.balancer.health_check_interval_max = Duration::from_millis(50);
        settings.ecs.settle = Duration::from_millis(100);
        settings.ecs.look_again = Duration::from_millis(20);
        settings.ecs.restart_delay = Duration::from_millis(20);
        settings.ecs.restart_delay_max = Duration::from_millis(40);
    })
    .await
}

impl Fixture {
    /// Pushes the image once its repository is there, and tells the stack.
    async fn push(&self, image: &Image) {
        eventually("the wait condition to start", async || {
            let describe = self.client.describe_stack_resource().stack_name("s").logical_resource_id("Pushed").send();
            describe.await.ok()
        })
        .await;
        image.push(&self.endpoint, "s/app").await;
        self.signal("Pushed", ResourceSignalStatus::Success).await.unwrap();
    }
}

#[tokio::test]
async fn a_service_behind_a_load_balancer_is_complete_once_it_serves() {
    let fixture = start_fast().await;
    let image = Image::new(&stand_in::command());
    let id = fixture.create(WEB, &[("Digest", &image.digest())]).await.unwrap();
    fixture.push(&image).await;
    let stack = fixture.reaches("s", StackStatus::CreateComplete).await;
    assert!(outputs(&stack)["FullName"].starts_with("targetgroup/s-Group-"));
    let ecs = aws_sdk_ecs::Client::new(&fixture.endpoint.sdk);
    let described = ecs.describe_services().cluster("s").services("app").send().await.unwrap();
    let service = &described.services()[0];
    assert_eq!((service.desired_count(), service.running_count()), (1, 1));
    assert_eq!(service.tags()[0].key(), Some("weir:deployment"));
    fixture.delete(&[]).await;
    fixture.reaches(&id, StackStatus::DeleteComplete).await;
    assert!(ecs.list_clusters().send().await.unwrap().cluster_arns().is_empty());
    fixture.endpoint.cloud.stop().await;
}

#[tokio::test]
async fn a_service_whose_tasks_die_fails_the_stack_with_the_circuit_breakers_reason() {
    let fixture = start_fast().await;
    let image = Image::new(&["/bin/sh", "-c", "exit 1"].map(str::to_owned));
    fixture.create(WEB, &[("Digest", &image.digest())]).await.unwrap();
    fixture.push(&image).await;
    fixture.reaches("s", StackStatus::RollbackComplete).await;
    let reason = fixture.reasons("s", "Service", ResourceStatus::CreateFailed).await.concat();
    assert!(reason.to_lowercase().contains("circuit breaker"), "{reason}");
    fixture.endpoint.cloud.stop().await;
}
