//! The multiplexed stream of logs and of commands.
//!
//! Each frame is a byte for the stream (1 output, 2 error), three zeros, the length in four bytes, and the bytes.

use super::{call::Call, raw::Answer};
use crate::{LogLine, Result};
use bytes::{Buf, Bytes, BytesMut};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use std::collections::VecDeque;

/// The engine's frames hold a line or a pipe's content; a longer one means that this is no such stream.
const MAX_FRAME: usize = 4 << 20;
/// A line without an end is cut here.
const MAX_LINE: usize = 64 << 10;
const HEADER: usize = 8;

/// Cuts bytes into frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    buffer: BytesMut,
}

impl Frames {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame: whether it is of standard error, and its bytes.
    pub(super) fn next(&mut self) -> std::result::Result<Option<(bool, Bytes)>, &'static str> {
        let Some(header) = self.buffer.first_chunk::<HEADER>() else { return Ok(None) };
        let [stream, 0, 0, 0, length @ ..] = *header else { return Err("a frame's header is malformed") };
        if stream > 2 {
            return Err("a frame is of an unknown stream");
        }
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > MAX_FRAME {
            return Err("a frame is too long");
        }
        if self.buffer.len() < HEADER + length {
            return Ok(None);
        }
        self.buffer.advance(HEADER);
        Ok(Some((stream == 2, self.buffer.split_to(length).freeze())))
    }
}

/// Puts lines together; a line may come in several frames, and both streams are interleaved.
#[derive(Debug, Default)]
struct Lines {
    frames: Frames,
    open: [Vec<u8>; 2],
    ready: VecDeque<LogLine>,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) -> std::result::Result<(), &'static str> {
        self.frames.push(bytes);
        while let Some((stderr, bytes)) = self.frames.next()? {
            for part in bytes.split_inclusive(|byte| *byte == b'\n') {
                let open = &mut self.open[usize::from(stderr)];
                open.extend_from_slice(part);
                if part.ends_with(b"\n") || open.len() >= MAX_LINE {
                    self.end_line(stderr);
                }
            }
        }
        Ok(())
    }

    fn end_line(&mut self, stderr: bool) {
        let line = std::mem::take(&mut self.open[usize::from(stderr)]);
        let line = String::from_utf8_lossy(&line);
        let line = line.strip_suffix('\n').unwrap_or(&line);
        let line = line.strip_suffix('\r').unwrap_or(line).to_owned();
        self.ready.push_back(LogLine { stderr, line });
    }

    fn finish(&mut self) {
        for stderr in [false, true] {
            if !self.open[usize::from(stderr)].is_empty() {
                self.end_line(stderr);
            }
        }
    }
}

/// The lines of an answer.
pub(super) fn lines(call: Call, answer: Answer) -> BoxStream<'static, Result<LogLine>> {
    let state = (call, Some(answer), Lines::default());
    stream::unfold(state, |(call, mut answer, mut lines)| async move {
        loop {
            if let Some(line) = lines.ready.pop_front() {
                return Some((Ok(line), (call, answer, lines)));
            }
            match answer.as_mut()?.next().await {
                None => {
                    answer = None;
                    lines.finish();
                }
                Some(part) => {
                    let taken = part
                        .and_then(|bytes| lines.push(&bytes).map_err(|reason| call.not_understood(reason)));
                    if let Err(error) = taken {
                        return Some((Err(error), (call, None, lines)));
                    }
                }
            }
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(stream: u8, text: &str) -> Vec<u8> {
        let mut frame = vec![stream, 0, 0, 0];
        frame.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
        frame.extend_from_slice(text.as_bytes());
        frame
    }

    async fn read(bytes: Vec<u8>, chunk: usize) -> Vec<Result<LogLine>> {
        let parts: Vec<_> = bytes.chunks(chunk).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
        let call = Call::container("logs", "web", 10);
        lines(call, stream::iter(parts).boxed()).collect().await
    }

    #[tokio::test]
    async fn lines_survive_every_way_of_being_split() {
        let bytes =
            [frame(1, "one\n"), frame(2, "er"), frame(1, "two\r\nthr"), frame(2, "ror\n"), frame(1, "ee")]
                .concat();
        let line = |stderr, line: &str| LogLine { stderr, line: line.to_owned() };
        let expected =
            vec![line(false, "one"), line(false, "two"), line(true, "error"), line(false, "three")];
        for chunk in 1..bytes.len() {
            let got: Vec<_> = read(bytes.clone(), chunk).await.into_iter().map(Result::unwrap).collect();
            assert_eq!(got, expected, "chunks of {chunk}");
        }
    }

    #[tokio::test]
    async fn what_is_no_such_stream_is_an_error_and_no_panic() {
        for bytes in [frame(7, "x"), b"{\"cause\":\"x\"}".to_vec(), vec![1, 0, 0, 0, 255, 255, 255, 255]] {
            let got = read(bytes, 4).await;
            assert!(matches!(got[..], [Err(crate::EngineError::Protocol { .. })]), "{got:?}");
        }
    }
}
