//! The tagging API over the services that this endpoint has.

mod endpoint;

use aws_sdk_resourcegroupstagging::{Client, types::TagFilter};

fn filter(key: &str, values: &[&str]) -> TagFilter {
    TagFilter::builder().key(key).set_values(Some(values.iter().map(|value| (*value).to_owned()).collect())).build()
}

#[tokio::test]
async fn resources_are_found_by_tag_and_type_over_all_services_in_pages() {
    let endpoint = endpoint::start().await;
    let logs = aws_sdk_cloudwatchlogs::Client::new(&endpoint.sdk);
    for (group, deployment) in [("/weir/a/1", "a"), ("/weir/a/2", "a"), ("/weir/b/1", "b")] {
        logs.create_log_group().log_group_name(group).tags("weir:deployment", deployment).send().await.unwrap();
    }
    logs.create_log_group().log_group_name("/untagged").send().await.unwrap();
    let dynamodb = aws_sdk_dynamodb::Client::new(&endpoint.sdk);
    dynamodb
        .create_table()
        .table_name("a-control")
        .billing_mode(aws_sdk_dynamodb::types::BillingMode::PayPerRequest)
        .attribute_definitions(
            aws_sdk_dynamodb::types::AttributeDefinition::builder()
                .attribute_name("pk")
                .attribute_type(aws_sdk_dynamodb::types::ScalarAttributeType::S)
                .build()
                .unwrap(),
        )
        .key_schema(
            aws_sdk_dynamodb::types::KeySchemaElement::builder()
                .attribute_name("pk")
                .key_type(aws_sdk_dynamodb::types::KeyType::Hash)
                .build()
                .unwrap(),
        )
        .tags(aws_sdk_dynamodb::types::Tag::builder().key("weir:deployment").value("a").build().unwrap())
        .send()
        .await
        .unwrap();
    let ecr = aws_sdk_ecr::Client::new(&endpoint.sdk);
    let tag = aws_sdk_ecr::types::Tag::builder().key("weir:deployment").value("a").build().unwrap();
    let part = aws_sdk_ecr::types::Tag::builder().key("part").value("producer").build().unwrap();
    ecr.create_repository().repository_name("a/producer").tags(tag).tags(part).send().await.unwrap();

    let tagging = Client::new(&endpoint.sdk);
    let found = |filters: Vec<TagFilter>, types: Vec<&str>| {
        let get = tagging.get_resources().resources_per_page(1).set_tag_filters(Some(filters));
        let get = get.set_resource_type_filters(Some(types.into_iter().map(str::to_owned).collect()));
        async move {
            let found = get.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await.unwrap();
            found.iter().map(|mapping| mapping.resource_arn().unwrap().to_owned()).collect::<Vec<_>>()
        }
    };
    let arn = |service: &str, rest: &str| format!("arn:aws:{service}:eu-central-1:000000000000:{rest}");
    let of_a = [
        arn("dynamodb", "table/a-control"),
        arn("ecr", "repository/a/producer"),
        arn("logs", "log-group:/weir/a/1"),
        arn("logs", "log-group:/weir/a/2"),
    ];
    assert_eq!(found(vec![filter("weir:deployment", &["a"])], vec![]).await, of_a);
    assert_eq!(found(vec![filter("weir:deployment", &["a", "b"])], vec!["logs:log-group"]).await.len(), 3);
    assert_eq!(found(vec![filter("weir:deployment", &["a"]), filter("part", &[])], vec![]).await, of_a[1..2]);
    assert_eq!(found(vec![], vec![]).await.len(), 5, "what has no tags is not listed");
    let values = tagging.get_tag_values().key("weir:deployment").send().await.unwrap();
    assert_eq!(values.tag_values(), ["a", "b"]);
    endpoint.cloud.stop().await;
}
