//! DynamoDB through the SDK: what the control table and the lease table need.

mod endpoint;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::{
    Client,
    error::ProvideErrorMetadata,
    types::{
        AttributeDefinition, AttributeValue, BillingMode, Delete, GlobalSecondaryIndex, KeySchemaElement, KeyType,
        OnDemandThroughput, PointInTimeRecoverySpecification, PointInTimeRecoveryStatus, Projection, ProjectionType,
        Put, ReturnValue, ReturnValuesOnConditionCheckFailure, ScalarAttributeType, SseSpecification, Tag,
        TimeToLiveSpecification, TransactWriteItem,
    },
};
use endpoint::Endpoint;

const TABLE: &str = "weir-control";

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn key(name: &str, kind: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap()
}

/// The control table as the template creates it.
async fn start() -> (Endpoint, Client) {
    let endpoint = endpoint::start().await;
    let client = Client::new(&endpoint.sdk);
    let attribute = |name: &str| {
        let attribute = AttributeDefinition::builder().attribute_name(name);
        attribute.attribute_type(ScalarAttributeType::S).build().unwrap()
    };
    let index = GlobalSecondaryIndex::builder()
        .index_name("by-owner")
        .key_schema(key("owner", KeyType::Hash))
        .projection(Projection::builder().projection_type(ProjectionType::All).build())
        .build()
        .unwrap();
    client
        .create_table()
        .table_name(TABLE)
        .attribute_definitions(attribute("pk"))
        .attribute_definitions(attribute("sk"))
        .attribute_definitions(attribute("owner"))
        .key_schema(key("pk", KeyType::Hash))
        .key_schema(key("sk", KeyType::Range))
        .global_secondary_indexes(index)
        .billing_mode(BillingMode::PayPerRequest)
        .on_demand_throughput(
            OnDemandThroughput::builder().max_read_request_units(1000).max_write_request_units(1000).build(),
        )
        .deletion_protection_enabled(false)
        .sse_specification(SseSpecification::builder().enabled(false).build())
        .tags(Tag::builder().key("weir:deployment").value("weir").build().unwrap())
        .send()
        .await
        .unwrap();
    (endpoint, client)
}

#[tokio::test]
async fn a_table_is_described_with_the_account_and_keeps_its_tags() {
    let (endpoint, client) = start().await;
    let described = client.describe_table().table_name(TABLE).send().await.unwrap();
    let table = described.table().unwrap();
    let arn = table.table_arn().unwrap();
    assert_eq!(arn, "arn:aws:dynamodb:eu-central-1:000000000000:table/weir-control");
    assert_eq!(table.on_demand_throughput().unwrap().max_write_request_units(), Some(1000));
    let tags = client.list_tags_of_resource().resource_arn(arn).send().await.unwrap();
    assert_eq!(tags.tags()[0].value(), "weir");
    let tag = Tag::builder().key("team").value("sre").build().unwrap();
    client.tag_resource().resource_arn(arn).tags(tag).send().await.unwrap();
    client.untag_resource().resource_arn(arn).tag_keys("weir:deployment").send().await.unwrap();
    let tags = client.list_tags_of_resource().resource_arn(arn).send().await.unwrap();
    assert_eq!(tags.tags().iter().map(Tag::key).collect::<Vec<_>>(), ["team"]);
    let by_arn = client.describe_table().table_name(arn).send().await.unwrap();
    assert_eq!(by_arn.table().unwrap().table_name(), Some(TABLE));
    endpoint.cloud.stop().await;
}

#[tokio::test]
async fn a_protected_table_is_not_deleted() {
    let (endpoint, client) = start().await;
    client.update_table().table_name(TABLE).deletion_protection_enabled(true).send().await.unwrap();
    let refused = client.delete_table().table_name(TABLE).send().await.unwrap_err();
    assert_eq!(refused.code(), Some("ValidationException"));
    client.update_table().table_name(TABLE).deletion_protection_enabled(false).send().await.unwrap();
    client.delete_table().table_name(TABLE).send().await.unwrap();
    let gone = client.describe_table().table_name(TABLE).send().await.unwrap_err();
    assert_eq!(gone.code(), Some("ResourceNotFoundException"));
    endpoint.cloud.stop().await;
}

#[tokio::test]
async fn recovery_is_switched_on_for_one_table_and_forgotten_with_it() {
    let (endpoint, client) = start().await;
    let status = || async {
        let described = client.describe_continuous_backups().table_name(TABLE).send().await.unwrap();
        let description = described.continuous_backups_description().unwrap().clone();
        let recovery = description.point_in_time_recovery_description().unwrap();
        (recovery.point_in_time_recovery_status().unwrap().clone(), recovery.recovery_period_in_days())
    };
    assert_eq!(status().await, (PointInTimeRecoveryStatus::Disabled, None));
    let on =
        PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true).recovery_period_in_days(7);
    let update = client.update_continuous_backups().table_name(TABLE);
    update.point_in_time_recovery_specification(on.build().unwrap()).send().await.unwrap();
    assert_eq!(status().await, (PointInTimeRecoveryStatus::Enabled, Some(7)));
    let missing = client.describe_continuous_backups().table_name("other").send().await.unwrap_err();
    assert!(matches!(missing.code(), Some("TableNotFoundException" | "ResourceNotFoundException")), "{missing:?}");
    client.delete_table().table_name(TABLE).send().await.unwrap();
    let gone = client.describe_continuous_backups().table_name(TABLE).send().await.unwrap_err();
    assert!(gone.code().is_some_and(|code| code.ends_with("NotFoundException")), "{gone:?}");
    endpoint.cloud.stop().await;
}

