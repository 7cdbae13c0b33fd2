//! awsQuery: a form in, XML out.
//!
//! The form's dotted names become nested JSON: `Tags.member.1.Key=a` is `{"Tags":[{"Key":"a"}]}`. Every value is a
//! string, as the protocol has no types. On the way out objects are elements, arrays hold `<member>` elements, and
//! timestamps are written in ISO 8601.

use std::{borrow::Cow, collections::BTreeMap, io};

use bytes::Bytes;
use quick_xml::{Writer, events::BytesText};
use serde_json::{Map, Number, Value};

use crate::service::{AwsError, Call};

/// The deepest input of the supported APIs has six names in a path; a form that goes deeper is an attack or a mistake.
const DEPTH_MAX: usize = 32;

/// Decodes a form.
///
/// # Errors
/// When the form names no `Action`, or one of its names means two things at once.
pub fn decode(body: &[u8]) -> Result<Call, AwsError> {
    let mut form = Branch::new();
    let mut action = None;
    for (name, value) in form_urlencoded::parse(body) {
        match name.as_ref() {
            "Action" => action = Some(value.into_owned()),
            "Version" => {}
            // Clients write an empty list as a name without a value, which is what an absent input means too.
            _ if value.is_empty() && !name.contains('.') => {}
            _ => insert(&mut form, &name, value.into_owned())?,
        }
    }
    let operation = action.ok_or_else(|| AwsError::new("MissingAction", "the form names no Action"))?;
    Ok(Call::untyped(operation, Value::Object(object(form)).to_string()))
}

type Branch = BTreeMap<String, Node>;

enum Node {
    Text(String),
    Branch(Branch),
}

fn insert(form: &mut Branch, name: &str, value: String) -> Result<(), AwsError> {
    let malformed =
        || AwsError::new("MalformedInput", format!("the parameter {name} contradicts another or is too deep"));
    let mut names: Vec<&str> = name.split('.').collect();
    let last = names.pop().filter(|_| names.len() < DEPTH_MAX).ok_or_else(malformed)?;
    let mut branch = form;
    for name in names {
        match branch.entry(name.to_owned()).or_insert_with(|| Node::Branch(Branch::new())) {
            Node::Branch(inner) => branch = inner,
            Node::Text(_) => return Err(malformed()),
        }
    }
    match branch.insert(last.to_owned(), Node::Text(value)) {
        None => Ok(()),
        Some(_) => Err(malformed()),
    }
}

fn json(node: Node) -> Value {
    let mut branch = match node {
        Node::Text(text) => return Value::String(text),
        Node::Branch(branch) => branch,
    };
    if is_list(&branch) {
        return Value::Array(list(branch).map(json).collect());
    }
    if branch.len() == 1 {
        match branch.pop_first() {
            Some((name, Node::Branch(inner))) if name == "member" && is_list(&inner) => {
                return Value::Array(list(inner).map(json).collect());
            }
            Some((name, Node::Branch(inner))) if name == "entry" && is_list(&inner) => {
                return Value::Object(list(inner).filter_map(entry).collect());
            }
            Some((name, node)) => drop(branch.insert(name, node)),
            None => {}
        }
    }
    Value::Object(object(branch))
}

fn object(branch: Branch) -> Map<String, Value> {
    branch.into_iter().map(|(name, node)| (name, json(node))).collect()
}

/// Whether every name is a position, as in `Subnets.1=a&Subnets.2=b`.
fn is_list(branch: &Branch) -> bool {
    !branch.is_empty() && branch.keys().all(|name| name.parse::<u32>().is_ok())
}

/// The items by position, which as text would sort 10 before 2.
fn list(branch: Branch) -> impl Iterator<Item = Node> {
    let by_position: BTreeMap<u32, Node> =
        branch.into_iter().filter_map(|(name, node)| Some((name.parse().ok()?, node))).collect();
    by_position.into_values()
}

/// `key` and `value` of one entry of a map.
fn entry(node: Node) -> Option<(String, Value)> {
    let Node::Branch(mut pair) = node else { return None };
    let Some(Node::Text(key)) = pair.remove("key") else { return None };
    pair.remove("value").map(|value| (key, json(value)))
}

