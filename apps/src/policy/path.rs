//! Paths of the host in a manifest: each stays within one folder of the app, and looks like what it is.

use crate::{rule::Rule, yaml::shown};

/// Longest path; the kernel takes 4096 bytes for the whole of it, our folder included.
const MAX_PATH: usize = 1024;
/// Longest name in a path, the kernel's own limit.
const MAX_PART: usize = 255;
/// Folder under an app's data directory that the node keeps for itself.
pub(crate) const RESERVED: &str = ".archipelago";
/// What the sockets of container engines are called.
const SOCKETS: &[&str] =
    &["docker.sock", "podman.sock", "containerd.sock", "crio.sock", "buildkitd.sock", "podman/podman.sock"];

/// Whether a text consists of visible ASCII characters only, so that nothing in it looks like something else.
pub(crate) fn plain(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') && text.trim() == text && !text.contains('\\')
}

/// Checks a path that has to stay within its folder.
pub(crate) fn inside(path: &str) -> Result<(), (Rule, String, &'static str)> {
    let refuse = |rule, what: &str, remedy| Err((rule, format!("path {:?} {what}", shown(path)), remedy));
    let relative = "use a path within the app's own folder, like conf/nginx";
    let mut parts = path.split('/');
    if SOCKETS.iter().any(|socket| path.ends_with(socket)) {
        return refuse(
            Rule::EngineSocket,
            "is the socket of a container engine, which is refused by policy",
            "the app has to do without: whoever speaks with the engine has all rights of the node",
        );
    }
    if path.starts_with(['/', '~']) {
        return refuse(Rule::PathAbsolute, "is not within the app's own folder", relative);
    }
    if path.len() > MAX_PATH || path.split('/').any(|part| part.len() > MAX_PART) {
        return refuse(Rule::PathLength, "is too long", "use at most 255 bytes per name and 1024 in all");
    }
    if parts.any(|part| part == "..") {
        return refuse(Rule::PathTraversal, "leaves its folder", relative);
    }
    if !plain(path) || path.split('/').any(|part| matches!(part, "" | ".")) {
        return refuse(
            Rule::PathCharacters,
            "is not written plainly",
            "use visible ASCII characters, without '.', double and trailing slashes and backslashes",
        );
    }
    if path.split('/').next() == Some(RESERVED) {
        return refuse(Rule::PathReserved, "is the node's own", "use another folder");
    }
    Ok(())
}

/// Checks a path in a container: absolute, plain, and not where the kernel's own file systems are.
pub(crate) fn in_container(path: &str) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{:?} {what}", shown(path)));
    let Some(rest) = path.strip_prefix('/') else { return wrong("is no absolute path in a container") };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.split('/').any(|part| matches!(part, "" | "." | "..")) || path.contains([':', ',', '\0']) {
        return wrong("is no plain path in a container");
    }
    if path.len() > MAX_PATH {
        return wrong("is too long");
    }
    let kernel = matches!(rest.split('/').next(), Some("proc" | "sys")) || rest == "dev";
    if kernel { wrong("belongs to the kernel") } else { Ok(()) }
}
