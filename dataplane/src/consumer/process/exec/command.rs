//! The command line of a program. Pure.

use std::str::FromStr;

/// A program and its arguments, which no shell sees.
///
/// Read from words between spaces (`python3 -u processor.py`), or, where an argument has spaces or quotes of its own,
/// from a JSON array of strings (`["python3", "-u", "my processor.py"]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecCommand {
    pub program: String,
    pub arguments: Vec<String>,
}

impl FromStr for ExecCommand {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words = if text.trim_start().starts_with('[') {
            serde_json::from_str::<Vec<String>>(text)
                .map_err(|error| format!("what begins with `[` must be a JSON array of strings: {error}"))?
        } else {
            text.split_whitespace().map(str::to_owned).collect()
        };
        let mut words = words.into_iter();
        let program = words.next().filter(|program| !program.is_empty()).ok_or("names no program")?;
        Ok(Self { program, arguments: words.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<Vec<String>, String> {
        let command: ExecCommand = text.parse()?;
        Ok([vec![command.program], command.arguments].concat())
    }

    #[test]
    fn words_are_divided_by_spaces_and_an_array_is_taken_as_it_is() {
        assert_eq!(words(" python3  -u a.py ").expect("words"), ["python3", "-u", "a.py"]);
        assert_eq!(words(r#"["python3", "my app.py", ""]"#).expect("an array"), ["python3", "my app.py", ""]);
    }

    #[test]
    fn a_command_without_a_program_is_refused() {
        for text in ["", "  ", "[]", r#"[""]"#, r#"["a", 1]"#, "[a"] {
            assert!(words(text).is_err(), "{text}");
        }
    }
}