/// Writes a successful answer. Members of the names in `timestamps` that hold seconds since the epoch, as in awsJson,
/// are written in ISO 8601.
#[must_use]
pub fn encode(service: &str, operation: &str, request_id: &str, output: &Value, timestamps: &[&str]) -> Bytes {
    let output = &dated(output, timestamps, false);
    document(&format!("{operation}Response"), namespace(service), |writer| {
        element(writer, &format!("{operation}Result"), output)?;
        writer
            .create_element("ResponseMetadata")
            .write_inner_content(|writer| text(writer, "RequestId", request_id))?;
        Ok(())
    })
}

fn dated(value: &Value, timestamps: &[&str], is_timestamp: bool) -> Value {
    match value {
        Value::Number(seconds) if is_timestamp => iso(seconds).map_or_else(|| value.clone(), Value::String),
        Value::Array(items) => items.iter().map(|item| dated(item, timestamps, is_timestamp)).collect(),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                (name.clone(), dated(value, timestamps, timestamps.contains(&name.as_str())))
            };
            Value::Object(members.iter().map(member).collect())
        }
        other => other.clone(),
    }
}

fn iso(seconds: &Number) -> Option<String> {
    let since_epoch = jiff::SignedDuration::try_from_secs_f64(seconds.as_f64()?).ok()?;
    jiff::Timestamp::from_duration(since_epoch).ok().map(|timestamp| timestamp.to_string())
}

/// Writes an error.
#[must_use]
pub fn encode_error(service: &str, request_id: &str, error: &AwsError) -> Bytes {
    let fault = if error.status < 500 { "Sender" } else { "Receiver" };
    document("ErrorResponse", namespace(service), |writer| {
        writer.create_element("Error").write_inner_content(|writer| {
            text(writer, "Type", fault)?;
            text(writer, "Code", &error.code)?;
            text(writer, "Message", &error.message)
        })?;
        text(writer, "RequestId", request_id)
    })
}

/// The XML namespace of an API, from its service model.
fn namespace(service: &str) -> &'static str {
    match service {
        "cloudformation" => "http://cloudformation.amazonaws.com/doc/2010-05-15/",
        "elasticloadbalancing" => "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
        "monitoring" => "http://monitoring.amazonaws.com/doc/2010-08-01/",
        _ => "https://sts.amazonaws.com/doc/2011-06-15/",
    }
}

type Xml = Writer<Vec<u8>>;

fn document(root: &str, namespace: &str, content: impl FnOnce(&mut Xml) -> io::Result<()>) -> Bytes {
    let mut writer = Writer::new(Vec::new());
    let written =
        writer.create_element(root).with_attribute(("xmlns", namespace)).write_inner_content(content).map(|_| ());
    if let Err(error) = written {
        tracing::error!(%error, "cannot write to memory");
    }
    writer.into_inner().into()
}

fn element(writer: &mut Xml, name: &str, value: &Value) -> io::Result<()> {
    match value {
        Value::Null => Ok(()),
        Value::String(value) => text(writer, name, value),
        Value::Bool(_) | Value::Number(_) => text(writer, name, &value.to_string()),
        Value::Array(items) => {
            let members = |writer: &mut Xml| items.iter().try_for_each(|item| element(writer, "member", item));
            writer.create_element(name).write_inner_content(members).map(|_| ())
        }
        Value::Object(members) => {
            let members = |writer: &mut Xml| members.iter().try_for_each(|(name, value)| element(writer, name, value));
            writer.create_element(name).write_inner_content(members).map(|_| ())
        }
    }
}

fn text(writer: &mut Xml, name: &str, value: &str) -> io::Result<()> {
    writer.create_element(name).write_text_content(BytesText::new(&printable(value))).map(|_| ())
}

