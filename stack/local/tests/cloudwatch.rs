//! CloudWatch through the SDK (rpc-v2-cbor), awsJson and awsQuery.

mod endpoint;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_cloudwatch::{
    Client,
    error::ProvideErrorMetadata,
    primitives::DateTime,
    types::{
        ComparisonOperator, Dimension, DimensionFilter, Metric, MetricDataQuery, MetricDatum, MetricStat, ScanBy,
        StandardUnit, StateValue, Statistic, StatisticSet, Tag,
    },
};
use endpoint::Endpoint;
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes};
use hyper_util::{client::legacy::Client as Http, rt::TokioExecutor};

/// The beginning of the minute `minutes` ago, in seconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "the endpoint under test judges timestamps by the machine's clock")]
fn minutes_ago(minutes: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(now.as_secs()).unwrap() / 60 * 60 - minutes * 60
}

fn at(seconds: i64) -> DateTime {
    DateTime::from_secs(seconds)
}

async fn start() -> (Endpoint, Client) {
    let endpoint = endpoint::start().await;
    let client = Client::new(&endpoint.sdk);
    (endpoint, client)
}

fn shard(id: &str) -> Dimension {
    Dimension::builder().name("Shard").value(id).build()
}

fn datum(name: &str, seconds: i64, value: f64, shard_id: &str) -> MetricDatum {
    MetricDatum::builder()
        .metric_name(name)
        .timestamp(at(seconds))
        .value(value)
        .unit(StandardUnit::Count)
        .dimensions(shard(shard_id))
        .build()
}

fn metric(id: &str, name: &str, shard_id: &str, period: i32, statistic: &str) -> MetricDataQuery {
    let metric = Metric::builder().namespace("Weir").metric_name(name).dimensions(shard(shard_id)).build();
    let stat = MetricStat::builder().metric(metric).period(period).stat(statistic).build();
    MetricDataQuery::builder().id(id).metric_stat(stat).build()
}

fn math(id: &str, expression: &str) -> MetricDataQuery {
    MetricDataQuery::builder().id(id).expression(expression).build()
}

#[tokio::test]
async fn what_is_put_comes_back_by_period_statistic_and_dimension() {
    let (endpoint, client) = start().await;
    let begin = minutes_ago(10);
    let statistics = StatisticSet::builder().sample_count(2.0).sum(6.0).minimum(2.0).maximum(4.0).build();
    let set = MetricDatum::builder().metric_name("m").timestamp(at(begin + 60)).dimensions(shard("1"));
    let values = MetricDatum::builder().metric_name("m").timestamp(at(begin + 240)).dimensions(shard("1"));
    let put = client.put_metric_data().namespace("Weir");
    let put = put.metric_data(datum("m", begin, 3.0, "1")).metric_data(datum("m", begin + 30, 5.0, "1"));
    let put = put.metric_data(datum("m", begin, 100.0, "2")).metric_data(set.statistic_values(statistics).build());
    let put = put.metric_data(values.values(1.0).values(9.0).counts(3.0).counts(1.0).build());
    put.send().await.unwrap();
    let get = |query, scan_by| {
        let get = client.get_metric_data().start_time(at(begin)).end_time(at(begin + 600)).scan_by(scan_by);
        let get = get.metric_data_queries(query);
        async move { get.send().await.unwrap().metric_data_results()[0].values().to_vec() }
    };
    let ascending = ScanBy::TimestampAscending;
    assert_eq!(get(metric("a", "m", "1", 60, "Sum"), ascending.clone()).await, [8.0, 6.0, 12.0]);
    assert_eq!(get(metric("a", "m", "1", 60, "Sum"), ScanBy::TimestampDescending).await, [12.0, 6.0, 8.0]);
    assert_eq!(get(metric("a", "m", "1", 60, "SampleCount"), ascending.clone()).await, [2.0, 2.0, 4.0]);
    assert_eq!(get(metric("a", "m", "1", 60, "Average"), ascending.clone()).await, [4.0, 3.0, 3.0]);
    assert_eq!(get(metric("a", "m", "1", 60, "p75"), ascending.clone()).await, [5.0, 1.0], "no values of a set");
    assert_eq!(
        get(metric("a", "m", "1", 3600, "Maximum"), ascending.clone()).await.iter().copied().fold(0.0, f64::max),
        9.0
    );
    assert_eq!(get(metric("a", "m", "2", 60, "Sum"), ascending.clone()).await, [100.0]);
    assert!(get(metric("a", "m", "3", 60, "Sum"), ascending).await.is_empty());
    let statistics = client.get_metric_statistics().namespace("Weir").metric_name("m").dimensions(shard("1"));
    let statistics = statistics.start_time(at(begin)).end_time(at(begin + 120)).period(60);
    let statistics = statistics.statistics(Statistic::Maximum).extended_statistics("p50").send().await.unwrap();
    let first = &statistics.datapoints()[0];
    assert_eq!((first.timestamp().unwrap().secs(), first.maximum()), (begin, Some(5.0)));
    assert_eq!(first.extended_statistics().unwrap()["p50"], 3.0);
    assert_eq!(first.unit(), Some(&StandardUnit::Count));
    endpoint.cloud.stop().await;
}

