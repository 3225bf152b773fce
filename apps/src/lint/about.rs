//! Why each rule of advice is there, and how it is mended.

use super::Level;
use crate::rule::{Area, Rule};

/// What there is to know of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// The rule.
    pub rule: Rule,
    /// How bad it is.
    pub level: Level,
    /// What goes wrong otherwise.
    pub why: &'static str,
    /// What to do.
    pub mend: &'static str,
    /// Whether there is a change of the text that is safe, at least where the text is simple.
    pub fix: bool,
}

impl About {
    /// All rules of advice.
    pub fn all() -> impl Iterator<Item = Self> {
        Rule::ALL.iter().filter_map(|rule| Self::of(*rule))
    }

    /// What there is to know of a rule; `None` for one that refuses a manifest.
    pub fn of(rule: Rule) -> Option<Self> {
        if rule.area() != Area::Lint {
            return None;
        }
        let (level, why, mend) = text(rule);
        let fix = matches!(rule, Rule::ShortImage | Rule::StartedOnly | Rule::ShellProbe | Rule::ShortGrace);
        Some(Self { rule, level, why, mend, fix })
    }
}

fn text(rule: Rule) -> (Level, &'static str, &'static str) {
    use Level::{Error, Note, Warning};
    match rule {
        Rule::LiteralPassword => (
            Error,
            "A password in the manifest is the same on every node and known to everybody who reads the catalog.",
            "let the node generate it: secrets: {name: {generate: {bytes: 24}}}, and hand it over as a file",
        ),
        Rule::UrlPassword => (
            Error,
            "An address with a password in it is a password in the manifest, and it ends up in logs.",
            "hand the password over as a secret, or write the address into a file under configs: with {{secret:name}}",
        ),
        Rule::ImageDigest => (
            Note,
            "A tag can be moved to another image; a digest cannot. Signed catalogs add the digests when they are made.",
            "add @sha256:... behind the tag",
        ),
        Rule::LatestTag => (
            Error,
            "The tag latest means another image every other week: nodes differ, and an update has nothing to go back to.",
            "name a version",
        ),
        Rule::MovingTag => (
            Warning,
            "A tag without a number, such as stable, is moved by its publisher: nodes that install later get something else.",
            "name a version",
        ),
        Rule::ShortImage => (
            Warning,
            "Without its registry the engine guesses where an image comes from, by settings that differ between machines.",
            "write the whole name, such as docker.io/library/nginx:1.29",
        ),
        Rule::NoHealth => (
            Error,
            "Without a probe a service counts as working from its first moment, also when it never answers; an update of it \
             cannot be verified.",
            "add probes.readiness, or a healthcheck",
        ),
        Rule::ShellProbe => (
            Warning,
            "A check that is a text runs in the image's shell. Small images have none, and the check then always fails.",
            "write it as [CMD, program, ...]",
        ),
        Rule::HastyLiveness => (
            Warning,
            "A failed liveness probe restarts the container. Within half a minute it kills what is only busy, which makes it \
             busier.",
            "let periodSeconds times failureThreshold be 30 or more",
        ),
        Rule::StartedOnly => (
            Warning,
            "A database runs long before it answers. Who waits for its start only comes too early, fails and is restarted.",
            "wait for condition: service_healthy",
        ),
        Rule::NoMain => (
            Warning,
            "The page shows a button for the interface main. Without it people have to guess the port.",
            "add interfaces: {main: {service: ..., port: ...}}",
        ),
        Rule::ExposedDatabase => (
            Error,
            "A published port without an address is open to the whole network. A database is for its app alone.",
            "remove the port, or add host_ip: 127.0.0.1",
        ),
        Rule::SharedAlias => (
            Error,
            "On a network that apps share, a name such as db is answered by whichever app has one: data end up in the wrong \
             database.",
            "keep the service on a network of the app's own, or give it a name that holds the app's",
        ),
        Rule::LocalhostPeer => (
            Warning,
            "Every service is a container with a network of its own: localhost is itself, never another service.",
            "use the other service's name",
        ),
        Rule::HostAddress => (
            Warning,
            "An address of a private network is right on one machine only.",
            "use {{HOST_IP}}, {{HOST_MDNS}} or {{NETWORK_GATEWAY}}, or the name of a service",
        ),
        Rule::SharedVolume => (
            Warning,
            "Two programs that write the same files damage them, unless they are made for it.",
            "mount it read_only where it is only read; if the programs are made for it, allow this rule with that reason",
        ),
        Rule::NoVolume => (
            Error,
            "What a container writes elsewhere than into a volume is gone with the next update.",
            "mount a volume where the program keeps its data",
        ),
        Rule::NoWriter => (
            Warning,
            "A named volume that everybody only reads stays empty for ever.",
            "let one service write it, or use a bind, which is a folder that people can fill",
        ),
        Rule::ReadOnlyConfig => (
            Warning,
            "overwrite: false is for files that the app changes later; files of the node are read-only in the container.",
            "leave overwrite out, or copy the file into a volume with hooks.post_install",
        ),
        Rule::ReadOnlyTmp => (
            Warning,
            "Nearly every program writes to /tmp, and fails where the root file system is read-only.",
            "add tmpfs: [/tmp]",
        ),
        Rule::NoDump => (
            Error,
            "Copied files of a running database are often of no use. A dump can be read by every later version, too.",
            "add backup.pre with a command that dumps into a mounted volume",
        ),
        Rule::OnlineBackup => (
            Warning,
            "In mode online the app goes on writing while its files are copied, so that they need not fit each other.",
            "use mode: stop, or prepare the data with backup.pre",
        ),
        Rule::ShortGrace => (
            Warning,
            "A database that is killed while it writes its state has to repair itself at the next start, if it can.",
            "let stop_grace_period be 30s or more",
        ),
        Rule::UnboundedLogs => (
            Warning,
            "What a program prints is kept within bounds by the node; a file that it logs to grows until the disk is full.",
            "let it log to its standard output",
        ),
        Rule::NoMemoryLimit => (
            Warning,
            "A program that leaks takes the whole machine with it, and every other app.",
            "add deploy: {resources: {limits: {memory: 512M}}}",
        ),
        Rule::Unused => (
            Warning,
            "What is declared and not used is mostly a slip in a name, or left over.",
            "use it, or remove it",
        ),
        Rule::StorePage => (
            Warning,
            "People choose an app by what its page says.",
            "give metadata a tagline, a description, a category, a license, a website and an icon",
        ),
        Rule::Allowance => (
            Warning,
            "An allowance that nobody needs hides the next finding of its kind.",
            "remove it, or write under x-lint-allow which rule is allowed and why",
        ),
        // Rules that refuse a manifest tell their remedy at each place.
        _ => (Error, "", ""),
    }
}
