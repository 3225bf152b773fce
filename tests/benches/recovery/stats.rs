//! Figures, bars, and how both are shown.

use serde_json::{Value, json};
use std::time::Duration;

/// Samples of one measurement.
#[derive(Debug, Default, Clone)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// The sample below which this share of all lies, in milliseconds.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort();
        let rank = (share / 100.0 * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.max(1) - 1).map_or(f64::NAN, |sample| sample.as_secs_f64() * 1e3)
    }
}

/// What a run found.
#[derive(Debug, Default)]
pub(crate) struct Results {
    figures: serde_json::Map<String, Value>,
    missed: Vec<String>,
}

impl Results {
    /// Shows samples.
    pub(crate) fn samples(&mut self, name: &str, samples: &Samples) {
        let [p50, p95, p99] = [50.0, 95.0, 99.0].map(|share| samples.percentile(share));
        println!("{name:<58} p50 {p50:>7.1}  p95 {p95:>7.1}  p99 {p99:>7.1} ms  ({} times)", samples.0.len());
        self.figures.insert(
            name.to_owned(),
            json!({"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "count": samples.0.len()}),
        );
    }

    /// Shows one figure.
    pub(crate) fn figure(&mut self, name: &str, value: f64, unit: &str) {
        println!("{name:<58} {value:>11.2} {unit}");
        self.figures.insert(name.to_owned(), json!({"value": value, "unit": unit}));
    }

    /// Shows whether a figure is not above what it may be.
    pub(crate) fn bar(&mut self, name: &str, value: f64, at_most: f64) {
        let good = value <= at_most;
        println!("{} {name}: {value:.2}, at most {at_most:.2}", if good { "pass" } else { "MISS" });
        self.figures
            .insert(format!("bar: {name}"), json!({"value": value, "at_most": at_most, "pass": good}));
        if !good {
            self.missed.push(name.to_owned());
        }
    }

    /// Prints all as JSON, and tells whether all bars were held.
    pub(crate) fn finish(self) -> bool {
        println!("{}", Value::Object(self.figures));
        if !self.missed.is_empty() {
            println!("bars missed: {}", self.missed.join(", "));
        }
        self.missed.is_empty()
    }
}
