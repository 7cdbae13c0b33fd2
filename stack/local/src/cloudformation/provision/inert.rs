//! Types without a body on one machine: networks, roles, firewalls. They are records whose ids, ARNs and attributes look
//! like AWS's, so that templates resolve and inventories list them.

use serde_json::{Value, json};

use super::{Existing, Provisioned, Request, properties, request::hex};
use crate::settings::Identity;

/// Digits of the ids that EC2 gives.
const EC2_ID_LENGTH: usize = 17;

/// What a record of one type consists of.
#[derive(Debug, PartialEq)]
pub(crate) struct Record {
    type_name: &'static str,
    id: Id,
    /// Service and resource prefix of its ARN, for what can be tagged.
    arn: Option<(&'static str, &'static str)>,
    pub(super) attributes: &'static [(&'static str, Source)],
    pub(super) replacing: &'static [&'static str],
}

/// How the physical id is made.
#[derive(Debug, PartialEq)]
enum Id {
    /// A prefix and random digits, as EC2's.
    Random(&'static str),
    /// The name in a property, or a generated one.
    Named(&'static str),
    /// The ARN made from the name in a property, or a generated one.
    NamedArn(&'static str),
    /// The values of properties.
    Joined(&'static [&'static str]),
    /// The address that CloudFormation gives a wait condition's handle.
    HandleUrl,
    /// The ARN of the stack and the resource's name.
    WaitCondition,
}

/// Where an attribute's value comes from.
#[derive(Debug, PartialEq)]
pub(super) enum Source {
    Id,
    Arn,
    Property(&'static str),
    /// A prefix and random digits, kept over updates.
    Random(&'static str),
    Text(&'static str),
}

use Source::{Arn, Property, Text};

const fn ec2(
    type_name: &'static str,
    prefix: &'static str,
    resource: &'static str,
    attributes: &'static [(&'static str, Source)],
    replacing: &'static [&'static str],
) -> Record {
    Record { type_name, id: Id::Random(prefix), arn: Some(("ec2", resource)), attributes, replacing }
}

const fn association(type_name: &'static str, prefix: &'static str, replacing: &'static [&'static str]) -> Record {
    Record { type_name, id: Id::Random(prefix), arn: None, attributes: &[("Id", Source::Id)], replacing }
}

static RECORDS: &[Record] = &[
    ec2(
        "AWS::EC2::VPC",
        "vpc-",
        "vpc",
        &[
            ("CidrBlock", Property("CidrBlock")),
            ("DefaultNetworkAcl", Source::Random("acl-")),
            ("DefaultSecurityGroup", Source::Random("sg-")),
            ("VpcId", Source::Id),
        ],
        &["CidrBlock"],
    ),
    ec2("AWS::EC2::InternetGateway", "igw-", "internet-gateway", &[("InternetGatewayId", Source::Id)], &[]),
    ec2(
        "AWS::EC2::Subnet",
        "subnet-",
        "subnet",
        &[
            ("AvailabilityZone", Property("AvailabilityZone")),
            ("CidrBlock", Property("CidrBlock")),
            ("SubnetId", Source::Id),
            ("VpcId", Property("VpcId")),
        ],
        &["AvailabilityZone", "CidrBlock", "VpcId"],
    ),
    ec2("AWS::EC2::RouteTable", "rtb-", "route-table", &[("RouteTableId", Source::Id)], &["VpcId"]),
    ec2(
        "AWS::EC2::VPCEndpoint",
        "vpce-",
        "vpc-endpoint",
        &[("Id", Source::Id)],
        &["ServiceName", "VpcEndpointType", "VpcId"],
    ),
    ec2(
        "AWS::EC2::SecurityGroup",
        "sg-",
        "security-group",
        &[("GroupId", Source::Id), ("Id", Source::Id), ("VpcId", Property("VpcId"))],
        &["GroupDescription", "GroupName", "VpcId"],
    ),
    ec2(
        "AWS::EC2::FlowLog",
        "fl-",
        "vpc-flow-log",
        &[("Id", Source::Id)],
        &["LogDestinationType", "LogGroupName", "ResourceId", "ResourceType", "TrafficType"],
    ),
    ec2(
        "AWS::EC2::EIP",
        "eipalloc-",
        "elastic-ip",
        &[("AllocationId", Source::Id), ("PublicIp", Text("192.0.2.1"))],
        &["Domain"],
    ),
    ec2("AWS::EC2::NatGateway", "nat-", "natgateway", &[("NatGatewayId", Source::Id)], &["AllocationId", "SubnetId"]),
    association("AWS::EC2::SubnetRouteTableAssociation", "rtbassoc-", &["SubnetId"]),
    association("AWS::EC2::SecurityGroupIngress", "sgr-", &["GroupId", "IpProtocol", "FromPort", "ToPort"]),
    association("AWS::EC2::SecurityGroupEgress", "sgr-", &["GroupId", "IpProtocol", "FromPort", "ToPort"]),
    Record {
        type_name: "AWS::EC2::VPCGatewayAttachment",
        id: Id::Joined(&["InternetGatewayId", "VpcId"]),
        arn: None,
        attributes: &[],
        replacing: &["VpcId"],
    },
    Record {
        type_name: "AWS::EC2::Route",
        id: Id::Joined(&["RouteTableId", "DestinationCidrBlock"]),
        arn: None,
        attributes: &[("CidrBlock", Property("DestinationCidrBlock"))],
        replacing: &["RouteTableId", "DestinationCidrBlock"],
    },
    Record {
        type_name: "AWS::IAM::Role",
        id: Id::Named("RoleName"),
        arn: Some(("iam", "role")),
        attributes: &[("Arn", Arn), ("RoleId", Source::Random("AROA"))],
        replacing: &["Path", "RoleName"],
    },
    Record {
        type_name: "AWS::IAM::ManagedPolicy",
        id: Id::NamedArn("ManagedPolicyName"),
        arn: Some(("iam", "policy")),
        attributes: &[("PolicyArn", Source::Id), ("PolicyId", Source::Random("ANPA"))],
        replacing: &["Description", "ManagedPolicyName", "Path"],
    },
    Record {
        type_name: "AWS::IAM::Policy",
        id: Id::Named("PolicyName"),
        arn: None,
        attributes: &[("Id", Source::Id)],
        replacing: &[],
    },
    Record {
        type_name: "AWS::WAFv2::WebACL",
        id: Id::NamedArn("Name"),
        arn: Some(("wafv2", "regional/webacl")),
        attributes: &[("Arn", Source::Id), ("Id", Source::Random(""))],
        replacing: &["Name", "Scope"],
    },
    Record {
        type_name: "AWS::WAFv2::WebACLAssociation",
        id: Id::Joined(&["WebACLArn", "ResourceArn"]),
        arn: None,
        attributes: &[],
        replacing: &["WebACLArn", "ResourceArn"],
    },
    Record {
        type_name: "AWS::ApplicationAutoScaling::ScalableTarget",
        id: Id::Joined(&["ResourceId", "ScalableDimension", "ServiceNamespace"]),
        arn: None,
        attributes: &[("Id", Source::Id)],
        replacing: &["ResourceId", "ScalableDimension", "ServiceNamespace"],
    },
    Record {
        type_name: "AWS::ApplicationAutoScaling::ScalingPolicy",
        id: Id::NamedArn("PolicyName"),
        arn: Some(("autoscaling", "scalingPolicy")),
        attributes: &[("Arn", Source::Id), ("PolicyName", Property("PolicyName"))],
        replacing: &["PolicyName", "ResourceId", "ScalableDimension", "ServiceNamespace"],
    },
    Record {
        type_name: "AWS::CloudFormation::WaitConditionHandle",
        id: Id::HandleUrl,
        arn: None,
        attributes: &[],
        replacing: &[],
    },
    Record {
        type_name: "AWS::CloudFormation::WaitCondition",
        id: Id::WaitCondition,
        arn: None,
        // What the signals carried, which is known once they have come.
        attributes: &[("Data", Text("{}"))],
        replacing: &[],
    },
];

/// The record of a type.
pub(super) fn record(type_name: &str) -> Option<&'static Record> {
    RECORDS.iter().find(|record| record.type_name == type_name)
}

