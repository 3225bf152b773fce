//! `archy app new`.

use super::{import, write};
use crate::{fail::Failure, out::Out};
use protocol::AppId;
use std::{fs, path::Path};

const MANIFEST: &str = include_str!("new.yml");

pub(super) fn run(id: &AppId, from: Option<&Path>, dir: &Path, out: &mut Out) -> Result<(), Failure> {
    let folder = dir.join(id.as_str());
    let file = folder.join("manifest.yml");
    let name = capital(id.as_str());
    let text = match from {
        None => MANIFEST.replace("my-app", id.as_str()).replace("My App", &name),
        Some(compose) => {
            let manifest = import::read(compose, Some(id), &[], out)?;
            let mut text = manifest.to_yaml();
            text.insert_str(
                0,
                "# What the lint still asks for is missing here: archy app lint tells what and why.\n",
            );
            text
        }
    };
    fs::create_dir_all(&folder).map_err(|error| Failure::Unwritable(folder.clone(), error))?;
    if file.exists() {
        let error = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        return Err(Failure::Unwritable(file, error));
    }
    write(&file, &text)?;
    write(&folder.join("icon.svg"), &icon(&name))?;
    if out.json() {
        return out.object(&serde_json::json!({"manifest": file}));
    }
    out.line(&format!("{} is made; next: archy app lint {}", file.display(), folder.display()))
}

fn capital(id: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_uppercase().chain(letters).collect::<String>())
            .unwrap_or_default()
    };
    id.split('-').map(word).collect::<Vec<_>>().join(" ")
}

/// The first letter on a circle.
fn icon(name: &str) -> String {
    let letter = name.chars().next().unwrap_or('?');
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 96 96\" role=\"img\">\n  \
         <circle cx=\"48\" cy=\"48\" r=\"46\" fill=\"#334155\"/>\n  \
         <text x=\"48\" y=\"62\" text-anchor=\"middle\" font-family=\"sans-serif\" font-size=\"40\" fill=\"#fff\">{letter}</text>\n</svg>\n"
    )
}
