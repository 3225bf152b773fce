//! `archy app render`.

use super::{context, valid, write};
use crate::{cli::Format, fail::Failure, out::Out};
use apps::ExportFile;
use std::{fs, path::Path};

pub(super) fn run(file: &Path, format: Format, dir: Option<&Path>, out: &mut Out) -> Result<(), Failure> {
    let manifest = valid(file, out)?;
    let rendered = manifest.render(&context(&manifest));
    let files = match format {
        Format::Podman => {
            let text = serde_json::to_string_pretty(&manifest.to_requests(&rendered));
            let text = text.map_err(|error| Failure::Output(error.into()))?;
            vec![ExportFile { name: "podman.json".into(), text: text + "\n" }]
        }
        Format::Quadlet => manifest.to_quadlet(&rendered),
        Format::Compose => vec![manifest.to_compose()],
        Format::Kube => vec![manifest.to_kube(&rendered)],
    };
    if let Some(dir) = dir {
        fs::create_dir_all(dir).map_err(|error| Failure::Unwritable(dir.to_owned(), error))?;
        for file in &files {
            write(&dir.join(&file.name), &file.text)?;
            out.line(&dir.join(&file.name).display().to_string())?;
        }
        return Ok(());
    }
    if out.json() {
        let all: serde_json::Map<_, _> =
            files.into_iter().map(|file| (file.name, file.text.into())).collect();
        return out.object(&all);
    }
    let many = files.len() > 1;
    for file in files {
        if many {
            out.line(&format!("# file: {}", file.name))?;
        }
        out.bytes(file.text.as_bytes())?;
        if many {
            out.line("")?;
        }
    }
    Ok(())
}