/// XML 1.0 has no way to write most control characters: they become U+FFFD.
fn printable(text: &str) -> Cow<'_, str> {
    let unprintable =
        |c: char| matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}');
    if text.contains(unprintable) { text.replace(unprintable, "\u{fffd}").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use quick_xml::{Reader, events::Event};
    use serde_json::json;

    fn input(form: &str) -> Value {
        serde_json::from_slice(&decode(form.as_bytes()).unwrap().body).unwrap()
    }

    #[test]
    fn lists_are_read_in_the_order_of_their_positions() {
        let form = (1..=11).map(|i| format!("&Names.member.{i}=n{i}")).collect::<String>();
        let names: Vec<String> = (1..=11).map(|i| format!("n{i}")).collect();
        assert_eq!(input(&format!("Action=A&Version=v{form}")), json!({ "Names": names }));
    }

    #[test]
    fn plain_positions_and_entries_are_read_too() {
        assert_eq!(
            input("Action=A&Subnets.1=a&Subnets.2=b&Map.entry.1.key=k&Map.entry.1.value=v+w%26"),
            json!({ "Subnets": ["a", "b"], "Map": { "k": "v w&" } })
        );
    }

    #[test]
    fn an_empty_list_is_absent_but_an_empty_value_in_a_list_is_kept() {
        assert_eq!(input("Action=A&Tags=&P.member.1.K=k&P.member.1.V="), json!({ "P": [{ "K": "k", "V": "" }] }));
    }

    #[test]
    fn a_form_that_contradicts_itself_is_refused() {
        for form in ["Action=A&a.b=1&a=2", "Action=A&a=2&a.b=1", "Action=A&a=1&a=2", "x=1"] {
            assert!(decode(form.as_bytes()).is_err(), "{form}");
        }
        assert!(decode(format!("Action=A&{}=1", vec!["a"; 5_000].join(".")).as_bytes()).is_err());
    }

    #[test]
    fn an_answer_has_the_shape_that_clients_parse() {
        let output = json!({ "Arn": "<a&b>\r\u{1}", "Absent": null, "List": [1, true], "None": [] });
        assert_eq!(
            encode("sts", "Get", "id", &output, &[]),
            "<GetResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetResult><Arn>&lt;a&amp;b&gt;&#13;\u{fffd}</Arn>\
             <List><member>1</member><member>true</member></List><None></None></GetResult>\
             <ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></GetResponse>"
        );
        let error = encode_error("sts", "id", &AwsError::new("Code", "a < b"));
        let error = std::str::from_utf8(&error).unwrap();
        assert!(error.contains("<Error><Type>Sender</Type><Code>Code</Code><Message>a &lt; b</Message></Error>"));
    }

    /// Values that a form can carry: text, and objects and lists that are not empty.
    fn inputs() -> impl Strategy<Value = Value> {
        let leaf = ".{1,8}".prop_map(Value::String);
        let tree = leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..12).prop_map(Value::Array),
                prop::collection::btree_map("[A-Z][a-z]{1,4}", inner, 1..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        });
        prop::collection::btree_map("[A-Z][a-z]{1,4}x", tree, 0..4)
            .prop_map(|members| Value::Object(members.into_iter().collect()))
    }

    fn flatten(form: &mut form_urlencoded::Serializer<'_, String>, path: &str, value: &Value) {
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| flatten(form, &below(name), value)),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    flatten(form, &below(&format!("member.{}", index + 1)), item);
                }
            }
            _ => drop(form.append_pair(path, value.as_str().unwrap_or_default())),
        }
    }

    /// The text of every element without children, in order.
    fn leaves(xml: &[u8]) -> Vec<(String, String)> {
        let mut reader = Reader::from_reader(xml);
        let (mut leaves, mut open, mut content) = (Vec::new(), String::new(), String::new());
        loop {
            match reader.read_event().unwrap() {
                Event::Start(tag) => (open, content) = (tag.name().as_ref().to_owned(), String::new()),
                Event::Text(text) => content.push_str(&text),
                Event::GeneralRef(name) => {
                    content.push_str(&quick_xml::escape::unescape(&format!("&{};", &*name)).unwrap());
                }
                Event::End(tag) if tag.name().as_ref() == open => leaves.push((open.clone(), content.clone())),
                Event::Eof => return leaves,
                _ => {}
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn a_form_says_what_was_written_into_it(value in inputs()) {
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.append_pair("Action", "Do");
            flatten(&mut form, "", &value);
            prop_assert_eq!(input(&form.finish()), value);
        }

        #[test]
        fn any_text_survives_xml(value in "[^\\p{Cc}\u{fffe}\u{ffff}]{0,16}") {
            let xml = encode("sts", "Do", "id", &json!({ "Value": value }), &[]);
            prop_assert!(leaves(&xml).contains(&("Value".to_owned(), value)));
        }
    }
}
