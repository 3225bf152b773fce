//! `archy tree`: the supervision tree.

use crate::{
    fail::Failure,
    out::{Out, Tone, word},
};
use protocol::{Row, StreamId, TreeState, TreeView, client::Client};

pub(crate) async fn run(client: &Client, out: &mut Out) -> Result<(), Failure> {
    let snapshot = client.snapshot(StreamId::Tree).await?;
    let rows = snapshot.items.into_iter().filter_map(|row| match row {
        Row::Tree(row) => Some(*row),
        _ => None,
    });
    let rows: Vec<TreeView> = rows.collect();
    if out.json() {
        return rows.iter().try_for_each(|row| out.object(row));
    }
    let known = |path: &str| rows.iter().any(|row| row.path == path);
    // A row whose supervisor is not there (yet) is shown as a root rather than not at all.
    let roots = rows.iter().filter(|row| !row.parent.as_deref().is_some_and(known));
    for root in sorted(roots) {
        print(root, &rows, "", "", out)?;
    }
    Ok(())
}

fn sorted<'r>(rows: impl Iterator<Item = &'r TreeView>) -> Vec<&'r TreeView> {
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by_key(|row| (row.order, &row.path));
    rows
}

fn print(row: &TreeView, all: &[TreeView], first: &str, rest: &str, out: &mut Out) -> Result<(), Failure> {
    let text = format!("{first}{}", describe(row, out));
    out.line(&text)?;
    let children = sorted(all.iter().filter(|child| child.parent.as_deref() == Some(&*row.path)));
    for (at, child) in children.iter().enumerate() {
        let last = at + 1 == children.len();
        let first = format!("{rest}{}", if last { "└─ " } else { "├─ " });
        let rest = format!("{rest}{}", if last { "   " } else { "│  " });
        print(child, all, &first, &rest, out)?;
    }
    Ok(())
}

/// `cache  running, permanent, restarts 2, last exit: killed`.
fn describe(row: &TreeView, out: &Out) -> String {
    let name = match &row.parent {
        Some(parent) => row.path.strip_prefix(&format!("{parent}/")).unwrap_or(&row.path),
        None => &row.path,
    };
    let tone = match row.state {
        TreeState::Running => Tone::Good,
        TreeState::Undefined => Tone::Faint,
        TreeState::Starting | TreeState::Stopping | TreeState::Restarting => Tone::Busy,
        TreeState::Parked | TreeState::Unkillable => Tone::Bad,
    };
    let mut text = format!("{name}  {}", out.paint(tone, &word(&row.state)));
    for part in
        [row.strategy.as_deref(), Some(&*row.restart)].into_iter().flatten().filter(|part| !part.is_empty())
    {
        text = format!("{text}, {part}");
    }
    if let Some(intensity) = row.intensity.as_ref().filter(|intensity| intensity.used > 0) {
        let seconds = intensity.window_ms / 1_000;
        text = format!("{text}, intensity {}/{} in {seconds} s", intensity.used, intensity.max);
    }
    if row.restarts > 0 {
        text = format!("{text}, restarts {}", row.restarts);
    }
    match &row.last_exit {
        Some(exit) => format!("{text}, last exit: {exit}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{out::tests::Shared, watch::tests::process};

    #[test]
    fn children_stand_below_their_supervisor_in_start_order() {
        let mut rows =
            vec![process("node", None), process("node/a", Some("node")), process("node/b", Some("node"))];
        rows.push(process("node/b/c", Some("node/b")));
        rows[1].order = 2;
        rows[3].restarts = 2;
        rows[3].last_exit = Some("killed".into());
        rows[0].strategy = Some("one_for_one".into());
        let shared = Shared::default();
        print(&rows[0], &rows, "", "", &mut shared.out(false, false)).unwrap();
        let expected = "\
node  running, one_for_one, permanent
├─ b  running, permanent
│  └─ c  running, permanent, restarts 2, last exit: killed
└─ a  running, permanent
";
        assert_eq!(shared.text(), expected);
    }
}
