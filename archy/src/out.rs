//! Standard output: lines, JSON, colours, and one live line on a terminal.

use crate::fail::Failure;
use serde::Serialize;
use std::{
    env,
    io::{self, IsTerminal, Write},
};

/// Colours by meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Busy,
    Bad,
    Faint,
}

/// Where a command prints to.
pub(crate) struct Out {
    to: Box<dyn Write>,
    json: bool,
    terminal: bool,
    colour: bool,
    /// A live line stands and must be wiped before anything else is printed.
    live: bool,
}

impl Out {
    pub(crate) fn stdout(json: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let colour = terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { to: Box::new(io::stdout()), json, terminal, colour, live: false }
    }

    #[cfg(test)]
    pub(crate) fn test(to: Box<dyn Write>, json: bool, terminal: bool) -> Self {
        Self { to, json, terminal, colour: terminal, live: false }
    }

    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Whether a person looks on.
    pub(crate) fn terminal(&self) -> bool {
        self.terminal
    }

    /// Prints a line, at once: who reads a pipe wants to know now.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.wipe()?;
        writeln!(self.to, "{text}")?;
        Ok(self.to.flush()?)
    }

    /// Prints bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.to.write_all(bytes)?;
        Ok(self.to.flush()?)
    }

    /// Prints a value as JSON on one line.
    pub(crate) fn object(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(|error| Failure::Output(error.into()))?;
        self.line(&text)
    }

    /// Replaces the live line; on a terminal only.
    pub(crate) fn live(&mut self, text: &str) -> Result<(), Failure> {
        if self.terminal {
            self.wipe()?;
            write!(self.to, "{text}")?;
            self.to.flush()?;
            self.live = true;
        }
        Ok(())
    }

    fn wipe(&mut self) -> Result<(), Failure> {
        if std::mem::take(&mut self.live) {
            write!(self.to, "\r\x1b[2K")?;
        }
        Ok(())
    }

    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => 32,
            Tone::Busy => 33,
            Tone::Bad => 31,
            Tone::Faint => 2,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// A note beside the output, for people; also in a pipe, so that what is printed stays pure.
pub(crate) fn note(text: &str) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(io::stderr(), "archy: {text}");
}

/// The word that a value has on the wire.
pub(crate) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "?".into(),
    }
}

/// A moment of the node's clock as time of day, UTC.
pub(crate) fn time(at_ms: u64) -> String {
    let (seconds, ms) = (at_ms / 1_000, at_ms % 1_000);
    let (h, m, s) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{h:02}:{m:02}:{s:02}.{ms:03}")
}

/// A length of time, coarser the longer it is.
pub(crate) fn span(ms: u64) -> String {
    let s = ms / 1_000;
    match s {
        0..10 => format!("{s}.{} s", ms % 1_000 / 100),
        10..120 => format!("{s} s"),
        120..7_200 => format!("{} min", s / 60),
        7_200..172_800 => format!("{} h", s / 3_600),
        _ => format!("{} d", s / 86_400),
    }
}

/// The clock of this machine.
pub(crate) fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// A writer whose content can be looked at.
    #[derive(Clone, Default)]
    pub(crate) struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Shared {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }

        pub(crate) fn out(&self, json: bool, terminal: bool) -> Out {
            Out::test(Box::new(self.clone()), json, terminal)
        }
    }

    #[test]
    fn times_and_spans_read_well() {
        assert_eq!(time(1_795_240_801_123), "06:00:01.123");
        for (ms, text) in
            [(0, "0.0 s"), (1_250, "1.2 s"), (42_000, "42 s"), (125_000, "2 min"), (7_200_000, "2 h")]
        {
            assert_eq!(span(ms), text);
        }
        assert_eq!(span(200_000_000), "2 d");
    }

    #[test]
    fn a_live_line_is_wiped_on_a_terminal_and_absent_in_a_pipe() {
        let (pipe, terminal) = (Shared::default(), Shared::default());
        for (shared, is_terminal) in [(&pipe, false), (&terminal, true)] {
            let mut out = shared.out(false, is_terminal);
            out.live("50 %").unwrap();
            out.line("done").unwrap();
        }
        assert_eq!(pipe.text(), "done\n");
        assert_eq!(terminal.text(), "50 %\r\x1b[2Kdone\n");
    }

    #[test]
    fn colours_are_for_terminals() {
        let shared = Shared::default();
        assert_eq!(shared.out(false, false).paint(Tone::Bad, "x"), "x");
        assert_eq!(shared.out(false, true).paint(Tone::Bad, "x"), "\x1b[31mx\x1b[0m");
    }
}
