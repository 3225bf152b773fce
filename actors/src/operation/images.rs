//! Images: pulled when they are missing, built when they are missing or their context has changed.

use super::{engine_error, progress::Progress};
use crate::stack::Plan;
use apps::{ImageSource, RenderedService, manifest::PullPolicy};
use engine::{BuildRequest, EngineError, ProgressSink};
use protocol::OpError;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Label of a built image: BLAKE3 of its context.
const LABEL_CONTEXT: &str = "archipelago.context";

/// Sees to it that all images of a version of the app are there.
pub(super) async fn ensure(p: &Progress, plan: &Plan) -> Result<(), OpError> {
    let services = &plan.rendered.services;
    for (done, service) in services.iter().enumerate() {
        let part = Part { p, service, done, of: services.len() };
        part.begin();
        match &service.image {
            ImageSource::Pull => pull(&part).await?,
            ImageSource::Build { context, dockerfile, args } => {
                build(&part, (context, dockerfile, args)).await?;
            }
        }
    }
    Ok(())
}

/// One image of several.
struct Part<'a> {
    p: &'a Progress,
    service: &'a RenderedService,
    done: usize,
    of: usize,
}

impl Part<'_> {
    /// Of how many images how many are there is known; of how many bytes is not before the last one.
    fn begin(&self) {
        let words = format!("image {} of {}: {}", self.done + 1, self.of, self.service.spec.image);
        #[expect(clippy::cast_precision_loss, reason = "a share for people; totals are small")]
        let share = self.done as f32 / self.of.max(1) as f32;
        self.p.share(words, share);
    }

    fn lines(&self) -> ProgressSink {
        lines(self.p)
    }
}

fn lines(p: &Progress) -> ProgressSink {
    let p = p.clone();
    Arc::new(move |line: &str| {
        let line: String = line.trim().chars().filter(|c| !c.is_control()).take(200).collect();
        if !line.is_empty() {
            p.detail(line);
        }
    })
}

async fn pull(part: &Part<'_>) -> Result<(), OpError> {
    let (engine, service) = (&part.p.ctx.engine, part.service);
    let image = &service.spec.image;
    // Those that are asked for every time are.
    if service.pull_policy != PullPolicy::Always {
        if engine.image_present(image).await.map_err(|e| engine_error(&e))? {
            return Ok(());
        }
        if service.pull_policy == PullPolicy::Never {
            return Err(OpError {
                hint: Some("put the image on this machine: the manifest says that it is never pulled".into()),
                ..engine_error(&EngineError::ImageMissing { image: image.clone() })
            });
        }
    }
    engine.pull_image(image, part.lines()).await.map_err(|e| engine_error(&e))
}

async fn build(
    part: &Part<'_>,
    (context, dockerfile, args): (&Path, &str, &BTreeMap<String, String>),
) -> Result<(), OpError> {
    let (p, service) = (part.p, part.service);
    let (engine, image) = (&p.ctx.engine, &service.spec.image);
    let folder = context.to_owned();
    let wrong = |error: io::Error| OpError {
        code: "build_context".into(),
        message: format!("the build context {} cannot be read: {error}", context.display()),
        hint: Some("see that the folder is whole and readable".into()),
        retryable: false,
    };
    let hash = tokio::task::spawn_blocking(move || hash_of(&folder)).await;
    let hash = hash.map_err(|error| wrong(io::Error::other(error)))?.map_err(wrong)?;
    // The same folder with other arguments is another image.
    let hash = match serde_json::to_vec(args) {
        Ok(json) if !args.is_empty() => {
            blake3::Hasher::new().update(hash.as_bytes()).update(&json).finalize().to_hex().to_string()
        }
        _ => hash,
    };
    let anew = service.pull_policy == PullPolicy::Build;
    if !anew && engine.image_present(image).await.map_err(|e| engine_error(&e))? {
        let labels = engine.image_labels(image).await.map_err(|e| engine_error(&e))?;
        if labels.get(LABEL_CONTEXT) == Some(&hash) {
            return Ok(());
        }
        // The same reference will be another image: a container of it has to be made anew.
        let service = service.service.clone();
        p.note(move |course| course.changed.extend([service])).await?;
    }
    let request = BuildRequest {
        context: context.to_owned(),
        dockerfile: dockerfile.to_owned(),
        args: args.clone(),
        tag: image.clone(),
        labels: BTreeMap::from([(LABEL_CONTEXT.to_owned(), hash)]),
    };
    engine.build_image(&request, part.lines()).await.map_err(|e| engine_error(&e))
}

/// BLAKE3 over names, kinds and contents of everything in a folder.
fn hash_of(folder: &Path) -> io::Result<String> {
    let mut hash = blake3::Hasher::new();
    let mut open: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        let meta = fs::symlink_metadata(&path)?;
        let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
        hash.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
        if meta.is_dir() {
            let mut below =
                fs::read_dir(&path)?.map(|e| e.map(|e| e.path())).collect::<io::Result<Vec<_>>>()?;
            below.sort();
            open.extend(below);
        } else if meta.is_file() {
            let content = fs::read(&path)?;
            hash.update(&(content.len() as u64).to_le_bytes()).update(&content);
        } else {
            let target = fs::read_link(&path)?;
            hash.update(target.to_string_lossy().as_bytes());
        }
    }
    Ok(hash.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_follows_names_and_contents() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("sub/a"), "1").unwrap();
        let first = hash_of(dir.path()).unwrap();
        assert_eq!(hash_of(dir.path()).unwrap(), first);
        fs::write(dir.path().join("sub/a"), "2").unwrap();
        let second = hash_of(dir.path()).unwrap();
        assert_ne!(first, second);
        fs::rename(dir.path().join("sub/a"), dir.path().join("sub/b")).unwrap();
        assert_ne!(second, hash_of(dir.path()).unwrap());
    }
}
