//! Completions and manual pages, from the definition of the commands.

use crate::{cli::Cli, fail::Failure, out::Out};
use clap::CommandFactory;
use clap_complete::Shell;
use std::{fs, path::Path};

pub(crate) fn completions(shell: Shell, out: &mut Out) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "archy", &mut text);
    out.bytes(&text)
}

/// Writes `archy.1` and a page per command.
pub(crate) fn pages(dir: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::Unwritable(dir.to_owned(), error);
    fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), dir).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out::tests::Shared;

    #[test]
    fn completions_and_pages_name_the_commands() {
        let shared = Shared::default();
        completions(Shell::Bash, &mut shared.out(false, false)).unwrap();
        assert!(shared.text().contains("uninstall"));
        let dir = tempfile::tempdir().unwrap();
        pages(dir.path()).unwrap();
        for page in ["archy.1", "archy-token-create.1"] {
            let text = fs::read_to_string(dir.path().join(page)).unwrap();
            assert!(text.contains(".TH"), "{page}");
        }
    }
}
