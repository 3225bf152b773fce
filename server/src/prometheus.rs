//! `GET /metrics`, in Prometheus' text format.

use crate::{shared::Shared, stats::LAG_BOUNDS_MS};
use actors::OPERATION_BOUNDS;
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use protocol::StreamId;
use serde_json::Value;
use std::{collections::BTreeMap, fmt::Write, sync::Arc};

/// The format's own media type.
const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /metrics`.
pub(crate) async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    ([(header::CONTENT_TYPE, TYPE)], text(&shared)).into_response()
}

struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a text does not fail.
        let _ = writeln!(self.0, "# HELP archipelago_{name} {help}\n# TYPE archipelago_{name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> =
            labels.iter().map(|(key, text)| format!("{key}=\"{}\"", escape(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "archipelago_{name}{labels} {value}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, kind, help);
        self.value(name, &[], value);
    }

    /// A histogram of buckets that are not cumulative yet.
    fn histogram(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        bounds: impl Iterator<Item = f64>,
        buckets: &[u64],
        count: u64,
        sum: f64,
    ) {
        let mut below = 0;
        for (bound, bucket) in bounds.zip(buckets) {
            below += bucket;
            let bound = bound.to_string();
            let labels: Vec<_> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            self.value(&format!("{name}_bucket"), &labels, below);
        }
        let all: Vec<_> = labels.iter().copied().chain([("le", "+Inf")]).collect();
        self.value(&format!("{name}_bucket"), &all, count);
        self.value(&format!("{name}_sum"), labels, sum);
        self.value(&format!("{name}_count"), labels, count);
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

fn text(shared: &Shared) -> String {
    let mut out = Text(String::new());
    let board = shared.node.board();
    out.family("build_info", "gauge", "Version of the node, as a label.");
    out.value("build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    out.single("ready", "gauge", "Whether the node knows its apps.", u8::from(shared.node.is_ready()));
    sockets(&mut out, shared);
    out.family("stream_head", "counter", "Sequence of each stream.");
    for (stream, head) in board.heads() {
        out.value("stream_head", &[("stream", stream.as_str())], head);
    }
    out.value("stream_head", &[("stream", "events")], board.journal().head());
    apps(&mut out, &rows(shared, StreamId::Apps));
    subsystems(&mut out, &rows(shared, StreamId::Node));
    counted(&mut out, shared);
    out.0
}

fn rows(shared: &Shared, stream: StreamId) -> Vec<Value> {
    let (_, rows) = shared.node.board().snapshot(stream);
    rows.iter().filter_map(|row| serde_json::from_str(row).ok()).collect()
}

fn sockets(out: &mut Text, shared: &Shared) {
    let totals = shared.stats.totals();
    out.single("sockets", "gauge", "Open WebSockets.", totals.open);
    out.single("sockets_opened_total", "counter", "WebSockets since the start.", totals.opened);
    out.single("frames_sent_total", "counter", "Frames sent over WebSockets.", totals.frames);
    out.single("frame_bytes_sent_total", "counter", "Bytes of these frames.", totals.bytes);
    out.single("logins_refused_total", "counter", "Logins that were refused.", totals.logins_refused);
    out.family(
        "stream_lag_seconds",
        "histogram",
        "Time from seeing a change to sending it, slow clients included.",
    );
    let bounds = LAG_BOUNDS_MS.iter().map(|ms| seconds(*ms));
    let sum = totals.lag_sum_us as f64 / 1_000_000.0;
    out.histogram("stream_lag_seconds", &[], bounds, &totals.lag, totals.lag_count, sum);
}

fn apps(out: &mut Text, apps: &[Value]) {
    let mut phases: BTreeMap<&str, u64> = BTreeMap::new();
    for app in apps {
        *phases.entry(app["phase"].as_str().unwrap_or("unknown")).or_default() += 1;
    }
    out.family("apps", "gauge", "Apps by phase.");
    for (phase, count) in phases {
        out.value("apps", &[("phase", phase)], count);
    }
    out.family("app_phase", "gauge", "1 for the phase that an app is in.");
    for app in apps {
        let id = app["id"].as_str().unwrap_or_default();
        out.value("app_phase", &[("app", id), ("phase", app["phase"].as_str().unwrap_or("unknown"))], 1);
    }
}

fn subsystems(out: &mut Text, rows: &[Value]) {
    out.family("subsystem_ok", "gauge", "Whether a subsystem of the node works.");
    for row in rows {
        let ok = u8::from(row["ok"].as_bool().unwrap_or(false));
        out.value("subsystem_ok", &[("subsystem", row["key"].as_str().unwrap_or_default())], ok);
    }
}

fn counted(out: &mut Text, shared: &Shared) {
    let counters = shared.node.counters();
    out.family("restarts_total", "counter", "Restarts by app (empty: the node's own actors) and cause.");
    for ((app, cause), count) in counters.restarts() {
        out.value("restarts_total", &[("app", &app), ("cause", cause)], count);
    }
    out.family("operation_duration_seconds", "histogram", "How long operations took, by kind and outcome.");
    for ((kind, outcome), took) in counters.operations() {
        let bounds = OPERATION_BOUNDS.iter().map(|bound| *bound as f64);
        let labels = [("kind", kind), ("outcome", outcome)];
        let sum = seconds(took.sum_ms);
        out.histogram("operation_duration_seconds", &labels, bounds, &took.buckets, took.count, sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_are_cumulative_and_labels_escaped() {
        let mut out = Text(String::new());
        out.histogram("x", &[("app", "a\"b")], [0.5, 1.0].into_iter(), &[2, 3], 7, 4.5);
        let expected = "archipelago_x_bucket{app=\"a\\\"b\",le=\"0.5\"} 2\n\
                        archipelago_x_bucket{app=\"a\\\"b\",le=\"1\"} 5\n\
                        archipelago_x_bucket{app=\"a\\\"b\",le=\"+Inf\"} 7\n\
                        archipelago_x_sum{app=\"a\\\"b\"} 4.5\n\
                        archipelago_x_count{app=\"a\\\"b\"} 7\n";
        assert_eq!(out.0, expected);
    }
}
