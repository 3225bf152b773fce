//! Images: what is packed for a build, and what builds and pulls say.

use super::{
    call::Call,
    raw::{Answer, encode},
};
use crate::{BuildRequest, EngineError, ProgressSink, Result};
use bytes::BytesMut;
use futures_util::StreamExt;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Component, Path, PathBuf},
};

/// The context is held in memory while it is sent.
const MAX_CONTEXT: u64 = 512 << 20;

/// Name of the pause image's build file within its context.
pub(super) const CONTAINERFILE: &str = "Containerfile";
/// Where Podman's own init program lies: it is static, and with `-P` it sleeps until it is told to end.
const CATATONIT: [&str; 5] = [
    "/usr/libexec/podman/catatonit",
    "/usr/local/libexec/podman/catatonit",
    "/usr/lib/podman/catatonit",
    "/usr/bin/catatonit",
    "/usr/local/bin/catatonit",
];

/// The context of the pause image: Podman's own init program and nothing else.
pub(super) fn pack_pause() -> Result<Vec<u8>> {
    let refused = |message: String| EngineError::Refused {
        subject: "the image of the network anchors".to_owned(),
        message,
    };
    let program = CATATONIT.iter().find(|path| Path::new(path).exists());
    let program =
        program.ok_or_else(|| refused(format!("catatonit is missing, install it: none of {CATATONIT:?}")))?;
    let steps = b"FROM scratch\nCOPY catatonit /catatonit\nENTRYPOINT [\"/catatonit\", \"-P\"]\n";
    let mut archive = tar::Builder::new(Vec::new());
    archive.mode(tar::HeaderMode::Deterministic);
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(steps.len() as u64);
    let packed = archive
        .append_data(&mut header, CONTAINERFILE, &steps[..])
        .and_then(|()| archive.append_path_with_name(program, "catatonit"))
        .and_then(|()| archive.into_inner());
    packed.map_err(|error| refused(format!("{program}: {error}")))
}

/// The query of a build.
pub(super) fn build_query(request: &BuildRequest) -> String {
    let labels: BTreeMap<_, _> = request.labels.iter().collect();
    let labels = serde_json::to_string(&labels).unwrap_or_default();
    // `networkmode=host`: the default isolation needs a network namespace that not every machine grants.
    // `pullpolicy=missing`: a base image that is here is enough.
    let args = serde_json::to_string(&request.args).unwrap_or_default();
    format!(
        "/build?t={}&dockerfile={}&labels={}&buildargs={}&networkmode=host&pullpolicy=missing&rm=true&forcerm=true",
        encode(&request.tag),
        encode(&request.dockerfile),
        encode(&labels),
        encode(&args)
    )
}

/// Packs a build's folder. Links are packed as links, and one that leads out of the folder is refused.
pub(super) fn pack(context: &Path) -> Result<Vec<u8>> {
    let refused = |path: &Path, reason: &dyn std::fmt::Display| EngineError::Refused {
        subject: format!("build context {}", context.display()),
        message: format!("{}: {reason}", path.display()),
    };
    let mut archive = tar::Builder::new(Vec::new());
    archive.mode(tar::HeaderMode::Deterministic);
    archive.follow_symlinks(false);
    let mut total = 0;
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let here = context.join(&folder);
        let mut names = fs::read_dir(&here)
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>())
            .map_err(|error| refused(&here, &error))?;
        names.sort();
        for name in names {
            let inner = folder.join(name);
            let outer = context.join(&inner);
            let meta = outer.symlink_metadata().map_err(|error| refused(&outer, &error))?;
            if meta.is_symlink() {
                let target = fs::read_link(&outer).map_err(|error| refused(&outer, &error))?;
                if leaves(&folder, &target) {
                    return Err(refused(&outer, &"the link leads out of the context"));
                }
            } else if meta.is_dir() {
                folders.push(inner.clone());
            } else if meta.is_file() {
                total += meta.len();
                if total > MAX_CONTEXT {
                    return Err(refused(context, &"the context is larger than 512 MiB"));
                }
            } else {
                return Err(refused(&outer, &"neither a file nor a folder nor a link"));
            }
            archive.append_path_with_name(&outer, &inner).map_err(|error| refused(&outer, &error))?;
        }
    }
    archive.into_inner().map_err(|error| refused(context, &error))
}

/// Whether a link in `folder` leads out of the context.
fn leaves(folder: &Path, target: &Path) -> bool {
    let mut depth = folder.components().count();
    for part in target.components() {
        match part {
            Component::Prefix(_) | Component::RootDir => return true,
            Component::CurDir => {}
            Component::ParentDir if depth == 0 => return true,
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
        }
    }
    false
}

/// One line of what a build says.
#[derive(Debug, Deserialize)]
struct Report {
    #[serde(default)]
    stream: String,
    #[serde(default)]
    error: String,
}

