//! What a manifest asks for and this machine does not know.
//!
//! An app that needs such a thing is refused before anything is made: left out in silence, it would run and be wrong.

use apps::Rendered;
use protocol::Problem;

/// The variables of templates that nothing is known for, such as the address of a machine without a network.
pub(crate) fn missing(rendered: &Rendered) -> Vec<Problem> {
    let problem = |variable: &apps::Variable| Problem {
        rule: "unknown_fact".into(),
        message: format!("this machine does not know its {variable}"),
        remedy: "is the machine in a network? Then tell whoever wrote the app".into(),
        field: String::new(),
        line: None,
        column: None,
    };
    rendered.unresolved.iter().map(problem).collect()
}
