//! What the template promises, read from its text.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser};
use stack::{
    limits::TEMPLATE_BYTES,
    template::{Parameter, TEMPLATE, body},
};

/// Types that CloudFormation cannot tag.
const UNTAGGED: [&str; 8] = [
    "AWS::CloudFormation::WaitCondition",
    "AWS::CloudWatch::Dashboard",
    "AWS::EC2::Route",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPCGatewayAttachment",
    "AWS::ElasticLoadBalancingV2::Listener",
    "AWS::WAFv2::WebACLAssociation",
];

struct Block {
    id: &'static str,
    kind: &'static str,
    text: String,
}

/// The entries of a top-level section, in order.
fn entries(section: &str) -> Vec<Block> {
    let heading = format!("{section}:");
    let body = TEMPLATE.lines().skip_while(|line| *line != heading).skip(1);
    let mut blocks: Vec<Block> = Vec::new();
    for line in body.take_while(|line| line.is_empty() || line.starts_with(' ')) {
        match line.strip_prefix("  ").filter(|rest| !rest.starts_with([' ', '#'])) {
            Some(id) => {
                let id = id.split(':').next().unwrap_or_default();
                blocks.push(Block { id, kind: "", text: String::new() });
            }
            None => {
                let Some(block) = blocks.last_mut() else { continue };
                if let Some(kind) = line.strip_prefix("    Type: ") {
                    block.kind = kind;
                }
                block.text.push_str(line);
                block.text.push('\n');
            }
        }
    }
    assert!(blocks.len() > 5, "section {section} was not read");
    blocks
}

fn resource(id: &str) -> Block {
    entries("Resources").into_iter().find(|block| block.id == id).unwrap_or_else(|| panic!("no resource {id}"))
}

#[test]
fn it_can_be_sent_without_a_bucket() {
    assert!(body().len() < TEMPLATE_BYTES, "{} bytes, the limit is {TEMPLATE_BYTES}", body().len());
}

/// What is left out of a resource is the linters' business: each line names one of them.
#[test]
fn a_resources_metadata_is_for_linters_only() {
    let lines: Vec<_> = TEMPLATE.lines().collect();
    for (number, _) in lines.iter().enumerate().filter(|(_, line)| **line == "    Metadata:") {
        let within: Vec<_> = lines[number + 1..].iter().take_while(|line| line.starts_with("      ")).collect();
        let known = |line: &str| line.starts_with("      checkov: ") || line.starts_with("      cdk_nag: ");
        assert!(!within.is_empty() && within.iter().all(|line| known(line)), "line {}: {within:?}", number + 1);
    }
}

/// Everything a parser sees, but for the linters' exceptions and for blanks, of which JSON in a text may have fewer.
fn events(yaml: &str) -> Vec<String> {
    let events = Parser::new_from_str(yaml).map(|event| match event.expect("YAML").0 {
        Event::Scalar(text, _, anchor, tag) => {
            format!("{} {anchor} {tag:?}", text.split_whitespace().collect::<String>())
        }
        event => format!("{event:?}"),
    });
    events.collect()
}

#[test]
fn what_is_sent_means_the_same() {
    let is_for_linters =
        |line: &&str| *line == "    Metadata:" || ["checkov:", "cdk_nag:"].iter().any(|it| line.trim().starts_with(it));
    let read = TEMPLATE.lines().filter(|line| !is_for_linters(line)).collect::<Vec<_>>().join("\n");
    assert_eq!(events(&body()), events(&read));
}

#[test]
fn every_resource_that_can_be_tagged_carries_the_deployments_tag() {
    for block in entries("Resources") {
        let tagged = block.text.contains("{Key: weir:deployment, Value: !Ref AWS::StackName}");
        assert_eq!(tagged, !UNTAGGED.contains(&block.kind), "{} ({})", block.id, block.kind);
    }
}

#[test]
fn every_name_comes_from_the_stacks_name() {
    const NAMES: [&str; 9] = [
        "ClusterName:",
        "ConsumerName:",
        "DashboardName:",
        "Family:",
        "LogGroupName:",
        "Name:",
        "RepositoryName:",
        "ServiceName:",
        "TableName:",
    ];
    let mut named = 0;
    for block in entries("Resources").iter().filter(|block| block.kind != "AWS::EC2::VPCEndpoint") {
        for line in block.text.lines().filter_map(|line| line.strip_prefix("      ")) {
            if NAMES.iter().any(|name| line.starts_with(name)) {
                named += 1;
                assert!(line.contains("AWS::StackName"), "{}: {line}", block.id);
            }
        }
    }
    assert!(named >= 19, "only {named} names were found");
}

#[test]
fn its_parameters_are_the_ones_that_the_code_knows() {
    let mut declared: Vec<_> = entries("Parameters").iter().map(|block| block.id).collect();
    let images = ["ImageSource", "ProducerImage", "ConsumerImage", "ControlPlaneImage"];
    let mut known: Vec<_> = Parameter::ALL.iter().map(|parameter| parameter.as_str()).chain(images).collect();
    declared.sort_unstable();
    known.sort_unstable();
    assert_eq!(declared, known);
}

#[test]
fn updates_leave_the_counts_to_the_control_plane() {
    for id in ["ProducerService", "ConsumerService"] {
        assert!(!resource(id).text.contains("DesiredCount"), "{id} has a DesiredCount");
    }
    assert!(resource("ControlPlaneService").text.contains("DesiredCount: 1\n"));
}

#[test]
fn the_control_plane_is_made_last_and_deleted_first() {
    let text = resource("ControlPlaneService").text;
    assert!(text.contains("DependsOn: [ProducerService, ConsumerService"), "{text}");
}

