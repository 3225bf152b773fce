//! What was done in a container beyond starting it, kept over the lives of the actor and of the node.
//!
//! Written after it was done: who ends in between does it again, so commands of manifests have to bear that.

use crate::private;
use serde::{Deserialize, Serialize};
use std::{fs, io, path::Path};

/// What was done, in which container and which run of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Note {
    /// The engine's id of the container.
    pub(crate) container: String,
    /// Digest of the hooks whose files were copied into it.
    pub(crate) copied: Option<String>,
    /// Digest of the hooks whose commands were run in it.
    pub(crate) installed: Option<String>,
    /// Which of the secrets that the owner gives it was made with.
    pub(crate) secrets: String,
    /// When the run that the following is about was started, in milliseconds since the Unix epoch.
    pub(crate) run: Option<u64>,
    /// Its commands after the start have been run.
    pub(crate) greeted: bool,
    /// Its startup probe has succeeded.
    pub(crate) came_up: bool,
}

impl Note {
    /// The note in a file; an empty one where there is none, or none that can be read: what it would say is done again.
    pub(crate) fn read(path: &Path) -> Self {
        fs::read(path).ok().and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
    }

    /// Writes the note.
    ///
    /// # Errors
    ///
    /// When the disk refuses.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        private::write(path, &serde_json::to_vec(self).unwrap_or_default())
    }

    /// What is said of another container says nothing of this one.
    pub(crate) fn about(&mut self, container: &str) -> &mut Self {
        if self.container != container {
            *self = Self { container: container.to_owned(), ..Self::default() };
        }
        self
    }

    /// What is said of another run says nothing of this one.
    pub(crate) fn about_run(&mut self, container: &str, run: Option<u64>) -> &mut Self {
        let note = self.about(container);
        if note.run != run {
            (note.run, note.greeted, note.came_up) = (run, false, false);
        }
        note
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_container_and_another_run_begin_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web.json");
        assert_eq!(Note::read(&path), Note::default());
        let mut note = Note::default();
        note.about_run("a", Some(1)).greeted = true;
        note.about("a").installed = Some("h".into());
        note.write(&path).unwrap();
        let mut note = Note::read(&path);
        assert!(note.about_run("a", Some(1)).greeted);
        assert!(!note.about_run("a", Some(2)).greeted);
        assert_eq!(note.about("a").installed.as_deref(), Some("h"));
        assert_eq!(note.about("b").installed, None);
        fs::write(&path, "{").unwrap();
        assert_eq!(Note::read(&path), Note::default());
    }
}