#[tokio::test]
async fn a_large_put_arrives_compressed_and_pages_join() {
    let (endpoint, client) = start().await;
    let begin = minutes_ago(600);
    let data = (0..600).map(|minute| datum("m", begin + minute * 60, 1.0, "1")).collect();
    client.put_metric_data().namespace("Weir").set_metric_data(Some(data)).send().await.unwrap();
    let get = client.get_metric_data().start_time(at(begin)).end_time(at(begin + 36_000)).max_datapoints(250);
    let pages = get.metric_data_queries(metric("a", "m", "1", 60, "Sum")).into_paginator().send();
    let pages: Vec<_> = pages.collect::<Result<_, _>>().await.unwrap();
    let sizes: Vec<usize> = pages.iter().map(|page| page.metric_data_results()[0].values().len()).collect();
    assert_eq!(sizes, [250, 250, 100]);
    let codes: Vec<&str> =
        pages.iter().map(|page| page.metric_data_results()[0].status_code().unwrap().as_str()).collect();
    assert_eq!(codes, ["PartialData", "PartialData", "Complete"]);
    endpoint.cloud.stop().await;
}

#[tokio::test]
async fn expressions_combine_metrics_and_hide_what_returns_no_data() {
    let (endpoint, client) = start().await;
    let begin = minutes_ago(5);
    let put = client.put_metric_data().namespace("Weir");
    let put = put.metric_data(datum("m", begin, 60.0, "1")).metric_data(datum("m", begin, 30.0, "2"));
    put.metric_data(datum("m", begin + 60, 120.0, "1")).send().await.unwrap();
    let hidden = |id, shard| {
        let query = metric(id, "m", shard, 60, "Sum");
        MetricDataQuery::builder().id(id).metric_stat(query.metric_stat().unwrap().clone()).return_data(false).build()
    };
    let get = client.get_metric_data().start_time(at(begin)).end_time(at(begin + 180));
    let get = get.scan_by(ScanBy::TimestampAscending);
    let got = get
        .clone()
        .metric_data_queries(hidden("m1", "1"))
        .metric_data_queries(hidden("m2", "2"))
        .metric_data_queries(math("e1", "SUM(METRICS()) / PERIOD(m1)"))
        .metric_data_queries(math("e2", "FILL(e1, 0) * 2"))
        .metric_data_queries(math("e3", "m1 + m2"))
        .send()
        .await
        .unwrap();
    let values: Vec<(&str, &[f64])> =
        got.metric_data_results().iter().map(|result| (result.id().unwrap(), result.values())).collect();
    assert_eq!(values, [("e1", &[1.5, 2.0][..]), ("e2", &[3.0, 4.0, 0.0]), ("e3", &[90.0])]);
    for (expression, named) in [("SEARCH('x')", "SEARCH"), ("e9", "itself"), ("m1 +", "e9"), ("1 + 1", "number")] {
        let query = get.clone().metric_data_queries(metric("m1", "m", "1", 60, "Sum"));
        let refused = query.metric_data_queries(math("e9", expression)).send().await.unwrap_err();
        assert_eq!(refused.code(), Some("ValidationError"), "{expression}");
        assert!(refused.message().unwrap().contains(named), "{expression}: {:?}", refused.message());
    }
    endpoint.cloud.stop().await;
}