#[tokio::test]
async fn only_one_of_many_conditional_writers_wins_and_the_others_see_the_item() {
    let (endpoint, client) = start().await;
    let update = |holder: u64| {
        client
            .update_item()
            .table_name(TABLE)
            .key("pk", text("controller"))
            .key("sk", text("leader"))
            .update_expression("SET #holder = :holder, #owner = :owner ADD epoch :one")
            .condition_expression("attribute_not_exists(pk)")
            .expression_attribute_names("#holder", "holder")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":holder", number(holder))
            .expression_attribute_values(":owner", text("a"))
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
    };
    let results = futures::future::join_all((1..=8).map(update)).await;
    let winners: Vec<&AttributeValue> =
        results.iter().flatten().map(|output| &output.attributes().unwrap()["holder"]).collect();
    assert_eq!(winners.len(), 1);
    for lost in results.iter().filter_map(|result| result.as_ref().err()) {
        let lost = lost.as_service_error().unwrap();
        let failure = match lost {
            aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(failure) => {
                failure
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(&failure.item().unwrap()["holder"], winners[0]);
    }
    let query = client.query().table_name(TABLE).index_name("by-owner").key_condition_expression("#owner = :owner");
    let query = query.expression_attribute_names("#owner", "owner").expression_attribute_values(":owner", text("a"));
    assert_eq!(query.send().await.unwrap().items()[0]["epoch"], number(1));
    endpoint.cloud.stop().await;
}

#[tokio::test]
async fn a_transaction_says_which_condition_failed() {
    let (endpoint, client) = start().await;
    let put = |sk: &str| {
        let put = Put::builder().table_name(TABLE).item("pk", text("p")).item("sk", text(sk));
        TransactWriteItem::builder().put(put.condition_expression("attribute_not_exists(pk)").build().unwrap()).build()
    };
    client.transact_write_items().transact_items(put("1")).send().await.unwrap();
    let refused = client.transact_write_items().transact_items(put("2")).transact_items(put("1")).send().await;
    let refused = refused.unwrap_err();
    let reasons = match refused.as_service_error().unwrap() {
        aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(
            it,
        ) => it
            .cancellation_reasons()
            .iter()
            .map(|reason| reason.code().unwrap_or("None").to_owned())
            .collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(reasons, ["None", "ConditionalCheckFailed"]);
    let items = client.scan().table_name(TABLE).send().await.unwrap();
    assert_eq!(items.count(), 1, "the first put was not rolled back");
    let delete = Delete::builder().table_name(TABLE).key("pk", text("p")).key("sk", text("1")).build().unwrap();
    let delete = TransactWriteItem::builder().delete(delete).build();
    client.transact_write_items().transact_items(delete).send().await.unwrap();
    endpoint.cloud.stop().await;
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "expiry is judged by the machine's clock")]
async fn an_expired_item_disappears() {
    let (endpoint, client) = start().await;
    let ttl = TimeToLiveSpecification::builder().attribute_name("expires_at").enabled(true).build().unwrap();
    client.update_time_to_live().table_name(TABLE).time_to_live_specification(ttl).send().await.unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for (sk, expires_at) in [("old", now - 10), ("new", now + 3600)] {
        let put = client.put_item().table_name(TABLE).item("pk", text("p")).item("sk", text(sk));
        put.item("expires_at", number(expires_at)).send().await.unwrap();
    }
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let left = client.scan().table_name(TABLE).send().await.unwrap();
        if left.count() == 1 {
            assert_eq!(left.items()[0]["sk"], text("new"));
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{} items left after 20 s", left.count());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    endpoint.cloud.stop().await;
}

#[tokio::test]
async fn errors_and_unknown_operations_keep_their_names() {
    let (endpoint, client) = start().await;
    let again = client.create_table().table_name(TABLE).billing_mode(BillingMode::PayPerRequest);
    let again = again
        .attribute_definitions(
            AttributeDefinition::builder().attribute_name("a").attribute_type(ScalarAttributeType::S).build().unwrap(),
        )
        .key_schema(key("a", KeyType::Hash));
    assert_eq!(again.send().await.unwrap_err().code(), Some("ResourceInUseException"));
    let unknown = client.list_backups().send().await.unwrap_err();
    assert_eq!(unknown.code(), Some("NotImplemented"));
    assert!(unknown.message().unwrap().contains("dynamodb:ListBackups"), "{unknown:?}");
    endpoint.cloud.stop().await;
}
