//! Text of others, made safe to show.

use std::borrow::Cow;

/// Makes control characters visible, so that data cannot drive the terminal.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        text.chars().flat_map(visible).collect::<String>().into()
    } else {
        text.into()
    }
}

fn visible(character: char) -> Vec<char> {
    if character.is_control() { character.escape_default().collect() } else { vec![character] }
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn escape_sequences_in_data_are_shown_and_not_obeyed() {
        assert_eq!(clean("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
        assert_eq!(clean("naïve ▲"), "naïve ▲");
    }
}
