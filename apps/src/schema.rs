//! The JSON Schema of a manifest, generated from its types. It is committed as `apps/schema/manifest.v1.json`, where
//! editors find it, and it is what every manifest's keys and types are checked against, so that the two never differ.

use crate::Manifest;
use schemars::{
    Schema,
    generate::SchemaSettings,
    transform::{Transform, transform_subschemas},
};
use serde_json::{Value, json};
use std::sync::LazyLock;

/// Keys of one's own begin with this.
pub(crate) const OWN_KEYS: &str = "^x-";

/// Closes every mapping of known keys, but for keys that begin with `x-`.
#[derive(Debug, Clone)]
struct Closed;

impl Transform for Closed {
    fn transform(&mut self, schema: &mut Schema) {
        if schema.get("properties").is_some() && schema.get("additionalProperties").is_none() {
            schema.insert("additionalProperties".into(), json!(false));
            schema.insert("patternProperties".into(), json!({ OWN_KEYS: true }));
        }
        // A JSON default of a whole section says nothing to a reader and hides what is left out.
        if schema.get("default").is_some_and(|default| default.is_object() || default.is_null()) {
            schema.remove("default");
        }
        transform_subschemas(self, schema);
    }
}

/// The JSON Schema (draft 2020-12) of a manifest.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().with_transform(Closed).into_generator();
    let mut schema = generator.into_root_schema_for::<Manifest>();
    schema.insert("$id".into(), json!("urn:archipelago:manifest:1"));
    schema.insert("title".into(), json!("Archipelago app manifest, version 1"));
    schema.to_value()
}

/// The schema, generated once.
pub(crate) static SCHEMA: LazyLock<Value> = LazyLock::new(schema);
