//! What a task prints, line by line.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest line that is kept whole: CloudWatch Logs' event limit of 256 KiB less its overhead of 26 bytes
/// (CloudWatch Logs quotas; the awslogs driver splits longer lines, too).
const LINE_BYTES_MAX: usize = 256 * 1024 - 26;

/// How much is read at once.
const READ_BYTES: usize = 16 * 1024;

/// Gives every line to `sink`, without its end, until the pipe closes. A slow sink slows the reading, and so the task.
pub(super) async fn forward(mut pipe: impl AsyncRead + Unpin, mut sink: impl FnMut(Bytes)) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    let mut searched = 0;
    loop {
        while let Some(line) = next_line(&mut buffer, &mut searched) {
            sink(line);
        }
        buffer.reserve(READ_BYTES);
        if pipe.read_buf(&mut buffer).await? == 0 {
            if !buffer.is_empty() {
                sink(buffer.freeze());
            }
            return Ok(());
        }
    }
}

/// The next line in the buffer. The first `searched` bytes hold no line's end.
fn next_line(buffer: &mut BytesMut, searched: &mut usize) -> Option<Bytes> {
    let end = buffer[*searched..].iter().position(|byte| *byte == b'\n').map(|offset| *searched + offset);
    match end {
        Some(end) if end <= LINE_BYTES_MAX => {
            *searched = 0;
            let line = buffer.split_to(end).freeze();
            let _ = buffer.split_to(1);
            Some(line)
        }
        _ if buffer.len() > LINE_BYTES_MAX => {
            *searched = 0;
            Some(buffer.split_to(LINE_BYTES_MAX).freeze())
        }
        _ => {
            *searched = buffer.len();
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &[u8]) -> Vec<Bytes> {
        let mut lines = Vec::new();
        forward(text, |line| lines.push(line)).await.unwrap();
        lines
    }

    #[tokio::test]
    async fn lines_come_as_they_are_and_the_last_needs_no_end() {
        assert_eq!(lines(b"one\n\ntwo\r\n three").await, ["one", "", "two\r", " three"]);
        assert!(lines(b"").await.is_empty());
    }

    #[tokio::test]
    async fn a_line_without_end_is_cut_rather_than_kept_in_memory() {
        let mut text = vec![b'x'; LINE_BYTES_MAX + 5];
        text.extend(b"\nnext\n");
        let sizes: Vec<_> = lines(&text).await.iter().map(Bytes::len).collect();
        assert_eq!(sizes, [LINE_BYTES_MAX, 5, 4]);
        let exact = [vec![b'x'; LINE_BYTES_MAX], b"\n".to_vec()].concat();
        assert_eq!(lines(&exact).await.len(), 1);
    }
}
