//! From what a probe brought back to what it says. Pure.

use apps::manifest::Gate;
use serde_json::Value;

/// Longest text of an app that is shown.
const MAX_WORDS: usize = 200;

/// What came of a question.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// An answer.
    Answer(Reading),
    /// The program is there and still starting: no failure. Its words.
    Warming(String),
    /// Nothing that says how far it is; why.
    Silent(String),
    /// The node itself could not ask; why.
    Blind(String),
}

/// What an answer says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Reading {
    /// Whether the conditions hold.
    pub(crate) ready: bool,
    /// Progress from 0 to 1.
    pub(crate) progress: Option<f64>,
    /// How far it has come.
    pub(crate) current: Option<u64>,
    /// How far it has to come.
    pub(crate) target: Option<u64>,
    /// What else people are shown.
    pub(crate) detail: Option<String>,
    /// Why it can never open, and the way out.
    pub(crate) impossible: Option<(String, String)>,
}

/// An answer as JSON.
fn read(gate: &Gate, answer: &Value) -> Reading {
    let number = |pointer: &apps::manifest::Pointer| answer.pointer(&pointer.0);
    let count = |pointer| number(pointer).and_then(Value::as_u64);
    let is_share = |share: &f64| share.is_finite();
    let impossible = gate.impossible.as_ref().filter(|impossible| impossible.when.holds(answer));
    let detail: Vec<String> = gate.detail.iter().filter_map(|pointer| shown(answer, &pointer.0)).collect();
    Reading {
        ready: gate.ready.iter().all(|condition| condition.holds(answer)),
        progress: gate.progress.as_ref().and_then(number).and_then(Value::as_f64).filter(is_share),
        current: gate.count.as_ref().and_then(|it| count(&it.current)),
        target: gate.count.as_ref().and_then(|it| it.target.as_ref()).and_then(count),
        detail: (!detail.is_empty()).then(|| detail.join(", ")),
        impossible: impossible.map(|it| (it.reason.clone(), it.remedy.clone())),
    }
}

/// A value with its name.
fn shown(answer: &Value, pointer: &str) -> Option<String> {
    let name = pointer.rsplit('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~");
    let text = match answer.pointer(pointer)? {
        Value::Null => return None,
        Value::String(text) if text.is_empty() => return None,
        Value::String(text) => text.clone(),
        Value::Array(list) if list.is_empty() => return None,
        other => other.to_string(),
    };
    Some(cut(if name.is_empty() { text } else { format!("{name} {text}") }))
}

/// What an app says is shown, but not at any length and not with what nobody can read.
fn cut(text: impl AsRef<str>) -> String {
    let text = text.as_ref().trim();
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = clean.take(MAX_WORDS).collect();
    if text.chars().nth(MAX_WORDS).is_some() {
        short.push('…');
    }
    short
}

fn not_json() -> Outcome {
    Outcome::Silent("its answer is no JSON".into())
}

/// The password was refused.
fn refused(gate: &Gate, status: u16) -> Outcome {
    let remedy = match &gate.probe.auth {
        Some(auth) => format!("see that the app uses its secret {}, then restart it", auth.secret),
        None => "the gate's probe needs auth: in the manifest".to_owned(),
    };
    Outcome::Silent(format!("it refuses the node's login ({status}): {remedy}"))
}

/// The answer to a JSON-RPC call.
pub(crate) fn rpc(gate: &Gate, status: u16, body: &[u8]) -> Outcome {
    if matches!(status, 401 | 403) {
        return refused(gate, status);
    }
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return if status == 200 {
            not_json()
        } else {
            Outcome::Silent(format!("it answers with status {status}"))
        };
    };
    let error = answer.get("error").filter(|error| !error.is_null());
    let Some(error) = error else {
        return match answer.get("result") {
            Some(result) if (200..300).contains(&status) => Outcome::Answer(read(gate, result)),
            _ => Outcome::Silent(format!("it answers with status {status} and no result")),
        };
    };
    let words = cut(error.get("message").and_then(Value::as_str).unwrap_or("without words"));
    let code = error.get("code").and_then(Value::as_i64);
    let warming =
        gate.probe.json_rpc.iter().any(|rpc| code.is_some_and(|code| rpc.warming_up.contains(&code)));
    if warming {
        return Outcome::Warming(format!("is starting: {words}"));
    }
    let code = code.map(|code| format!(" {code}")).unwrap_or_default();
    Outcome::Silent(format!("it answers with error{code}: {words}"))
}

/// The answer to a request.
pub(crate) fn http(gate: &Gate, status: u16, body: &[u8]) -> Outcome {
    if matches!(status, 401 | 403) {
        return refused(gate, status);
    }
    let good = (200..400).contains(&status);
    if !gate.reads_answers() {
        let detail = (!good).then(|| format!("it answers with status {status}"));
        return Outcome::Answer(Reading { ready: good, detail, ..Reading::default() });
    }
    if !good {
        return Outcome::Silent(format!("it answers with status {status}"));
    }
    serde_json::from_slice(body).map_or_else(|_| not_json(), |answer| Outcome::Answer(read(gate, &answer)))
}

/// A connection was accepted.
pub(crate) fn connected() -> Outcome {
    Outcome::Answer(Reading { ready: true, ..Reading::default() })
}

