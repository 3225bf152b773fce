//! How long the worst manifests take, and how much memory: `cargo bench -p apps`.
//!
//! It measures every file of `tests/hostile/` and texts of the full size that are as bad as we could think of, and
//! fails beyond 50 ms of a processor for one of them or 64 MiB for all. The same for compose files that are imported,
//! which may have 64 KiB.

#![expect(clippy::print_stdout, reason = "its figures are its purpose")]

use apps::{
    Manifest,
    import::{Source, import},
};
use std::{fs, path::Path, process::ExitCode, time::Duration};

const MAX_TIME: Duration = Duration::from_millis(50);
const MAX_KIB: u64 = 64 * 1024;
/// As large as a manifest may be.
const SIZE: usize = 16 * 1024;

const HEAD: &str = "manifest_version: 1\nid: shop\nname: Shop\nversion: \"1.0\"\n";

/// A manifest that is filled up with a part again and again.
fn filled(head: &str, part: impl Fn(usize) -> String, tail: &str) -> Vec<u8> {
    let mut text = head.to_owned();
    for i in 0.. {
        let part = part(i);
        if text.len() + part.len() + tail.len() > SIZE {
            break;
        }
        text.push_str(&part);
    }
    text.push_str(tail);
    text.into_bytes()
}

fn same(part: &'static str) -> impl Fn(usize) -> String {
    move |_| part.to_owned()
}

fn worst() -> Vec<(&'static str, Vec<u8>)> {
    let web = format!("{HEAD}services:\n  web:\n    image: localhost/web:1\n");
    let service = |i| format!("  s{i}: {{depends_on: [s{}]}}\n", i + 1);
    let deep = "x-a: ".to_owned() + &"[".repeat(22);
    vec![
        ("brackets", filled("", same("["), "")),
        ("braces", filled("", same("{a: "), "")),
        ("dashes", filled("", same("- "), "")),
        ("questions", filled("", same("? "), "")),
        ("indents", filled("", |i| format!("{}a:\n", " ".repeat(i)), "")),
        ("quotes", filled("a: \"", same("\\n"), "\"")),
        ("escapes", filled("a: \"", same("\\U0001F600"), "\"")),
        ("plain lines", filled("a:", same("\n  b"), "")),
        ("folded", filled("a: >\n", same("  b\n\n"), "")),
        ("comments", filled("", same("#\n"), "")),
        ("blank lines", filled("", same("\n"), "")),
        ("anchors", filled("a: [", |i| format!("&a{i} x,"), "]")),
        ("aliases", filled("a: &a x\nb: [", same("*a,"), "]")),
        ("tags", filled("a: [", same("!!str x,"), "]")),
        ("same keys", filled("", same("a: 1\n"), "")),
        ("unknown keys", filled(HEAD, |i| format!("k{i}: 1\n"), "")),
        ("own keys", filled(HEAD, |i| format!("x-{i}: 1\n"), "")),
        ("wide and deep", filled(&format!("{HEAD}{deep}"), same("~,"), &"]".repeat(22))),
        ("services", filled(&format!("{HEAD}services:\n"), service, "")),
        ("ports", filled(&format!("{web}    ports: ["), same("\"80:80\","), "]\n")),
        ("wrong ports", filled(&format!("{web}    ports: ["), same("[],"), "]\n")),
        ("environment", filled(&format!("{web}    environment: ["), |i| format!("\"{i}=a\","), "]\n")),
        ("volumes", filled(&format!("{web}    volumes: ["), same("\"/a:/a\","), "]\n")),
        ("capabilities", filled(&format!("{web}    cap_add: ["), same("A,"), "]\n")),
        ("variables", filled(&format!("{HEAD}configs: {{c: {{content: \""), same("{{HOST_IP}}"), "\"}}\n")),
        ("open braces", filled(&format!("{HEAD}configs: {{c: {{content: \""), same("{{"), "\"}}\n")),
        ("secrets", filled(&format!("{HEAD}secrets: {{"), |i| format!("s{i}: {{}},"), "}\n")),
        ("requires", filled(&format!("{HEAD}requires: ["), same("{},"), "]\n")),
        ("tags of people", filled(&format!("{HEAD}metadata: {{tags: ["), same("a,"), "]}\n")),
        ("a command", filled(&format!("{web}    command: \""), same("a "), "\"\n")),
        ("a long path", filled(&format!("{web}    working_dir: \""), same("/a"), "\"\n")),
    ]
}

