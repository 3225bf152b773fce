//! The committed schema is the one that the types give.

use std::{fs, path::Path};

/// Writes the file anew when this is set: `UPDATE_SCHEMA=1 cargo test -p apps schema`.
const UPDATE: &str = "UPDATE_SCHEMA";

#[test]
fn the_committed_schema_is_the_one_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/manifest.v1.json");
    let text = format!("{}\n", serde_json::to_string_pretty(&crate::schema()).unwrap());
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, &text).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap();
    assert!(committed == text, "the schema has changed: {UPDATE}=1 cargo test -p apps schema writes it anew");
}
