//! What an app is: the manifest, its validation, and its rendering to what the engine is asked for.
//!
//! This crate must never talk to an engine and must never name an app: everything special about an app is in its
//! manifest under `apps/catalog/<id>/`.
//! Start reading at [`Manifest`] (model), [`Manifest::check`] (validation) and [`Manifest::render`].
//!
//! # Writing manifests in an editor
//!
//! `apps/schema/manifest.v1.json` is the JSON Schema of the format. Editors with a YAML language server complete keys
//! from it and mark mistakes while one types. Either name it in the file's first line,
//!
//! ```yaml
//! # yaml-language-server: $schema=../../schema/manifest.v1.json
//! manifest_version: 1
//! ```
//!
//! or map it to `apps/catalog/*/manifest.yml` in the editor's settings (`yaml.schemas`).
//! The schema knows keys and types; `archy app validate` knows all rules.

mod anchor;
mod catalog;
pub mod diff;
mod export;
mod facts;
pub mod import;
pub mod ladder;
pub mod lint;
pub mod manifest;
pub mod meet;
mod order;
mod parse;
mod policy;
mod render;
mod rule;
mod schema;
mod shape;
mod spec;
mod template;
mod text;
mod validate;
mod value;
mod version;
mod yaml;

pub use anchor::{PAUSE_IMAGE, ROLE_ANCHOR};
pub use catalog::{CatalogApp, CatalogError, check_catalog, load_catalog};
pub use export::ExportFile;
pub use facts::architecture;
pub use manifest::Manifest;
pub use parse::Report;
pub use render::{
    ConfigText, Facts, ImageSource, RenderContext, Rendered, RenderedCert, RenderedConfig, RenderedHooks,
    RenderedSecret, RenderedService,
};
pub use rule::{Area, Rule, Severity};
pub use schema::schema;
pub use spec::{
    ContainerSpec, LABEL_APP, LABEL_DIGEST, LABEL_FILES, LABEL_NODE, LABEL_ROLE, LABEL_SERVICE, Mount,
    MountSource, PortMapping, PortProtocol, SecretMount,
};
pub use template::{Template, TemplateError, Variable};
pub use value::{Cpus, Size, Span};

#[cfg(test)]
mod tests;
