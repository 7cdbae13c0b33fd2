//! CloudWatch Logs through the SDK.

mod endpoint;

use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_cloudwatchlogs::{
    Client,
    error::ProvideErrorMetadata,
    types::{InputLogEvent, OrderBy},
};
use endpoint::Endpoint;

#[expect(clippy::disallowed_methods, reason = "the endpoint under test judges timestamps by the machine's clock")]
fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

async fn start() -> (Endpoint, Client) {
    let endpoint = endpoint::start().await;
    let client = Client::new(&endpoint.sdk);
    (endpoint, client)
}

async fn create(client: &Client, group: &str, streams: &[&str]) {
    client.create_log_group().log_group_name(group).tags("weir:deployment", "w").send().await.unwrap();
    for stream in streams {
        client.create_log_stream().log_group_name(group).log_stream_name(*stream).send().await.unwrap();
    }
}

async fn put(client: &Client, group: &str, stream: &str, messages: impl IntoIterator<Item = String>) {
    let at = now_ms();
    let events = messages
        .into_iter()
        .map(|message| InputLogEvent::builder().timestamp(at).message(message).build().unwrap())
        .collect();
    let put = client.put_log_events().log_group_name(group).log_stream_name(stream).set_log_events(Some(events));
    assert!(put.send().await.unwrap().rejected_log_events_info().is_none());
}

/// Every message that paging through `FilterLogEvents` returns, and how many pages it took.
async fn filtered(client: &Client, group: &str, limit: i32, pattern: Option<&str>) -> (Vec<String>, usize) {
    let (mut messages, mut token, mut pages) = (Vec::new(), None, 0);
    loop {
        let filter = client.filter_log_events().log_group_name(group).limit(limit).set_next_token(token);
        let page = filter.set_filter_pattern(pattern.map(str::to_owned)).send().await.unwrap();
        messages.extend(page.events().iter().map(|event| event.message().unwrap().to_owned()));
        pages += 1;
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            return (messages, pages);
        }
    }
}

#[tokio::test]
async fn filtering_over_streams_skips_and_repeats_nothing_and_keeps_the_order_of_arrival() {
    let (endpoint, client) = start().await;
    create(&client, "g", &["a", "b", "c"]).await;
    let mut sent = Vec::new();
    for batch in 0..30 {
        let stream = ["a", "b", "c"][batch % 3];
        let messages: Vec<String> = (0..7).map(|line| format!("{stream} {batch} {line}")).collect();
        sent.extend(messages.clone());
        put(&client, "g", stream, messages).await;
    }
    for limit in [1, 10, 10_000] {
        assert_eq!(filtered(&client, "g", limit, None).await.0, sent, "limit {limit}");
    }
    let (only_b, _) = filtered(&client, "g", 5, Some("\"b 1\"")).await;
    assert_eq!(only_b, sent.iter().filter(|m| m.contains("b 1")).cloned().collect::<Vec<_>>());
    let of_c = client.filter_log_events().log_group_name("g").log_stream_names("c").send().await.unwrap();
    assert_eq!(of_c.events().len(), 70);
    endpoint.cloud.stop().await;
}

#[tokio::test]
async fn a_page_ends_at_a_megabyte_whatever_the_limit() {
    let (endpoint, client) = start().await;
    create(&client, "g", &["s"]).await;
    let sent: Vec<String> = (0..24).map(|line| format!("{line:02}{}", "x".repeat(200_000))).collect();
    for batch in sent.chunks(4) {
        put(&client, "g", "s", batch.to_vec()).await;
    }
    let (read, pages) = filtered(&client, "g", 10_000, None).await;
    assert_eq!(read, sent);
    assert!(pages >= 5, "{pages} pages for 4.8 MB");
    endpoint.cloud.stop().await;
}