#[tokio::test]
async fn metrics_are_listed_by_dimension_in_pages() {
    let (endpoint, client) = start().await;
    let now = minutes_ago(1);
    for chunk in (0..1_200).collect::<Vec<_>>().chunks(600) {
        let data = chunk.iter().map(|number| datum("m", now, 1.0, &number.to_string())).collect();
        client.put_metric_data().namespace("Weir").set_metric_data(Some(data)).send().await.unwrap();
    }
    client.put_metric_data().namespace("Other").metric_data(datum("m", now, 1.0, "1")).send().await.unwrap();
    let pages = client.list_metrics().namespace("Weir").into_paginator().send();
    let pages: Vec<_> = pages.collect::<Result<_, _>>().await.unwrap();
    assert_eq!(pages.iter().map(|page| page.metrics().len()).collect::<Vec<_>>(), [500, 500, 200]);
    let filter = DimensionFilter::builder().name("Shard").value("7").build();
    let one = client.list_metrics().dimensions(filter).send().await.unwrap();
    assert_eq!(one.metrics()[0].dimensions(), [shard("7")]);
    endpoint.cloud.stop().await;
}

#[tokio::test]
async fn wrong_data_is_refused_whole() {
    let (endpoint, client) = start().await;
    let refused = client.put_metric_data().namespace("AWS/Kinesis").metric_data(datum("m", minutes_ago(1), 1.0, "1"));
    assert_eq!(refused.send().await.unwrap_err().code(), Some("InvalidParameterValue"));
    let put = client.put_metric_data().namespace("Weir").metric_data(datum("m", minutes_ago(1), 1.0, "1"));
    let old = put.metric_data(datum("m", minutes_ago(60 * 24 * 15), 1.0, "1")).send().await.unwrap_err();
    assert_eq!(old.code(), Some("InvalidParameterValue"));
    assert!(client.list_metrics().send().await.unwrap().metrics().is_empty());
    endpoint.cloud.stop().await;
}

#[tokio::test]
async fn an_alarm_is_judged_when_it_is_looked_at() {
    let (endpoint, client) = start().await;
    let alarm = |name: &str, missing: &str| {
        let alarm = client.put_metric_alarm().alarm_name(name).namespace("Weir").metric_name("lag");
        let alarm = alarm.dimensions(shard("1")).statistic(Statistic::Maximum).period(60).evaluation_periods(2);
        let alarm = alarm.threshold(10.0).comparison_operator(ComparisonOperator::GreaterThanThreshold);
        alarm.treat_missing_data(missing).tags(Tag::builder().key("weir:deployment").value("w").build()).send()
    };
    alarm("lag", "missing").await.unwrap();
    alarm("silence", "breaching").await.unwrap();
    let states = || async {
        let described = client.describe_alarms().send().await.unwrap();
        described.metric_alarms().iter().map(|alarm| alarm.state_value().unwrap().clone()).collect::<Vec<_>>()
    };
    assert_eq!(states().await, [StateValue::InsufficientData, StateValue::Alarm]);
    let put = client.put_metric_data().namespace("Weir").metric_data(datum("lag", minutes_ago(2), 11.0, "1"));
    put.metric_data(datum("lag", minutes_ago(1), 12.0, "1")).send().await.unwrap();
    assert_eq!(states().await, [StateValue::Alarm, StateValue::Alarm]);
    let set = client.set_alarm_state().alarm_name("lag").state_value(StateValue::Ok).state_reason("by hand");
    set.send().await.unwrap();
    let described = client.describe_alarms().alarm_names("lag").send().await.unwrap();
    let lag = &described.metric_alarms()[0];
    assert_eq!((lag.state_value(), lag.state_reason()), (Some(&StateValue::Ok), Some("by hand")));
    assert_eq!(lag.threshold(), Some(10.0));
    assert!(lag.state_updated_timestamp().is_some());
    let arn = lag.alarm_arn().unwrap();
    assert_eq!(client.list_tags_for_resource().resource_arn(arn).send().await.unwrap().tags()[0].value(), Some("w"));
    client.delete_alarms().alarm_names("lag").alarm_names("silence").send().await.unwrap();
    assert!(states().await.is_empty());
    endpoint.cloud.stop().await;
}

