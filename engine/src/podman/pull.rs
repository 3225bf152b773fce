//! What a pull says: layers that begin, grow and end, in bytes.

use super::{call::Call, raw::Answer};
use crate::{ProgressSink, Result};
use bytes::BytesMut;
use futures_util::StreamExt;
use serde::Deserialize;
use std::collections::BTreeMap;

/// One line of what a pull says.
#[derive(Debug, Deserialize)]
struct Report {
    #[serde(default)]
    status: String,
    #[serde(default)]
    id: String,
    #[serde(default, rename = "progressDetail")]
    detail: Detail,
    #[serde(default)]
    error: String,
}

#[derive(Debug, Default, Deserialize)]
struct Detail {
    #[serde(default)]
    current: u64,
    #[serde(default)]
    total: u64,
}

/// How far the layers are that have been heard of. Others may still come, so there is no share of the whole.
#[derive(Debug, Default)]
struct Layers {
    /// Bytes that are here and bytes in all, by the layer's id.
    known: BTreeMap<String, (u64, u64)>,
    /// Those that are here.
    done: usize,
}

impl Layers {
    fn take(&mut self, report: &Report) {
        if report.id.is_empty() {
            return;
        }
        let (here, all) = self.known.entry(report.id.clone()).or_default();
        match report.status.as_str() {
            "Download complete" | "Already exists" => {
                *here = *all;
                self.done += 1;
            }
            _ => {
                // What is said again after a broken connection does not count twice.
                *here = report.detail.current.max(*here);
                *all = report.detail.total.max(*all);
            }
        }
    }

    fn words(&self) -> String {
        let (here, all) = self.known.values().fold((0, 0), |(here, all), it| (here + it.0, all + it.1));
        let (done, known) = (self.done, self.known.len());
        format!("{} of {}, {done} of {known} parts, more may come", megabytes(here), megabytes(all))
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

/// Follows a pull to its end: lines of progress go out, an error comes back.
pub(super) async fn follow(call: &Call, mut answer: Answer, progress: &ProgressSink) -> Result<()> {
    let (mut buffer, mut layers) = (BytesMut::new(), Layers::default());
    while let Some(part) = answer.next().await {
        buffer.extend_from_slice(&part?);
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line = buffer.split_to(end + 1);
            if line.trim_ascii().is_empty() {
                continue;
            }
            let report: Report = serde_json::from_slice(&line).map_err(|error| call.not_understood(error))?;
            if !report.error.is_empty() {
                return Err(call.fault(500, &report.error));
            }
            layers.take(&report);
            if !layers.known.is_empty() {
                progress(&layers.words());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EngineError;
    use bytes::Bytes;
    use futures_util::stream;
    use std::sync::{Arc, Mutex};

    /// What Podman 4.3.1 says, without its own bars.
    const SAID: &str = concat!(
        r#"{"status":"Pulling fs layer","progressDetail":{},"id":"cb0757979ef6"}"#,
        "\n",
        r#"{"status":"Downloading","progressDetail":{"current":2129920,"total":6297600},"id":"cb0757979ef6"}"#,
        "\n",
        r#"{"status":"Pulling fs layer","progressDetail":{},"id":"0123456789ab"}"#,
        "\n",
        r#"{"status":"Downloading","progressDetail":{"current":500000,"total":1000000},"id":"0123456789ab"}"#,
        "\n",
        r#"{"status":"Download complete","progressDetail":{},"id":"cb0757979ef6"}"#,
        "\n",
    );

    async fn told(text: &'static str) -> (Result<()>, Vec<String>) {
        let call = Call::new("pull_image", "image far/x:1".into(), 10).image("far/x:1").authored();
        let said = Arc::new(Mutex::new(Vec::new()));
        let sink: ProgressSink = {
            let said = said.clone();
            Arc::new(move |line| said.lock().unwrap().push(line.to_owned()))
        };
        let parts: Vec<_> = text.as_bytes().chunks(10).map(|part| Ok(Bytes::from_static(part))).collect();
        let result = follow(&call, stream::iter(parts).boxed(), &sink).await;
        let said = said.lock().unwrap().clone();
        (result, said)
    }

    #[tokio::test]
    async fn the_bytes_of_all_layers_are_told() {
        let (result, said) = told(SAID).await;
        assert_eq!(result, Ok(()));
        assert_eq!(said[1], "2.1 MB of 6.2 MB, 0 of 1 parts, more may come");
        assert_eq!(said[3], "2.6 MB of 7.2 MB, 0 of 2 parts, more may come");
        assert_eq!(said[4], "6.7 MB of 7.2 MB, 1 of 2 parts, more may come");
    }

    #[tokio::test]
    async fn a_pull_that_fails_says_why() {
        let (result, _) = told(concat!(
            r#"{"progressDetail":{},"errorDetail":{"message":"m"},"error":"initializing source docker://far/x:1: reading manifest 1 in far/x: manifest unknown"}"#,
            "\n"
        ))
        .await;
        assert_eq!(result, Err(EngineError::ImageMissing { image: "far/x:1".into() }));
    }
}
