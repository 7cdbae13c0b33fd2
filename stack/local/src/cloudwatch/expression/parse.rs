//! Text to [`Expression`]: precedence climbing over a handful of tokens.

use super::{Expression, Operator};

/// The longest expression (API reference of `MetricDataQuery`), which also bounds the depth of the recursion.
const CHARACTERS_MAX: usize = 2_048;

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(f64),
    Text(String),
    Name(String),
    Operator(Operator),
    Sign(char),
}

/// Parses a whole expression.
///
/// # Errors
/// A sentence that says what was expected.
pub(in crate::cloudwatch) fn parse(text: &str) -> Result<Expression, String> {
    if text.len() > CHARACTERS_MAX {
        return Err(format!("an expression has at most {CHARACTERS_MAX} characters"));
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0 };
    let expression = parser.binary(0)?;
    match parser.tokens.get(parser.at) {
        None => Ok(expression),
        Some(token) => Err(format!("unexpected {token:?} after the end of the expression")),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '0'..='9' | '.' => number(rest)?,
            'a'..='z' | 'A'..='Z' => {
                let name = prefix(rest, |c| c.is_ascii_alphanumeric() || c == '_');
                let token = match name {
                    "AND" => Token::Operator(Operator::And),
                    "OR" => Token::Operator(Operator::Or),
                    _ => Token::Name(name.to_owned()),
                };
                (token, name.len())
            }
            '"' | '\'' => {
                let text = rest[1..].split(first).next().unwrap_or_default();
                if rest.len() < text.len() + 2 {
                    return Err("a quote is not closed".to_owned());
                }
                (Token::Text(text.to_owned()), text.len() + 2)
            }
            _ => operator(rest).ok_or_else(|| format!("unexpected character {first:?}"))?,
        };
        tokens.push(token);
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}

fn prefix(text: &str, belongs: impl Fn(char) -> bool) -> &str {
    text.split(|c| !belongs(c)).next().unwrap_or_default()
}

fn number(text: &str) -> Result<(Token, usize), String> {
    let digits = prefix(text, |c| c.is_ascii_digit() || c == '.');
    let number = digits.parse().map_err(|_| format!("{digits:?} is not a number"))?;
    Ok((Token::Number(number), digits.len()))
}

fn operator(text: &str) -> Option<(Token, usize)> {
    const OPERATORS: [(&str, Operator); 13] = [
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("&&", Operator::And),
        ("||", Operator::Or),
        ("<", Operator::Less),
        (">", Operator::Greater),
        ("+", Operator::Add),
        ("-", Operator::Subtract),
        ("*", Operator::Multiply),
        ("/", Operator::Divide),
        ("^", Operator::Power),
    ];
    if let Some((sign, operator)) = OPERATORS.iter().find(|(sign, _)| text.starts_with(sign)) {
        return Some((Token::Operator(*operator), sign.len()));
    }
    let sign = text.chars().next().filter(|sign| "()[],".contains(*sign))?;
    Some((Token::Sign(sign), 1))
}

/// How tightly an operator binds: higher binds first.
fn precedence(operator: Operator) -> u8 {
    match operator {
        Operator::Or => 1,
        Operator::And => 2,
        Operator::Less
        | Operator::LessOrEqual
        | Operator::Greater
        | Operator::GreaterOrEqual
        | Operator::Equal
        | Operator::NotEqual => 3,
        Operator::Add | Operator::Subtract => 4,
        Operator::Multiply | Operator::Divide => 5,
        Operator::Power => 6,
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn takes(&mut self, sign: char) -> bool {
        let is_next = self.tokens.get(self.at) == Some(&Token::Sign(sign));
        self.at += usize::from(is_next);
        is_next
    }

    fn binary(&mut self, lowest: u8) -> Result<Expression, String> {
        let mut left = self.operand()?;
        while let Some(Token::Operator(operator)) = self.tokens.get(self.at) {
            let operator = *operator;
            if precedence(operator) <= lowest {
                break;
            }
            self.at += 1;
            let right = self.binary(precedence(operator))?;
            left = Expression::Binary(operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<Expression, String> {
        match self.next() {
            Some(Token::Number(number)) => Ok(Expression::Number(number)),
            Some(Token::Text(text)) => Ok(Expression::Text(text)),
            Some(Token::Name(name)) if self.takes('(') => Ok(Expression::Call(name, self.list(')')?)),
            Some(Token::Name(name)) => Ok(Expression::Name(name)),
            Some(Token::Operator(Operator::Subtract)) => {
                // A sign binds tighter than any operator but `^`.
                let operand = self.binary(precedence(Operator::Multiply))?;
                Ok(Expression::Negate(Box::new(operand)))
            }
            Some(Token::Sign('[')) => Ok(Expression::List(self.list(']')?)),
            Some(Token::Sign('(')) => {
                let inner = self.binary(0)?;
                if self.takes(')') { Ok(inner) } else { Err("a parenthesis is not closed".to_owned()) }
            }
            Some(other) => Err(format!("unexpected {other:?}")),
            None => Err("the expression ends too early".to_owned()),
        }
    }

    /// Expressions between commas, up to `close`.
    fn list(&mut self, close: char) -> Result<Vec<Expression>, String> {
        let mut items = Vec::new();
        if self.takes(close) {
            return Ok(items);
        }
        loop {
            items.push(self.binary(0)?);
            if self.takes(close) {
                return Ok(items);
            }
            if !self.takes(',') {
                return Err(format!("expected a comma or {close:?}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Fully parenthesised text of an expression.
    fn show(expression: &Expression) -> String {
        let all = |items: &[Expression]| items.iter().map(show).collect::<Vec<_>>().join(", ");
        match expression {
            Expression::Number(number) => number.to_string(),
            Expression::Text(text) => format!("{text:?}"),
            Expression::Name(name) => name.clone(),
            Expression::List(items) => format!("[{}]", all(items)),
            Expression::Negate(inner) => format!("(-{})", show(inner)),
            Expression::Binary(operator, left, right) => format!("({} {operator:?} {})", show(left), show(right)),
            Expression::Call(name, arguments) => format!("{name}({})", all(arguments)),
        }
    }

    #[test]
    fn operators_bind_as_in_arithmetic() {
        let shown = |text: &str| show(&parse(text).unwrap());
        assert_eq!(shown("1 + 2*m1 - 3/4"), "((1 Add (2 Multiply m1)) Subtract (3 Divide 4))");
        assert_eq!(shown("-(a+b)*2"), "((-(a Add b)) Multiply 2)");
        assert_eq!(shown("-2^2"), "(-(2 Power 2))");
        assert_eq!(shown("a > 1 AND b <= .5 || c"), "(((a Greater 1) And (b LessOrEqual 0.5)) Or c)");
        assert_eq!(
            shown("SUM([m1, FILL(m2, REPEAT)]) / METRICS(\"x\")"),
            "(SUM([m1, FILL(m2, REPEAT)]) Divide METRICS(\"x\"))"
        );
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in ["", "1 +", "(1", "m1 m2", "SUM(m1", "[1,", "\"open", "a $ b", "1.2.3"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"(".repeat(3_000)).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_text_makes_it_panic(text in "[a-zA-Z0-9 .,()\\[\\]<>=!&|+*/^'\"ü-]{0,40}") {
            let _ = parse(&text);
        }
    }
}