#[tokio::test]
async fn a_stream_is_followed_with_a_forward_token_that_stays_valid_at_the_end() {
    let (endpoint, client) = start().await;
    create(&client, "g", &["s"]).await;
    let get = |token: Option<String>| {
        let get = client.get_log_events().log_group_name("g").log_stream_name("s").start_from_head(true).limit(4);
        get.set_next_token(token).send()
    };
    let empty = get(None).await.unwrap();
    assert!(empty.events().is_empty());
    put(&client, "g", "s", (0..10).map(|n| n.to_string())).await;
    let (mut token, mut read) = (empty.next_forward_token().map(str::to_owned), Vec::new());
    loop {
        let page = get(token.clone()).await.unwrap();
        read.extend(page.events().iter().map(|event| event.message().unwrap().to_owned()));
        let next = page.next_forward_token().map(str::to_owned);
        if next == token {
            break;
        }
        token = next;
    }
    assert_eq!(read, (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
    put(&client, "g", "s", ["later".to_owned()]).await;
    let page = get(token).await.unwrap();
    assert_eq!(page.events().iter().filter_map(|event| event.message()).collect::<Vec<_>>(), ["later"]);
    endpoint.cloud.stop().await;
}

#[tokio::test]
async fn without_a_start_the_newest_events_come_first_and_backward_tokens_lead_to_older_ones() {
    let (endpoint, client) = start().await;
    create(&client, "g", &["s"]).await;
    put(&client, "g", "s", (0..10).map(|n| n.to_string())).await;
    let (mut token, mut pages) = (None::<String>, Vec::new());
    loop {
        let get = client.get_log_events().log_group_name("g").log_stream_name("s").limit(4);
        let page = get.set_next_token(token.clone()).send().await.unwrap();
        let next = page.next_backward_token().map(str::to_owned);
        if next == token {
            break;
        }
        pages.push(page.events().iter().map(|event| event.message().unwrap().to_owned()).collect::<Vec<_>>());
        token = next;
    }
    assert_eq!(pages, [vec!["6", "7", "8", "9"], vec!["2", "3", "4", "5"], vec!["0", "1"]]);
    endpoint.cloud.stop().await;
}

#[tokio::test]
async fn times_select_events_as_documented() {
    let (endpoint, client) = start().await;
    create(&client, "g", &["s"]).await;
    let at = now_ms() - 10_000;
    let event =
        |offset: i64| InputLogEvent::builder().timestamp(at + offset).message(offset.to_string()).build().unwrap();
    let put = client.put_log_events().log_group_name("g").log_stream_name("s");
    put.log_events(event(0)).log_events(event(1)).log_events(event(2)).send().await.unwrap();
    let filter = client.filter_log_events().log_group_name("g").start_time(at + 1).end_time(at + 2);
    let messages = |events: &[Option<&str>]| events.iter().flatten().map(|m| (*m).to_owned()).collect::<Vec<_>>();
    let page = filter.send().await.unwrap();
    assert_eq!(messages(&page.events().iter().map(|e| e.message()).collect::<Vec<_>>()), ["1", "2"]);
    let get = client.get_log_events().log_group_name("g").log_stream_name("s").start_time(at + 1).end_time(at + 2);
    let page = get.send().await.unwrap();
    assert_eq!(messages(&page.events().iter().map(|e| e.message()).collect::<Vec<_>>()), ["1"]);
    let old = InputLogEvent::builder().timestamp(at - 15 * 86_400_000).message("old").build().unwrap();
    let put = client.put_log_events().log_group_name("g").log_stream_name("s").log_events(old).log_events(event(3));
    let rejected = put.send().await.unwrap().rejected_log_events_info().unwrap().too_old_log_event_end_index();
    assert_eq!(rejected, Some(1));
    endpoint.cloud.stop().await;
}

#[tokio::test]
async fn groups_and_streams_are_listed_in_pages_and_deleted() {
    let (endpoint, client) = start().await;
    let streams: Vec<String> = (0..120).map(|n| format!("s{n:03}")).collect();
    create(&client, "/weir/w/consumer", &streams.iter().map(String::as_str).collect::<Vec<_>>()).await;
    create(&client, "/weir/w/producer", &[]).await;
    create(&client, "/other", &[]).await;
    let retention = client.put_retention_policy().log_group_name("/weir/w/consumer").retention_in_days(7);
    retention.send().await.unwrap();
    let groups = client.describe_log_groups().log_group_name_prefix("/weir/").limit(1).into_paginator().items();
    let groups: Vec<_> = groups.send().collect::<Result<_, _>>().await.unwrap();
    assert_eq!(
        groups.iter().map(|g| g.log_group_name().unwrap()).collect::<Vec<_>>(),
        ["/weir/w/consumer", "/weir/w/producer"]
    );
    assert_eq!(groups[0].retention_in_days(), Some(7));
    let listed = client.describe_log_streams().log_group_name("/weir/w/consumer").into_paginator().items();
    let listed: Vec<_> = listed.send().collect::<Result<_, _>>().await.unwrap();
    assert_eq!(listed.iter().map(|s| s.log_stream_name().unwrap()).collect::<Vec<_>>(), streams);
    put(&client, "/weir/w/consumer", "s007", ["x".to_owned()]).await;
    let latest = client.describe_log_streams().log_group_name("/weir/w/consumer").order_by(OrderBy::LastEventTime);
    let latest = latest.descending(true).limit(1).send().await.unwrap();
    assert_eq!(latest.log_streams()[0].log_stream_name(), Some("s007"));
    let tags = client.list_tags_for_resource().resource_arn(groups[0].log_group_arn().unwrap()).send().await.unwrap();
    assert_eq!(tags.tags().unwrap()["weir:deployment"], "w");
    client.delete_log_group().log_group_name("/weir/w/consumer").send().await.unwrap();
    let gone = client.filter_log_events().log_group_name("/weir/w/consumer").send().await.unwrap_err();
    assert_eq!(gone.code(), Some("ResourceNotFoundException"));
    let again = client.create_log_group().log_group_name("/other").send().await.unwrap_err();
    assert_eq!(again.code(), Some("ResourceAlreadyExistsException"));
    let json = client.filter_log_events().log_group_name("/other").filter_pattern("{ $.a = 1 }").send().await;
    assert_eq!(json.unwrap_err().code(), Some("InvalidParameterException"));
    endpoint.cloud.stop().await;
}
