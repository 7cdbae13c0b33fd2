//! Hash keys in JSON: decimal strings as in Kinesis's API, for 128 bits are more than a JSON number carries.

use serde::{Deserialize, Deserializer, Serializer, de::Error};

pub(super) fn serialize<S: Serializer>(key: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

pub(super) mod optional {
    use super::{Deserialize, Deserializer, Error, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(key: &Option<u128>, serializer: S) -> Result<S::Ok, S::Error> {
        match key {
            Some(key) => super::serialize(key, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u128>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{KeyShare, ShardLoad};

    #[test]
    fn the_largest_hash_key_survives_json() {
        let shard = ShardLoad {
            starting_hash_key: Some(0),
            ending_hash_key: Some(u128::MAX),
            heaviest: Some(KeyShare { hash_key: u128::MAX - 1, share: 0.5 }),
            ..ShardLoad::default()
        };
        let json = serde_json::to_string(&shard).unwrap();
        assert!(json.contains(r#""ending_hash_key":"340282366920938463463374607431768211455""#), "{json}");
        assert_eq!(serde_json::from_str::<ShardLoad>(&json).unwrap(), shard);
    }

    #[test]
    fn a_shard_of_before_hash_keys_were_known_is_read() {
        let json = r#"{"shard_id":"a","records":1.0,"bytes":2.0,"throttled":0.0}"#;
        assert_eq!(serde_json::from_str::<ShardLoad>(json).unwrap().ending_hash_key, None);
    }
}
