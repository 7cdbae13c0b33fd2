//! Policies compared key by key, however their files are written.

use controlplane::policy::Policy;

/// The keys whose values differ: `stream.max_shards: 4 -> 8`.
pub(super) fn changes(old: &Policy, new: &Policy) -> Vec<String> {
    let (old, new) = (keys(old), keys(new));
    let differs = old.iter().zip(&new).filter(|((_, old), (_, new))| old != new);
    differs.map(|((key, old), (_, new))| format!("{key}: {old} -> {new}")).collect()
}

/// Every key of a policy with its value, in the order in which it is printed.
fn keys(policy: &Policy) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut keys = Vec::new();
    for line in policy.to_toml().lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = format!("{name}.");
        } else if let Some((key, value)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            keys.push((format!("{section}{key}"), value.to_owned()));
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_apply_says_which_keys_changed() {
        let old = Policy::default();
        let new = Policy::parse("version = 1\n[stream]\nmax_shards = 7\n").expect("a policy");
        let changed = changes(&old, &new);
        assert_eq!(changed.len(), 1, "{changed:?}");
        assert!(changed[0].starts_with("stream.max_shards: ") && changed[0].ends_with(" -> 7"), "{changed:?}");
    }
}
