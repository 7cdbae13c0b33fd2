use std::{collections::BTreeMap, sync::Arc, time::Duration};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Bound, CreationPolicy, Given, Graph, Known, Pseudo, Template, TemplateError, graph, reverse};

fn pseudo() -> Pseudo {
    Pseudo {
        region: "eu-central-1".to_owned(),
        account: "000000000000".to_owned(),
        stack_name: "weir".to_owned(),
        stack_id: "arn:stack".to_owned(),
        notification_arns: Vec::new(),
    }
}

fn bind(text: &str, given: &[(&str, &str)]) -> Result<Bound, TemplateError> {
    let given: Given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Bound::new(Arc::new(Template::parse(text)?), pseudo(), &given)
}

fn refusal(text: &str, given: &[(&str, &str)]) -> String {
    bind(text, given).map_or_else(|error| error.to_string(), |_| "accepted".to_owned())
}

/// The value of the property `P` of the only resource of a template with a few conditions, mappings and parameters.
fn evaluate(expression: &str) -> Result<Value, TemplateError> {
    let text = format!(
        r#"
Parameters:
  Name: {{Type: String, Default: orders}}
  Zones: {{Type: CommaDelimitedList, Default: "a, b,c"}}
Mappings:
  Sizes: {{small: {{cpu: 256, zones: [x, y]}}}}
Conditions:
  Yes: !Equals [!Ref Name, orders]
  No: !Not [!Condition Yes]
Resources:
  Other: {{Type: AWS::EC2::VPC}}
  Subject:
    Type: AWS::EC2::VPC
    Properties:
      P: {expression}
"#
    );
    let known = Known::Provisioned {
        physical_id: "vpc-1".to_owned(),
        attributes: BTreeMap::from([("CidrBlock".to_owned(), json!("10.0.0.0/16"))]),
    };
    let bound = bind(&text, &[])?;
    Ok(bound.properties("Subject", &BTreeMap::from([("Other".to_owned(), known)]))?["P"].clone())
}

#[test]
fn intrinsic_functions_give_what_cloudformation_documents() {
    let table = [
        ("!Ref Name", json!("orders")),
        ("!Ref Zones", json!(["a", "b", "c"])),
        ("!Ref Other", json!("vpc-1")),
        ("!Ref AWS::StackName", json!("weir")),
        ("!Ref AWS::Partition", json!("aws")),
        ("!Ref AWS::NoValue", Value::Null),
        ("[1, !Ref AWS::NoValue, two]", json!([1, "two"])),
        ("!GetAtt Other.CidrBlock", json!("10.0.0.0/16")),
        ("!GetAtt [Other, CidrBlock]", json!("10.0.0.0/16")),
        ("{Fn::GetAtt: [Other, CidrBlock]}", json!("10.0.0.0/16")),
        ("!Sub 'a-${Name}-${Other.CidrBlock}-${AWS::Region}'", json!("a-orders-10.0.0.0/16-eu-central-1")),
        ("!Sub ['${x}/${Name}', {x: !Ref Other}]", json!("vpc-1/orders")),
        ("!Sub '${!Name} costs $5'", json!("${Name} costs $5")),
        ("!If [Yes, a, b]", json!("a")),
        ("!If [No, a, b]", json!("b")),
        ("!If [No, a, !Ref AWS::NoValue]", Value::Null),
        ("!Equals [80, '80']", json!(true)),
        ("!And [!Condition Yes, !Equals [a, a]]", json!(true)),
        ("!Or [!Condition No, !Equals [a, b]]", json!(false)),
        ("!Not [!Equals [a, b]]", json!(true)),
        ("!Contains [[a, b], b]", json!(true)),
        ("!Join ['-', [a, !Ref Name, 7]]", json!("a-orders-7")),
        ("!Join ['', !Split ['.', 'a.b.c']]", json!("abc")),
        ("!Select [1, !Split ['.', 'a.b.c']]", json!("b")),
        ("!Select ['2', !Ref Zones]", json!("c")),
        ("!Select [0, !GetAZs '']", json!("eu-central-1a")),
        ("!GetAZs us-east-1", json!(["us-east-1a", "us-east-1b", "us-east-1c"])),
        ("!Cidr [10.0.0.0/16, 3, 12]", json!(["10.0.0.0/20", "10.0.16.0/20", "10.0.32.0/20"])),
        ("!Cidr [10.0.7.9/24, 2]", Value::Null),
        ("!Cidr ['2001:db8::/56', 2, 64]", json!(["2001:db8::/64", "2001:db8:0:1::/64"])),
        ("!FindInMap [Sizes, small, cpu]", json!(256)),
        ("!FindInMap [Sizes, !Sub 'sm${x}', zones]", Value::Null),
        ("!Base64 abc", json!("YWJj")),
        ("000000000000", json!("000000000000")),
        ("2012-10-17", json!("2012-10-17")),
        ("1.4.0", json!("1.4.0")),
        ("-0.5", json!(-0.5)),
        ("!!str 12", json!("12")),
        ("'yes'", json!("yes")),
    ];
    for (expression, expected) in table {
        match (evaluate(expression), expected) {
            // Rows without a value are refused, or removed from the properties.
            (Ok(Value::Null) | Err(_), Value::Null) => {}
            (found, expected) => assert_eq!(found.as_ref(), Ok(&expected), "{expression}"),
        }
    }
}

