//! Which variables may stand where.

use super::Check;
use crate::{
    manifest::Service,
    rule::Rule,
    template::{Template, Variable},
};

impl Check<'_> {
    /// The text of a file: everything but the paths of files.
    pub(super) fn config_text(&mut self, field: &str, text: &str) {
        let secrets = &self.manifest.secrets;
        self.template(field, text, |variable| match variable {
            Variable::HostIp | Variable::HostMdns | Variable::NetworkGateway => Ok(()),
            Variable::Secret(name) if secrets.contains_key(name) => Ok(()),
            Variable::Secret(_) => Err((Rule::UnknownSecret, "this secret is not declared")),
            Variable::Config(_) => Err((Rule::TemplateVariable, "a file has no place of its own")),
        });
    }

    /// A name of a certificate.
    pub(super) fn san(&mut self, field: &str, text: &str) {
        self.template(field, text, |variable| match variable {
            Variable::HostIp | Variable::HostMdns => Ok(()),
            _ => Err((Rule::TemplateVariable, "a certificate cannot be good for this")),
        });
        let bare = Template::parse(text).ok().and_then(|t| t.fill(|_| Some("x".into())).ok());
        let plain = |c: char| c.is_ascii_alphanumeric() || ".:-*".contains(c);
        if bare.is_some_and(|bare| bare.is_empty() || !bare.chars().all(plain)) {
            self.say(Rule::Cert, field, "this is neither a host name nor an address", "write one of them");
        }
    }

    /// Everything of a service that may hold variables. Secrets in it are policy's to refuse.
    pub(super) fn service_texts(&mut self, at: &str, service: &Service) {
        let manifest = self.manifest;
        let allowed = |variable: &Variable| match variable {
            Variable::HostIp | Variable::HostMdns | Variable::NetworkGateway | Variable::Secret(_) => Ok(()),
            Variable::Config(name) if service.configs.iter().any(|config| config.source == *name) => Ok(()),
            Variable::Config(name) if manifest.configs.contains_key(name) => {
                Err((Rule::TemplateVariable, "this service does not have this file"))
            }
            Variable::Config(_) => Err((Rule::UnknownConfig, "this file is not declared")),
        };
        for (key, text) in &service.environment {
            self.template(&format!("{at}.environment.{key}"), text, allowed);
        }
        for (key, words) in [("entrypoint", &service.entrypoint), ("command", &service.command)] {
            for (i, text) in words.iter().flatten().enumerate() {
                self.template(&format!("{at}.{key}[{i}]"), text, allowed);
            }
        }
    }

    fn template(
        &mut self,
        field: &str,
        text: &str,
        allowed: impl Fn(&Variable) -> Result<(), (Rule, &'static str)>,
    ) {
        let template = match Template::parse(text) {
            Ok(template) => template,
            Err(error) => {
                let remedy = "variables are HOST_IP, HOST_MDNS, NETWORK_GATEWAY, secret:name and config:name; \
                              write \\{{ for the braces themselves";
                return self.say(Rule::Template, field, error.to_string(), remedy);
            }
        };
        for variable in template.variables() {
            if let Err((rule, why)) = allowed(variable) {
                let message = format!("{variable} cannot stand here: {why}");
                self.say(rule, field, message, "declare it, or use another variable");
            }
        }
    }
}