#[tokio::test]
async fn dashboards_are_kept_listed_and_deleted() {
    let (endpoint, client) = start().await;
    let body = r#"{"widgets":[]}"#;
    client.put_dashboard().dashboard_name("weir").dashboard_body(body).send().await.unwrap();
    let got = client.get_dashboard().dashboard_name("weir").send().await.unwrap();
    assert_eq!(got.dashboard_body(), Some(body));
    let listed = client.list_dashboards().dashboard_name_prefix("we").send().await.unwrap();
    assert_eq!(listed.dashboard_entries()[0].size(), i64::try_from(body.len()).ok());
    client.delete_dashboards().dashboard_names("weir").send().await.unwrap();
    let gone = client.get_dashboard().dashboard_name("weir").send().await.unwrap_err();
    assert_eq!(gone.code(), Some("ResourceNotFound"));
    let bad = client.put_dashboard().dashboard_name("weir").dashboard_body("[").send().await.unwrap_err();
    assert_eq!(bad.code(), Some("InvalidParameterInput"));
    endpoint.cloud.stop().await;
}

#[tokio::test]
async fn the_command_line_speaks_json() {
    let (endpoint, client) = start().await;
    let minute = minutes_ago(1);
    client.put_metric_data().namespace("Weir").metric_data(datum("m", minute, 1.5, "1")).send().await.unwrap();
    let call = |operation: &'static str, body: String| {
        let request = Request::post(endpoint.cloud.endpoint_url())
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("GraniteServiceVersion20100801.{operation}"))
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        async move {
            let answer = Http::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
            String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
        }
    };
    let (from, until) = (minute - 60, minute + 60);
    let query = format!(
        r#"{{"StartTime":{from},"EndTime":{until},"Period":60,"Statistics":["Sum"],"Namespace":"Weir","MetricName":"m",
            "Dimensions":[{{"Name":"Shard","Value":"1"}}]}}"#
    );
    let answer = call("GetMetricStatistics", query).await;
    assert!(answer.contains(r#""Sum":1.5"#) && answer.contains(&format!(r#""Timestamp":{minute}"#)), "{answer}");
    let answer = call("GetInsightRuleReport", "{}".to_owned()).await;
    assert!(answer.contains("localcloud does not implement monitoring:GetInsightRuleReport"), "{answer}");
    endpoint.cloud.stop().await;
}

#[tokio::test]
async fn a_client_that_sends_forms_gets_xml_with_dates() {
    let (endpoint, _) = start().await;
    let minute = minutes_ago(1);
    let call = |form: String| {
        let scope = "AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/monitoring/aws4_request";
        let request = Request::post(endpoint.cloud.endpoint_url())
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .header("authorization", scope)
            .body(Full::new(Bytes::from(format!("Version=2010-08-01&{form}"))))
            .unwrap();
        async move {
            let answer = Http::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
            String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
        }
    };
    let iso = |seconds: i64| DateTime::from_secs(seconds).to_string();
    let put = "Action=PutMetricData&Namespace=Weir&MetricData.member.1.MetricName=m&MetricData.member.1.Dimensions=";
    let put = format!("{put}&MetricData.member.1.Value=1.5&MetricData.member.1.Timestamp={}", iso(minute));
    let answer = call(put).await;
    assert!(answer.starts_with("<PutMetricDataResponse"), "{answer}");
    let read = "Action=GetMetricStatistics&Namespace=Weir&MetricName=m&Period=60&Statistics.member.1=Sum";
    let answer = call(format!("{read}&StartTime={}&EndTime={}", iso(minute - 60), iso(minute + 60))).await;
    assert!(answer.contains("<Sum>1.5</Sum>"), "{answer}");
    assert!(answer.contains(&format!("<Timestamp>{}</Timestamp>", iso(minute))), "{answer}");
    let alarm = "Action=PutMetricAlarm&AlarmName=a&Namespace=Weir&MetricName=m&Statistic=Sum&Period=60";
    let alarm = format!("{alarm}&EvaluationPeriods=1&Threshold=1e3&ComparisonOperator=GreaterThanThreshold");
    let answer = call(format!("{alarm}&ActionsEnabled=false")).await;
    assert!(answer.starts_with("<PutMetricAlarmResponse"), "{answer}");
    let answer = call("Action=DescribeAlarms&MaxRecords=1".to_owned()).await;
    assert!(answer.contains("<Threshold>1000.0</Threshold>"), "{answer}");
    assert!(answer.contains("<ActionsEnabled>false</ActionsEnabled>"), "{answer}");
    let answer = call(format!("{read}&StartTime=now&EndTime={}", iso(minute))).await;
    assert!(answer.contains("<Code>SerializationException</Code>"), "{answer}");
    endpoint.cloud.stop().await;
}
