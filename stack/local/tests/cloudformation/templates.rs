//! Templates are checked before anything is made.

use aws_sdk_cloudformation::{error::ProvideErrorMetadata, types::Capability};

use crate::{fixture::start, lifecycle::WEB};

#[tokio::test]
async fn faulty_calls_are_refused_before_anything_is_made() {
    let fixture = start().await;
    let group =
        |properties: &str| format!("Resources: {{A: {{Type: AWS::Logs::LogGroup, Properties: {{{properties}}}}}}}");
    let table = [
        (
            "Resources: {A: {Type: AWS::S3::Bucket}}".to_owned(),
            "ValidationError: localcloud does not know resource type AWS::S3::Bucket (line 1, column 16)",
        ),
        (
            "Resources: {A: {Type: AWS::EC2::VPC}, B: {Type: AWS::EC2::VPC, Properties: {X: !GetAtt A.Nope}}}"
                .to_owned(),
            "ValidationError: Template error: resource A does not support attribute type Nope in Fn::GetAtt",
        ),
        (
            group("X: !Ref B"),
            "ValidationError: Template format error: Unresolved resource dependencies [B] in the Resources block of the template",
        ),
        (
            "Resources: {A: {Type: AWS::IAM::Role, Properties: {RoleName: mine}}}".to_owned(),
            "InsufficientCapabilitiesException: Requires capabilities : [CAPABILITY_NAMED_IAM]",
        ),
        (
            format!("# {}", "x".repeat(51_200)),
            "ValidationError: 1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to 51200",
        ),
    ];
    for (template, expected) in table {
        let refused = fixture.create(&template, &[]).await.unwrap_err();
        assert!(refused.starts_with(expected), "{refused}");
    }
    assert!(fixture.client.list_stacks().send().await.unwrap().stack_summaries().is_empty());
    let missing = fixture.client.describe_stacks().stack_name("s").send().await.unwrap_err();
    assert_eq!(missing.message(), Some("Stack with id s does not exist"));
    let policy = fixture.client.set_stack_policy().stack_name("s").send().await.unwrap_err();
    assert!(policy.message().unwrap().contains("SetStackPolicy"), "{policy:?}");
}

#[tokio::test]
async fn templates_are_validated_and_summarised() {
    let fixture = start().await;
    let valid = fixture.client.validate_template().template_body(WEB).send().await.unwrap();
    assert_eq!(valid.parameters().len(), 2);
    assert_eq!(valid.capabilities(), [Capability::CapabilityIam]);
    let summary = fixture.client.get_template_summary().template_body(WEB).send().await.unwrap();
    assert!(summary.resource_types().contains(&"AWS::ECS::TaskDefinition".to_owned()));
    let broken = fixture.client.validate_template().template_body("Resources: [").send().await.unwrap_err();
    assert!(broken.message().unwrap().contains("YAML not well-formed"), "{broken:?}");
}