#[test]
fn what_holds_data_survives_a_replacement_and_goes_with_the_stack() {
    for id in ["Stream", "LeaseTable", "ControlTable"] {
        let text = resource(id).text;
        assert!(text.contains("    DeletionPolicy: Delete\n"), "{id}");
        assert!(text.contains("    UpdateReplacePolicy: Retain\n"), "{id}");
    }
}

#[test]
fn containers_have_no_rights_on_their_host() {
    for id in ["ProducerTask", "ConsumerTask", "ControlPlaneTask"] {
        let text = resource(id).text;
        for line in ["User: \"65532:65532\"", "ReadonlyRootFilesystem: true", "Capabilities: {Drop: [ALL]}"] {
            assert!(text.contains(line), "{id} lacks {line}");
        }
    }
}

#[test]
fn the_admin_port_is_open_to_the_control_plane_only() {
    let open: Vec<_> = entries("Resources")
        .iter()
        .filter(|block| block.kind == "AWS::EC2::SecurityGroup")
        .flat_map(|block| {
            let from = |line: &&str| line.contains("FromPort: 9464");
            block
                .text
                .lines()
                .filter(from)
                .map(|line| (block.id, line.contains("ControlPlaneSecurity")))
                .collect::<Vec<_>>()
        })
        .collect();
    // The first is the control plane's own way out.
    assert_eq!(open, [("ControlPlaneSecurity", false), ("ProducerSecurity", true), ("ConsumerSecurity", true)]);
}

#[test]
fn roles_may_do_what_is_reviewed_here() {
    let mut rights = BTreeMap::new();
    for block in entries("Resources").iter().filter(|block| block.kind == "AWS::IAM::Role") {
        let actions = block.text.lines().filter_map(|line| line.trim().strip_prefix("Action: "));
        let actions = actions.filter(|action| *action != "sts:AssumeRole").map(str::to_owned);
        rights.insert(block.id, actions.collect::<Vec<_>>());
    }
    insta::assert_debug_snapshot!(rights, @r#"
    {
        "ConsumerRole": [
            "[kinesis:DescribeStreamSummary, kinesis:GetRecords, kinesis:GetShardIterator, kinesis:ListShards]",
            "[kinesis:DescribeStreamConsumer, kinesis:SubscribeToShard]",
            "cloudwatch:PutMetricData",
            "kinesis:PutRecord",
            "[dynamodb:DeleteItem, dynamodb:DescribeTable, dynamodb:GetItem, dynamodb:PutItem, dynamodb:Scan, dynamodb:UpdateItem]",
            "[dynamodb:DeleteItem, dynamodb:GetItem, dynamodb:PutItem]",
            "kms:Decrypt",
            "kms:GenerateDataKey",
        ],
        "ControlPlaneRole": [
            "[kinesis:DescribeStreamSummary, kinesis:ListShards, kinesis:ListTagsForStream, kinesis:MergeShards, kinesis:SplitShard, kinesis:UpdateShardCount, kinesis:UpdateStreamWarmThroughput]",
            "[application-autoscaling:DescribeScalableTargets, cloudwatch:GetMetricData, kinesis:DescribeLimits]",
            "cloudwatch:PutMetricData",
            "[ecs:DescribeServices, ecs:UpdateService]",
            "[ecs:DescribeTasks, ecs:ListTasks]",
            "[dynamodb:ConditionCheckItem, dynamodb:DeleteItem, dynamodb:DescribeTable, dynamodb:GetItem, dynamodb:PutItem, dynamodb:Query, dynamodb:UpdateItem]",
            "[dynamodb:DescribeTable, dynamodb:GetItem, dynamodb:Scan]",
            "kms:Decrypt",
        ],
        "ExecutionRole": [
            "ecr:GetAuthorizationToken",
            "[ecr:BatchCheckLayerAvailability, ecr:BatchGetImage, ecr:GetDownloadUrlForLayer]",
            "[logs:CreateLogStream, logs:PutLogEvents]",
        ],
        "ProducerRole": [
            "[kinesis:DescribeStreamSummary, kinesis:ListShards, kinesis:PutRecords]",
            "cloudwatch:PutMetricData",
            "[dynamodb:PutItem, dynamodb:UpdateItem]",
            "kms:GenerateDataKey",
            "kms:Decrypt",
        ],
    }
    "#);
}

#[test]
fn tasks_get_the_settings_that_they_know() {
    let mut settings = BTreeMap::new();
    for id in ["ProducerTask", "ConsumerTask", "ControlPlaneTask"] {
        let text = resource(id).text;
        let names = text.lines().filter_map(|line| line.split_once("{Name: WEIR_"));
        let names: Vec<_> = names.filter_map(|(_, rest)| Some(format!("WEIR_{}", rest.split(',').next()?))).collect();
        settings.insert(id, names.join(" "));
    }
    insta::assert_debug_snapshot!(settings, @r#"
    {
        "ConsumerTask": "WEIR_STREAM WEIR_APPLICATION WEIR_PROCESSOR WEIR_EXEC_COMMAND WEIR_WEBHOOK_URL WEIR_POISON WEIR_DEAD_LETTERS WEIR_CONSUMER_ARN",
        "ControlPlaneTask": "WEIR_STREAM WEIR_DEPLOYMENT WEIR_APPLICATION WEIR_CONTROL_TABLE WEIR_CLUSTER WEIR_PRODUCER_SERVICE WEIR_CONSUMER_SERVICE WEIR_TICK",
        "ProducerTask": "WEIR_STREAM WEIR_BEHIND_BALANCER WEIR_TOKENS WEIR_CLIENT_RATE WEIR_IDEMPOTENCY_TABLE",
    }
    "#);
}
