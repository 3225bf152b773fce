//! `archy node`: how the node's own parts are.

use crate::{
    fail::Failure,
    out::{Out, Tone, now_ms, span},
    table,
};
use protocol::{NodeView, Row, StreamId, client::Client};

pub(crate) async fn run(client: &Client, out: &mut Out) -> Result<(), Failure> {
    let rows = client.snapshot(StreamId::Node).await?.items;
    let parts: Vec<NodeView> = rows
        .into_iter()
        .filter_map(|row| match row {
            Row::Node(part) => Some(*part),
            _ => None,
        })
        .collect();
    if out.json() {
        return parts.iter().try_for_each(|part| out.object(part));
    }
    let now = now_ms();
    let cells: Vec<[String; 4]> = parts
        .iter()
        .map(|part| {
            let last = part.last_ok.map_or_else(|| "-".into(), |at| span(now.saturating_sub(at)));
            let state = if part.ok { "ok" } else { "failing" };
            [part.key.clone(), state.into(), last, part.detail.clone()]
        })
        .collect();
    let tone =
        |row: usize, column: usize| (column == 1).then(|| if parts[row].ok { Tone::Good } else { Tone::Bad });
    table::print(["PART", "STATE", "LAST OK", "DETAIL"], &cells, tone, out)
}