pub(super) fn create(record: &Record, request: &Request<'_>) -> Provisioned {
    let physical_id = physical_id(record, request);
    (request.identify)(&physical_id);
    let attributes = record.attributes.iter().map(|(name, source)| {
        let value = attribute(record, source, request, &physical_id);
        ((*name).to_owned(), value)
    });
    Provisioned { attributes: attributes.collect(), physical_id }
}

pub(super) fn update(record: &Record, request: &Request<'_>, existing: &Existing<'_>) -> Provisioned {
    let mut provisioned = existing.unchanged();
    for (name, source) in record.attributes {
        if matches!(source, Property(_)) {
            let value = attribute(record, source, request, existing.physical_id);
            provisioned.attributes.insert((*name).to_owned(), value);
        }
    }
    provisioned
}

/// The ARN of a record that can be tagged.
pub(crate) fn arn(record: &Record, identity: &Identity, physical_id: &str) -> Option<String> {
    let (service, prefix) = record.arn?;
    if physical_id.starts_with("arn:") {
        return Some(physical_id.to_owned());
    }
    let resource = format!("{prefix}/{physical_id}");
    // IAM is global: its ARNs have no region.
    Some(match service {
        "iam" => format!("arn:aws:iam::{}:{resource}", identity.account),
        _ => identity.arn(service, &resource),
    })
}

fn physical_id(record: &Record, request: &Request<'_>) -> String {
    /// Source: the longest name of a role.
    const NAME_LENGTH_MAX: usize = 64;
    match record.id {
        Id::Random(prefix) => random(prefix),
        Id::Named(property) => request.name(property, NAME_LENGTH_MAX),
        Id::NamedArn(property) => {
            let name = request.name(property, NAME_LENGTH_MAX);
            arn(record, &request.context.identity, &name).unwrap_or(name)
        }
        Id::Joined(names) => names.iter().filter_map(|name| request.text(name)).collect::<Vec<_>>().join("|"),
        Id::HandleUrl => format!(
            "https://cloudformation-waitcondition-{}.s3.amazonaws.com/{}",
            request.context.identity.region,
            request.generated_name(NAME_LENGTH_MAX)
        ),
        Id::WaitCondition => {
            let identity = &request.context.identity;
            identity.arn("cloudformation", &format!("stack/{}/{}/{}", request.stack_name, hex(), request.logical_id))
        }
    }
}

fn attribute(record: &Record, source: &Source, request: &Request<'_>, physical_id: &str) -> Value {
    match source {
        Source::Id => json!(physical_id),
        Arn => json!(arn(record, &request.context.identity, physical_id)),
        Property(name) => properties::text(request.properties, name).unwrap_or_default().into(),
        Source::Random(prefix) => random(prefix).into(),
        Text(text) => json!(text),
    }
}

fn random(prefix: &str) -> String {
    format!("{prefix}{}", &hex()[..EC2_ID_LENGTH])
}
