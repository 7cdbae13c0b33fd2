//! Filter patterns made of terms; JSON, space-delimited and regular-expression patterns are refused.

use crate::service::AwsError;

/// Terms as CloudWatch Logs reads unstructured patterns: `a b` wants both, `?a ?b` either, `-a` none, `"a b"` a phrase.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pattern {
    all: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, AwsError> {
        let mut pattern = Self::default();
        let mut rest = text.trim_start();
        if rest.starts_with(['{', '[', '%']) {
            return Err(invalid(text, "only patterns made of terms are supported"));
        }
        while !rest.is_empty() {
            let (terms, term) = match rest.strip_prefix('?') {
                Some(term) => (&mut pattern.any, term),
                None => match rest.strip_prefix('-') {
                    Some(term) => (&mut pattern.none, term),
                    None => (&mut pattern.all, rest),
                },
            };
            let (term, after) = match term.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').ok_or_else(|| invalid(text, "a quote is not closed"))?,
                None => term.split_once(char::is_whitespace).unwrap_or((term, "")),
            };
            if !term.is_empty() {
                terms.push(term.to_owned());
            }
            rest = after.trim_start();
        }
        Ok(pattern)
    }

    pub(super) fn matches(&self, message: &str) -> bool {
        let has = |term: &String| message.contains(term.as_str());
        self.all.iter().all(has) && (self.any.is_empty() || self.any.iter().any(has)) && !self.none.iter().any(has)
    }
}

fn invalid(pattern: &str, why: &str) -> AwsError {
    AwsError::new("InvalidParameterException", format!("Invalid filter pattern {pattern:?}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_match_as_documented() {
        let matches = |pattern: &str, message: &str| Pattern::parse(pattern).unwrap().matches(message);
        assert!(matches("", "anything"));
        assert!(matches("ERROR disk", "disk: ERROR") && !matches("ERROR disk", "ERROR"));
        assert!(matches("?WARN ?ERROR", "an ERROR") && !matches("?WARN ?ERROR", "INFO"));
        assert!(matches("ERROR -timeout", "ERROR io") && !matches("ERROR -timeout", "ERROR timeout"));
        assert!(matches("\"two words\"", "the two words") && !matches("\"two words\"", "words two"));
        assert!(!matches("error", "ERROR"), "terms are case sensitive");
    }

    #[test]
    fn other_kinds_of_pattern_are_refused() {
        for pattern in ["{ $.level = \"x\" }", "[a, b]", "%x%", "\"open"] {
            assert_eq!(Pattern::parse(pattern).unwrap_err().code, "InvalidParameterException", "{pattern}");
        }
    }
}
