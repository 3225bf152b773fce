//! Tables: aligned columns, nothing else.

use crate::{
    fail::Failure,
    out::{Out, Tone},
};

/// Prints a head and rows; the last column is not padded. `tone` paints a cell, by row and column.
pub(crate) fn print<const N: usize>(
    head: [&str; N],
    rows: &[[String; N]],
    tone: impl Fn(usize, usize) -> Option<Tone>,
    out: &mut Out,
) -> Result<(), Failure> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: [String; N]| cells.join("  ").trim_end().to_owned();
    let padded = |cell: &str, column: usize| format!("{cell:0$}", widths[column]);
    let text = line(std::array::from_fn(|column| padded(head[column], column)));
    let text = out.paint(Tone::Faint, &text);
    out.line(&text)?;
    for (at, row) in rows.iter().enumerate() {
        // Padded before it is painted: colours have no width.
        let cell = |column: usize| {
            let text = padded(&row[column], column);
            tone(at, column).map_or(text.clone(), |tone| out.paint(tone, &text))
        };
        let text = line(std::array::from_fn(cell));
        out.line(&text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out::tests::Shared;

    #[test]
    fn columns_are_aligned() {
        let shared = Shared::default();
        let rows = [["a".into(), "1".into()], ["long".into(), "2".into()]];
        print(["NAME", "N"], &rows, |_, _| None, &mut shared.out(false, false)).unwrap();
        assert_eq!(shared.text(), "NAME  N\na     1\nlong  2\n");
    }
}