#[test]
fn json_templates_are_read_too() {
    let text = "{\n\t\"Resources\": {\"A\": {\"Type\": \"AWS::EC2::VPC\", \"Properties\": {\"P\": {\"Fn::Join\": [\"\", [\"a\\u00e4\", {\"Ref\": \"AWS::Region\"}]]}}}}}";
    let properties = bind(text, &[]).and_then(|bound| bound.properties("A", &BTreeMap::new()));
    assert_eq!(properties, Ok(json!({ "P": "aäeu-central-1" })));
}

#[test]
fn errors_name_the_resource_and_the_place() {
    let resource = |properties: &str| {
        format!("Resources:\n  A:\n    Type: AWS::EC2::VPC\n    Properties:\n      P: {properties}\n")
    };
    let table: [(String, &str); 16] = [
        (
            resource("!Ref Nowhere"),
            "Template format error: Unresolved resource dependencies [Nowhere] in the Resources block of the template (line 5, column 10)",
        ),
        (resource("!Reff A"), "Template format error: !Reff is not a CloudFormation function (line 5, column 10)"),
        (
            resource("!ImportValue x"),
            "Template error: localcloud does not support Fn::ImportValue: pass the value as a parameter (line 5, column 10)",
        ),
        (resource("!Join [a]"), "Template error: Fn::Join takes 2 arguments, not 1 (line 5, column 10)"),
        (
            resource("!GetAtt A"),
            "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute (line 5, column 10)",
        ),
        (
            resource("!Sub '${a b}'"),
            "Template error: variable names in Fn::Sub syntax must contain only alphanumeric characters, underscores, periods, and colons: ${a b} (line 5, column 10)",
        ),
        (
            resource("[1"),
            "Template format error: YAML not well-formed: while parsing a flow sequence, expected ',' or ']' (line 6, column 1)",
        ),
        (
            resource("&x 1\n      Q: *x"),
            "Template format error: YAML aliases are not allowed in CloudFormation templates (line 6, column 10)",
        ),
        (resource("1\n      P: 2"), "Template format error: duplicate key P (line 6, column 7)"),
        (resource("!Ref A"), "Circular dependency between resources: [A] (line 3, column 5)"),
        (
            "Resources: {}".to_owned(),
            "Template format error: At least one Resources member must be defined. (line 1, column 1)",
        ),
        ("Resources:\n  A: {Typ: x}".to_owned(), "Invalid template resource property 'Typ' (line 2, column 7)"),
        ("Foo: 1\nResources: {}".to_owned(), "Invalid template property or properties [Foo] (line 1, column 1)"),
        (
            "Transform: x\nResources: {}".to_owned(),
            "Template error: localcloud does not support Transform (line 1, column 1)",
        ),
        (
            resource("1\n    Condition: Nope"),
            "Template format error: Unresolved condition dependency Nope in the Resources block of the template (line 3, column 5)",
        ),
        (
            resource("1\nOutputs:\n  O: {Value: !GetAtt B.Arn}"),
            "Template format error: Unresolved resource dependencies [B] in the Outputs block of the template (line 7, column 14)",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(refusal(&text, &[]), expected, "{text}");
    }
}

#[test]
fn parameters_are_held_to_their_declaration() {
    let text = |declaration: &str| {
        format!(
            "Parameters:\n  P: {{{declaration}}}\nResources: {{A: {{Type: AWS::EC2::VPC, Properties: {{V: !Ref P}}}}}}"
        )
    };
    let number = "Type: Number, MinValue: 1, MaxValue: 10";
    let table = [
        ("Type: String", None, "Parameters: [P] must have values"),
        (
            "Type: String, AllowedValues: [a, b]",
            Some("c"),
            "Parameter 'P' must be one of AllowedValues: a, b (line 2, column 6)",
        ),
        (
            "Type: String, AllowedPattern: '[a-z]+'",
            Some("a1"),
            "Parameter 'P' must match pattern [a-z]+ (line 2, column 6)",
        ),
        (
            "Type: String, AllowedPattern: '[a-z]+', ConstraintDescription: letters only",
            Some("1"),
            "Parameter P failed to satisfy constraint: letters only (line 2, column 6)",
        ),
        (
            "Type: String, MinLength: 2",
            Some("a"),
            "Parameter 'P' must contain at least 2 characters (line 2, column 6)",
        ),
        (number, Some("0"), "Parameter 'P' must be a number not less than 1 (line 2, column 6)"),
        (number, Some("11"), "Parameter 'P' must be a number not greater than 10 (line 2, column 6)"),
        (number, Some("many"), "Parameter 'P' must be a number (line 2, column 6)"),
        (number, Some("10"), "accepted"),
        ("Type: List<Number>", Some("1, 2"), "accepted"),
        ("Type: List<Number>", Some("1, two"), "Parameter 'P' must be a number (line 2, column 6)"),
    ];
    for (declaration, given, expected) in table {
        let given: Vec<_> = given.map(|value| ("P", value)).into_iter().collect();
        assert_eq!(refusal(&text(declaration), &given), expected, "{declaration} {given:?}");
    }
    assert_eq!(refusal(&text("Type: String"), &[("Q", "1")]), "Parameters: [Q] do not exist in the template");
}

#[test]
fn a_rule_refuses_a_combination_of_parameters() {
    let text = r#"
Parameters: {Cpu: {Type: String}, Memory: {Type: String}}
Rules:
  Sizes:
    Assertions:
      - AssertDescription: 256 CPU units allow 512 MiB
        Assert: !Or [!Not [!Equals [!Ref Cpu, "256"]], !Contains [["512"], !Ref Memory]]
Resources: {A: {Type: AWS::EC2::VPC}}
"#;
    let expected = "Template error: rule Sizes is not satisfied: 256 CPU units allow 512 MiB (line 7, column 17)";
    assert_eq!(refusal(text, &[("Cpu", "256"), ("Memory", "1024")]), expected);
    assert_eq!(refusal(text, &[("Cpu", "512"), ("Memory", "1024")]), "accepted");
}

#[test]
fn a_false_condition_takes_a_resource_and_its_references_out() {
    let text = r#"
Parameters: {Mode: {Type: String}}
Conditions: {On: !Equals [!Ref Mode, "on"]}
Resources:
  Maybe: {Type: AWS::EC2::VPC, Condition: On}
  Always: {Type: AWS::EC2::VPC, DependsOn: Maybe, Properties: {V: !If [On, !Ref Maybe, none]}}
Outputs:
  O: {Condition: On, Value: !Ref Maybe}
"#;
    let off = bind(text, &[("Mode", "off")]).expect("binds");
    assert_eq!(off.dependencies(), &Graph::from([("Always".to_owned(), [].into())]));
    assert_eq!(off.outputs(&BTreeMap::new()), Ok(Vec::new()));
    let on = bind(text, &[("Mode", "on")]).expect("binds");
    assert_eq!(on.dependencies()["Always"], ["Maybe".to_owned()].into());
}

#[test]
fn a_creation_policy_has_a_count_and_an_iso_duration() {
    let text = "Resources: {W: {Type: AWS::CloudFormation::WaitCondition, CreationPolicy: {ResourceSignal: {Count: 2, Timeout: PT20M}}}}";
    let policy = bind(text, &[]).and_then(|bound| bound.creation_policy("W"));
    assert_eq!(policy, Ok(Some(CreationPolicy { count: 2, timeout: Duration::from_secs(1200) })));
}

#[test]
fn deep_nesting_is_refused_before_it_can_exhaust_the_stack() {
    let text = "- ".repeat(20_000);
    assert!(refusal(&text, &[]).contains("nested deeper than 64 levels"));
}

/// Graphs whose arrows only lead to resources with a smaller number, so that they have no cycle.
fn graphs() -> impl Strategy<Value = Graph> {
    proptest::collection::vec(proptest::collection::btree_set(0usize..20, 0..4), 1..20).prop_map(|rows| {
        let name = |index: usize| format!("R{index}");
        let rows = rows.into_iter().enumerate();
        rows.map(|(index, row)| (name(index), row.into_iter().filter(|to| *to < index).map(name).collect())).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_of_deletion_is_the_reverse_of_a_valid_order_of_creation(graph in graphs()) {
        let mut created = graph::order(&reverse(&graph));
        created.reverse();
        for (index, name) in created.iter().enumerate() {
            prop_assert!(graph[name].iter().all(|need| created[..index].contains(need)));
        }
        prop_assert!(graph::cycle(&graph).is_empty());
        prop_assert_eq!(reverse(&reverse(&graph)), graph);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[ \\n:{}\\[\\]a-zA-Z!&*'\"$-]{0,120}") {
        let _ = bind(&text, &[]);
    }
}
