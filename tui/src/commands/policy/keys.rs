//! Policies compared key by key, however their files are written.

use controlplane::policy::PolicyFile;

/// The keys whose values differ: `stream.max_shards: 4 -> 8`. A key that only one of the two has, as those of a schedule
/// do, stands against `none`.
pub(super) fn changes(old: &PolicyFile, new: &PolicyFile) -> Vec<String> {
    let (old, new) = (old.settings(), new.settings());
    let value = |settings: &[(String, String)], key: &str| {
        settings.iter().find(|(name, _)| name == key).map_or_else(|| "none".to_owned(), |(_, value)| value.clone())
    };
    let gone = old.iter().filter(|(key, _)| new.iter().all(|(name, _)| name != key));
    let keys = new.iter().chain(gone).map(|(key, _)| key);
    keys.map(|key| (key, value(&old, key), value(&new, key)))
        .filter(|(_, old, new)| old != new)
        .map(|(key, old, new)| format!("{key}: {old} -> {new}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(old: &str, new: &str) -> Vec<String> {
        let file = |text: &str| PolicyFile::parse(&format!("version = 1\n{text}")).expect("a policy");
        changes(&file(old), &file(new))
    }

    #[test]
    fn an_apply_says_which_keys_changed() {
        let changed = changed("", "[stream]\nmax_shards = 7\n");
        assert_eq!(changed.len(), 1, "{changed:?}");
        assert!(changed[0].starts_with("stream.max_shards: ") && changed[0].ends_with(" -> 7"), "{changed:?}");
    }

    #[test]
    fn a_schedule_that_comes_or_goes_is_a_change_of_each_of_its_keys() {
        let schedule = "[[schedule]]\nname = \"office\"\ncron = \"0 8 * * *\"\nmin_shards = 4\n";
        assert!(changed("", schedule).contains(&"schedule.office.min_shards: none -> 4".to_owned()));
        assert!(changed(schedule, "").contains(&"schedule.office.min_shards: 4 -> none".to_owned()));
    }
}
