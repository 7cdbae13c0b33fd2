//! The resource types that localcloud knows.

use super::inert::{self, Record};

/// How a type is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Stream,
    StreamConsumer,
    Table,
    Repository,
    LogGroup,
    Cluster,
    TaskDefinition,
    Service,
    LoadBalancer,
    TargetGroup,
    Listener,
    Alarm,
    Dashboard,
    /// Nothing but a record with a plausible id and attributes.
    Inert(&'static Record),
}

/// A resource type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Type {
    pub(crate) kind: Kind,
    /// What `Fn::GetAtt` may ask for.
    pub(crate) attributes: Attributes,
    /// Which changed properties replace the resource.
    pub(crate) replacing: Replacing,
    /// The property that names the resource: a replacement cannot keep it.
    pub(crate) name: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Attributes {
    These(&'static [&'static str]),
    OfRecord(&'static Record),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Replacing {
    /// Every property but `Tags`.
    All,
    These(&'static [&'static str]),
}

impl Type {
    pub(crate) fn has_attribute(&self, name: &str) -> bool {
        match self.attributes {
            Attributes::These(names) => names.contains(&name),
            Attributes::OfRecord(record) => record.attributes.iter().any(|(known, _)| *known == name),
        }
    }

    pub(crate) fn replaces(&self, property: &str) -> bool {
        match self.replacing {
            Replacing::All => property != "Tags",
            Replacing::These(names) => names.contains(&property),
        }
    }
}

/// Finds a type by its name in templates.
pub(crate) fn resource_type(name: &str) -> Option<Type> {
    let real = REAL.iter().find(|(known, ..)| *known == name);
    real.map(|(_, kind, name, attributes, replacing)| Type {
        kind: *kind,
        attributes: Attributes::These(attributes),
        replacing: *replacing,
        name: *name,
    })
    .or_else(|| inert::record(name).map(of_record))
}

fn of_record(record: &'static Record) -> Type {
    Type {
        kind: Kind::Inert(record),
        attributes: Attributes::OfRecord(record),
        replacing: Replacing::These(record.replacing),
        name: None,
    }
}

/// Type, kind, naming property, attributes, replacing properties. Source: the CloudFormation resource reference.
type Row = (&'static str, Kind, Option<&'static str>, &'static [&'static str], Replacing);

const REAL: &[Row] = &[
    ("AWS::Kinesis::Stream", Kind::Stream, Some("Name"), &["Arn"], Replacing::These(&["Name"])),
    (
        "AWS::Kinesis::StreamConsumer",
        Kind::StreamConsumer,
        Some("ConsumerName"),
        &["ConsumerARN", "ConsumerCreationTimestamp", "ConsumerName", "ConsumerStatus", "StreamARN"],
        Replacing::All,
    ),
    (
        "AWS::DynamoDB::Table",
        Kind::Table,
        Some("TableName"),
        &["Arn"],
        Replacing::These(&["TableName", "KeySchema", "LocalSecondaryIndexes"]),
    ),
    (
        "AWS::ECR::Repository",
        Kind::Repository,
        Some("RepositoryName"),
        &["Arn", "RepositoryUri"],
        Replacing::These(&["RepositoryName", "EncryptionConfiguration"]),
    ),
    ("AWS::Logs::LogGroup", Kind::LogGroup, Some("LogGroupName"), &["Arn"], Replacing::These(&["LogGroupName"])),
    ("AWS::ECS::Cluster", Kind::Cluster, Some("ClusterName"), &["Arn"], Replacing::These(&["ClusterName"])),
    // A family is no unique name: a replacement is its next revision.
    ("AWS::ECS::TaskDefinition", Kind::TaskDefinition, None, &["TaskDefinitionArn"], Replacing::All),
    (
        "AWS::ECS::Service",
        Kind::Service,
        Some("ServiceName"),
        &["Name", "ServiceArn"],
        Replacing::These(&["ServiceName", "Cluster", "LaunchType", "SchedulingStrategy", "DeploymentController"]),
    ),
    (
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        Kind::LoadBalancer,
        Some("Name"),
        &["CanonicalHostedZoneID", "DNSName", "LoadBalancerArn", "LoadBalancerFullName", "LoadBalancerName"],
        Replacing::These(&["Name", "Scheme", "Type"]),
    ),
    (
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        Kind::TargetGroup,
        Some("Name"),
        &["TargetGroupArn", "TargetGroupFullName", "TargetGroupName"],
        Replacing::These(&["Name", "Port", "Protocol", "ProtocolVersion", "TargetType", "VpcId"]),
    ),
    (
        "AWS::ElasticLoadBalancingV2::Listener",
        Kind::Listener,
        None,
        &["ListenerArn"],
        Replacing::These(&["LoadBalancerArn"]),
    ),
    ("AWS::CloudWatch::Alarm", Kind::Alarm, Some("AlarmName"), &["Arn"], Replacing::These(&["AlarmName"])),
    ("AWS::CloudWatch::Dashboard", Kind::Dashboard, Some("DashboardName"), &[], Replacing::These(&["DashboardName"])),
];
