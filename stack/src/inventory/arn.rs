//! From an ARN to the type and the id that CloudFormation knows a resource by.

use super::{
    ALARM, CLUSTER, LOG_GROUP, Owner, REPOSITORY, Resource, SERVICE, STACK, STREAM, STREAM_CONSUMER, TABLE, TASK,
    TASK_DEFINITION,
};

/// The resource behind an ARN that the tagging API returned. A type that no deployment makes keeps the ARN's own words.
pub(super) fn identify(arn: &str) -> Resource {
    let mut parts = arn.splitn(6, ':').skip(2);
    let service = parts.next().unwrap_or_default();
    let path = parts.nth(2).unwrap_or_default();
    let (kind, id) = typed(service, path, arn).unwrap_or_else(|| {
        let noun = path.split(['/', ':']).next().unwrap_or_default();
        (format!("{service}:{noun}"), arn)
    });
    // A task carries its service's tag and goes when the service stops.
    let owner = if kind == TASK { Owner::Contents } else { Owner::Tag };
    Resource { kind, id: id.to_owned(), arn: Some(arn.to_owned()), owner }
}

fn typed<'a>(service: &str, path: &'a str, arn: &'a str) -> Option<(String, &'a str)> {
    let (noun, name) = path.split_once(['/', ':'])?;
    let (kind, id) = match (service, noun) {
        ("kinesis", "stream") if name.contains("/consumer/") => (STREAM_CONSUMER, arn),
        ("kinesis", "stream") => (STREAM, name),
        ("dynamodb", "table") => (TABLE, name),
        ("logs", "log-group") => (LOG_GROUP, name.trim_end_matches(":*")),
        ("ecr", "repository") => (REPOSITORY, name),
        ("ecs", "cluster") => (CLUSTER, name),
        ("ecs", "service") => (SERVICE, arn),
        ("ecs", "task") => (TASK, arn),
        ("ecs", "task-definition") => (TASK_DEFINITION, arn),
        ("cloudwatch", "alarm") => (ALARM, name),
        ("cloudformation", "stack") => (STACK, name.split('/').next()?),
        ("iam", "role") => ("AWS::IAM::Role", name.rsplit('/').next()?),
        ("elasticloadbalancing", "loadbalancer") => ("AWS::ElasticLoadBalancingV2::LoadBalancer", arn),
        ("elasticloadbalancing", "targetgroup") => ("AWS::ElasticLoadBalancingV2::TargetGroup", arn),
        ("elasticloadbalancing", "listener") => ("AWS::ElasticLoadBalancingV2::Listener", arn),
        ("ec2", "vpc") => ("AWS::EC2::VPC", name),
        ("ec2", "subnet") => ("AWS::EC2::Subnet", name),
        ("ec2", "internet-gateway") => ("AWS::EC2::InternetGateway", name),
        ("ec2", "route-table") => ("AWS::EC2::RouteTable", name),
        ("ec2", "security-group") => ("AWS::EC2::SecurityGroup", name),
        ("ec2", "vpc-endpoint") => ("AWS::EC2::VPCEndpoint", name),
        _ => return None,
    };
    Some((kind.to_owned(), id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_become_the_ids_that_cloudformation_uses() {
        let cases = [
            ("kinesis:eu-central-1:1:stream/weir", STREAM, "weir"),
            ("dynamodb:eu-central-1:1:table/weir-control", TABLE, "weir-control"),
            ("logs:eu-central-1:1:log-group:/weir/weir/producer:*", LOG_GROUP, "/weir/weir/producer"),
            ("logs:eu-central-1:1:log-group:/weir/weir/producer", LOG_GROUP, "/weir/weir/producer"),
            ("ecr:eu-central-1:1:repository/weir/producer", REPOSITORY, "weir/producer"),
            ("ecs:eu-central-1:1:cluster/weir", CLUSTER, "weir"),
            ("cloudwatch:eu-central-1:1:alarm:weir-LagAlarm-1", ALARM, "weir-LagAlarm-1"),
            ("cloudformation:eu-central-1:1:stack/weir/0a", STACK, "weir"),
            ("iam::1:role/weir-ProducerRole-1", "AWS::IAM::Role", "weir-ProducerRole-1"),
            ("ec2:eu-central-1:1:security-group/sg-1", "AWS::EC2::SecurityGroup", "sg-1"),
        ];
        for (rest, kind, id) in cases {
            let resource = identify(&format!("arn:aws:{rest}"));
            assert_eq!((resource.kind.as_str(), resource.id.as_str()), (kind, id), "{rest}");
        }
    }

    #[test]
    fn types_without_a_name_of_their_own_keep_the_arn() {
        for (rest, kind) in [
            ("kinesis:eu-central-1:1:stream/weir/consumer/other:17", STREAM_CONSUMER),
            ("ecs:eu-central-1:1:service/weir/weir-producer", SERVICE),
            ("ecs:eu-central-1:1:task-definition/weir-producer:3", TASK_DEFINITION),
            ("sqs:eu-central-1:1:jobs", "sqs:jobs"),
            ("lambda:eu-central-1:1:function:f", "lambda:function"),
        ] {
            let arn = format!("arn:aws:{rest}");
            let resource = identify(&arn);
            assert_eq!((resource.kind.as_str(), resource.id.as_str()), (kind, arn.as_str()));
        }
    }
}
