//! Lines of a program's output, which may be of any length.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// The longest line that is kept whole. A message of the protocol has some hundred bytes.
const LINE_BYTES_MAX: usize = 8 << 10;

/// Reads a line into `line`, without its end and without what is too long. `false` when there is none.
pub(super) async fn read_line(input: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut begun = false;
    loop {
        let read = input.fill_buf().await?;
        if read.is_empty() {
            return Ok(begun);
        }
        begun = true;
        let end = read.iter().position(|byte| *byte == b'\n');
        let part = &read[..end.unwrap_or(read.len())];
        line.extend_from_slice(&part[..part.len().min(LINE_BYTES_MAX - line.len())]);
        let used = end.map_or(read.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::BufReader;

    use super::*;

    #[tokio::test]
    async fn lines_are_cut_where_they_are_too_long_and_the_next_begins_where_it_begins() {
        let text = format!("one\n\n{}\nlast", "x".repeat(3 * LINE_BYTES_MAX));
        let (mut input, mut line, mut lines) = (BufReader::new(text.as_bytes()), Vec::new(), Vec::new());
        while read_line(&mut input, &mut line).await.expect("bytes") {
            lines.push(String::from_utf8(line.clone()).expect("UTF-8"));
        }
        assert_eq!(lines, ["one", "", &"x".repeat(LINE_BYTES_MAX), "last"]);
    }
}