/// Follows a build to its end: lines of progress go out, an error comes back.
pub(super) async fn follow_build(call: &Call, mut answer: Answer, progress: &ProgressSink) -> Result<()> {
    let mut buffer = BytesMut::new();
    let mut last = String::new();
    while let Some(part) = answer.next().await {
        buffer.extend_from_slice(&part?);
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line = buffer.split_to(end + 1);
            if line.trim_ascii().is_empty() {
                continue;
            }
            let report: Report = serde_json::from_slice(&line).map_err(|error| call.not_understood(error))?;
            if !report.error.is_empty() {
                return Err(build_error(call, &report.error));
            }
            say(&report.stream, progress);
            if !report.stream.trim().is_empty() {
                last = report.stream;
            }
        }
    }
    // A build ends with the image's id. A connection that broke before looks like an orderly end otherwise.
    let last = last.trim();
    if last.len() == 64 && last.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(EngineError::Unreachable { message: format!("the build broke off after: {last}") })
}

/// Sends the lines of a text.
pub(super) fn say(text: &str, progress: &ProgressSink) {
    for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        progress(line);
    }
}

fn build_error(call: &Call, message: &str) -> EngineError {
    let message = message.trim();
    // The base image of a FROM line.
    if let Some(image) = message.strip_prefix("creating build container: ")
        && let Some(image) = image.strip_suffix(": image not known")
    {
        return EngineError::ImageMissing { image: image.to_owned() };
    }
    if let Some((_, source)) = message.split_once("initializing source docker://") {
        let image = source.split(": ").next().unwrap_or(source);
        return call.clone().image(image).fault(500, message);
    }
    call.fault(500, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use futures_util::stream;
    use std::{
        os::unix::fs::symlink,
        sync::{Arc, Mutex},
    };

    #[test]
    fn links_within_the_context_are_packed_and_others_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("file"), "x").unwrap();
        symlink("../file", folder.path().join("sub/inside")).unwrap();
        let packed = pack(folder.path()).unwrap();
        let mut archive = tar::Archive::new(&packed[..]);
        let names: Vec<_> =
            archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().into_owned()).collect();
        assert_eq!(names, ["file", "sub", "sub/inside"].map(PathBuf::from));
        for target in ["/etc/passwd", "../../etc/passwd", "x/../../../y"] {
            let link = folder.path().join("sub/out");
            symlink(target, &link).unwrap();
            assert!(matches!(pack(folder.path()), Err(EngineError::Refused { .. })), "{target}");
            fs::remove_file(link).unwrap();
        }
    }

    async fn follow(lines: &'static str) -> (Result<()>, Vec<String>) {
        let call = Call::new("build_image", "image localhost/x:1".into(), 10).authored();
        let said = Arc::new(Mutex::new(Vec::new()));
        let sink: ProgressSink = {
            let said = said.clone();
            Arc::new(move |line| said.lock().unwrap().push(line.to_owned()))
        };
        let parts: Vec<_> = lines.as_bytes().chunks(10).map(|part| Ok(Bytes::from_static(part))).collect();
        let result = follow_build(&call, stream::iter(parts).boxed(), &sink).await;
        let said = said.lock().unwrap().clone();
        (result, said)
    }

    #[tokio::test]
    async fn a_build_is_done_when_it_says_the_id() {
        let (result, said) = follow(concat!(
            r#"{"stream":"STEP 1/1: FROM scratch\n"}"#,
            "\n",
            r#"{"stream":"0549fa70a8b9409a6ec9048c39d6f6c6496afa93882fe1acbd2ce1e56c9a5a40\n"}"#,
            "\n"
        ))
        .await;
        assert_eq!(result, Ok(()));
        assert_eq!(said[0], "STEP 1/1: FROM scratch");
        let (result, _) = follow("{\"stream\":\"STEP 1/1: FROM scratch\\n\"}\n").await;
        assert!(matches!(result, Err(EngineError::Unreachable { .. })));
    }

    #[tokio::test]
    async fn a_build_that_fails_says_why() {
        let (result, said) = follow(concat!(
            r#"{"stream":"STEP 2/2: RUN [\"/bin/busybox\",\"false\"]\n"}"#,
            "\n",
            r#"{"errorDetail":{"message":"m"},"error":"building at STEP \"RUN /bin/busybox false\": while running runtime: exit status 1\n"}"#,
            "\n"
        ))
        .await;
        assert_eq!(said.len(), 1);
        assert!(matches!(result, Err(EngineError::Refused { .. })), "{result:?}");
        let (result, _) =
            follow("{\"error\":\"creating build container: localhost/nothere:1: image not known\\n\"}\n")
                .await;
        assert_eq!(result, Err(EngineError::ImageMissing { image: "localhost/nothere:1".into() }));
    }
}
