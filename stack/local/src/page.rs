//! Pages of a list whose token is the key of the last item returned.

/// The items after `token`, at most `limit` of them, and the token of the next page if there is one.
///
/// An item that disappears between two pages neither ends the listing nor makes it skip anything: where the token's
/// item is gone, the page begins at the next higher key.
pub(crate) fn page<T>(
    mut items: Vec<T>,
    key: impl Fn(&T) -> String,
    token: Option<&str>,
    limit: usize,
) -> (Vec<T>, Option<String>) {
    if let Some(token) = token {
        let after = items.iter().position(|item| key(item) == token).map(|at| at + 1);
        let begin = after.or_else(|| items.iter().position(|item| key(item).as_str() > token)).unwrap_or(items.len());
        items.drain(..begin);
    }
    let is_last = items.len() <= limit;
    items.truncate(limit);
    let next = items.last().filter(|_| !is_last).map(key);
    (items, next)
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn pages_join_to_the_whole_list_even_when_each_is_deleted_once_read() {
        for deletes in [false, true] {
            let mut list: Vec<u32> = (100..125).collect();
            let (mut read, mut token) = (Vec::new(), None);
            loop {
                let (items, next) = page(list.clone(), ToString::to_string, token.as_deref(), 10);
                if deletes {
                    list.retain(|item| !items.contains(item));
                }
                read.extend(items);
                token = next;
                if token.is_none() {
                    break;
                }
            }
            assert_eq!(read, (100..125).collect::<Vec<_>>(), "deletes: {deletes}");
        }
    }
}