/// Time that this thread has spent on a processor: a busy machine is not the manifest's fault.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
}

/// The largest amount of memory that this process ever had, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Compose files of the full size, as bad as we could think of.
fn foreign() -> Vec<(&'static str, String)> {
    let full = |head: &str, part: &dyn Fn(usize) -> String| {
        let mut text = head.to_owned();
        for i in 0.. {
            let part = part(i);
            if text.len() + part.len() > 4 * SIZE {
                break;
            }
            text.push_str(&part);
        }
        text
    };
    let web = "services:\n  web:\n    image: a:1\n";
    vec![
        ("import: brackets", full("a: ", &|_| "[".into())),
        ("import: aliases", full("a: &a [x, x, x, x, x, x, x, x]\nb: [", &|_| "*a,".into())),
        ("import: bomb", full(&format!("a: &a {}\nb: [", "x".repeat(30_000)), &|_| "*a,".into())),
        ("import: same keys", full("", &|i| format!("k{i}: 1\n"))),
        ("import: services", full("services:\n", &|i| format!("  s_{i}: {{environment: {{A: s_{i}}}}}\n"))),
        (
            "import: umbrel",
            full("services:\n  app_proxy: {}\n", &|i| format!("  s{i}: {{environment: {{A: x_1}}}}\n")),
        ),
        (
            "import: extends",
            full(&format!("services:\n  b: {{environment: [{}]}}\n", "a,".repeat(1000)), &|i| {
                format!("  s{i}: {{extends: b}}\n")
            }),
        ),
        ("import: ports", full(&format!("{web}    ports: ["), &|_| "\"1-32:1-32\",".into())),
        ("import: variables", full(&format!("{web}    command: \""), &|_| "${A:-${B:-${C:-d}}}".into())),
        ("import: merge", full("x: &x {a: 1}\ny: {", &|_| "<<: *x, ".into())),
    ]
}

fn main() -> ExitCode {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    let corpus = files.filter_map(|file| {
        Some((file.file_name().to_string_lossy().into_owned(), fs::read(file.path()).ok()?))
    });
    let worst = worst().into_iter().map(|(name, text)| (name.to_owned(), text));
    let all: Vec<(String, Vec<u8>)> = corpus.chain(worst).collect();
    // The schema is made once, at the first manifest of a process.
    drop(Manifest::parse(HEAD));
    let mut times: Vec<(Duration, &str, usize)> = Vec::new();
    for (name, bytes) in &all {
        let start = cpu_time();
        let problems = Manifest::parse_bytes(bytes).err().map_or(0, |problems| problems.len());
        times.push((cpu_time().saturating_sub(start), name, problems));
    }
    let foreign = foreign();
    for (name, text) in &foreign {
        let start = cpu_time();
        let notes = import(&Source { text, id: "a", ..Source::default() }).notes.len();
        times.push((cpu_time().saturating_sub(start), name, notes));
    }
    times.sort();
    for (time, name, problems) in times.iter().rev().take(10) {
        println!("{:>9.3} ms  {name} ({problems} problems)", time.as_secs_f64() * 1000.0);
    }
    let slowest = times.last().map_or(Duration::ZERO, |(time, ..)| *time);
    println!("{} texts, slowest {slowest:?}, peak {} KiB", times.len(), peak());
    let good = !all.is_empty() && slowest <= MAX_TIME && peak() <= MAX_KIB;
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