/// The end of a command and what it printed.
pub(crate) fn exec(gate: &Gate, code: i32, output: &str) -> Outcome {
    if !gate.reads_answers() {
        let said = cut(output);
        let said = if said.is_empty() { said } else { format!(": {said}") };
        let detail = (code != 0).then(|| format!("its command ended with {code}{said}"));
        return Outcome::Answer(Reading { ready: code == 0, detail, ..Reading::default() });
    }
    if code != 0 {
        return Outcome::Silent(format!("its command ended with {code}: {}", cut(output)));
    }
    serde_json::from_str(output).map_or_else(|_| not_json(), |answer| Outcome::Answer(read(gate, &answer)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::tests::gate;

    const RPC: &str = "{probe: {jsonRpc: {port: rpc, method: info, warmingUp: [-28]}, auth: {username: u, secret: pw}}, \
        ready: {pointer: /ibd, equals: false}, progress: /share, count: {current: /blocks, target: /headers, unit: blocks}, \
        detail: [/chain, /warnings], impossible: {when: {pointer: /pruned, equals: true}, reason: it is pruned, remedy: keep all}}";

    fn words(outcome: Outcome) -> String {
        match outcome {
            Outcome::Silent(words) | Outcome::Blind(words) => format!("silent: {words}"),
            Outcome::Warming(words) => format!("warming: {words}"),
            Outcome::Answer(reading) => format!("{}: {}", reading.ready, reading.detail.unwrap_or_default()),
        }
    }

    #[test]
    fn an_answer_is_read_by_the_manifests_pointers() {
        let body = br#"{"result": {"ibd": true, "share": 0.25, "blocks": 5, "headers": 20, "chain": "main", "warnings": []}, "error": null}"#;
        let Outcome::Answer(reading) = rpc(&gate(RPC), 200, body) else { panic!() };
        let expected = Reading {
            ready: false,
            progress: Some(0.25),
            current: Some(5),
            target: Some(20),
            detail: Some("chain main".into()),
            impossible: None,
        };
        assert_eq!(reading, expected);
        let Outcome::Answer(reading) = rpc(&gate(RPC), 200, br#"{"result": {"ibd": false, "pruned": true}}"#)
        else {
            panic!()
        };
        assert!(reading.ready);
        assert_eq!(reading.impossible, Some(("it is pruned".into(), "keep all".into())));
    }

    #[test]
    fn warming_up_a_refused_login_and_other_errors_are_told_apart() {
        let gate = gate(RPC);
        let warming = br#"{"result": null, "error": {"code": -28, "message": "Loading block index"}}"#;
        assert_eq!(words(rpc(&gate, 500, warming)), "warming: is starting: Loading block index");
        let login = words(rpc(&gate, 401, b""));
        assert!(login.contains("refuses the node's login (401)") && login.contains("secret pw"), "{login}");
        let unknown = br#"{"error": {"code": -32601, "message": "Method not found"}}"#;
        assert_eq!(words(rpc(&gate, 404, unknown)), "silent: it answers with error -32601: Method not found");
        for (status, body) in
            [(200, &b"<html>"[..]), (200, b"{}"), (503, b""), (200, b"[1]"), (500, br#"{"error": 7}"#)]
        {
            assert!(words(rpc(&gate, status, body)).starts_with("silent: it"), "{status}");
        }
    }

    #[test]
    fn numbers_that_are_none_are_not_shown() {
        for body in [
            r#"{"result": {"ibd": true, "share": "x", "blocks": -3, "headers": 1e300}}"#,
            r#"{"result": []}"#,
            r#"{"result": {"ibd": 5}}"#,
        ] {
            let Outcome::Answer(reading) = rpc(&gate(RPC), 200, body.as_bytes()) else { panic!("{body}") };
            assert_eq!(
                (reading.ready, reading.progress, reading.current, reading.target),
                (false, None, None, None)
            );
        }
    }

    #[test]
    fn without_a_condition_success_opens_it() {
        let get = gate("{probe: {httpGet: {port: web}}}");
        assert_eq!(words(http(&get, 204, b"")), "true: ");
        assert_eq!(words(http(&get, 503, b"")), "false: it answers with status 503");
        let exec_gate = gate("{probe: {exec: {command: [x]}}}");
        assert_eq!(words(exec(&exec_gate, 0, "anything")), "true: ");
        assert_eq!(words(exec(&exec_gate, 3, "not\nyet ")), "false: its command ended with 3: not yet");
        assert_eq!(words(connected()), "true: ");
    }

    #[test]
    fn with_a_condition_a_failure_says_nothing() {
        let get = gate("{probe: {httpGet: {port: web}}, ready: {pointer: /rows, atLeast: 1}}");
        assert_eq!(words(http(&get, 200, br#"{"rows": 2}"#)), "true: ");
        assert_eq!(words(http(&get, 200, b"no")), "silent: its answer is no JSON");
        assert_eq!(words(http(&get, 503, b"{}")), "silent: it answers with status 503");
        let exec_gate = gate("{probe: {exec: {command: [x]}}, ready: {pointer: '', equals: true}}");
        assert_eq!(words(exec(&exec_gate, 0, "true\n")), "true: ");
        assert_eq!(words(exec(&exec_gate, 1, "true")), "silent: its command ended with 1: true");
    }

    #[test]
    fn what_an_app_says_is_cut() {
        let body = serde_json::json!({"error": {"message": format!("a\u{1b}[31m{}", "ä".repeat(10_000))}})
            .to_string();
        let text = words(rpc(&gate(RPC), 200, body.as_bytes()));
        assert!(text.chars().count() < 300 && !text.contains('\u{1b}'), "{text}");
    }
}
