//! Hooks, backup, update, adoption.

use super::Check;
use crate::{
    manifest::{Hook, ServiceExec, VolumeType},
    rule::Rule,
    yaml::shown,
};
use std::time::Duration;

impl Check<'_> {
    pub(super) fn lifecycle(&mut self) {
        let m = self.manifest;
        for (i, hook) in m.hooks.post_install.iter().enumerate() {
            self.hook(&format!("hooks.post_install[{i}]"), hook);
        }
        for (key, commands) in [("pre", &m.backup.pre), ("post", &m.backup.post)] {
            for (i, exec) in commands.iter().enumerate() {
                self.exec(&format!("backup.{key}[{i}]"), exec);
            }
        }
        for (i, source) in m.backup.include.iter().enumerate() {
            let bind = |path: &str| path == source || source.starts_with(&format!("{path}/"));
            let mounted = m.services.values().flat_map(|s| &s.volumes);
            let mut binds = mounted.filter(|v| v.r#type == VolumeType::Bind).map(|v| v.source.as_str());
            if !m.volumes.contains_key(source) && !binds.any(bind) {
                let message = format!("{:?} is neither a volume nor a folder of this app", shown(source));
                self.say(Rule::Backup, &format!("backup.include[{i}]"), message, "name one that is mounted");
            }
        }
        let verify = m.update.verify_timeout.0;
        if !(Duration::from_secs(1)..=Duration::from_secs(24 * 3600)).contains(&verify) {
            self.say(Rule::Update, "update.verify_timeout", "out of range", "use 1s to 24h");
        }
        if let Some(adopt) = &m.adopt {
            if adopt.names.is_empty() {
                self.say(Rule::Adopt, "adopt.names", "no container is named", "name one, or remove adopt");
            }
            self.once("adopt.names", &adopt.names);
            for (i, name) in adopt.names.iter().enumerate() {
                self.container_name_form(&format!("adopt.names[{i}]"), name);
            }
        }
    }

    fn hook(&mut self, at: &str, hook: &Hook) {
        match (&hook.copy_from_host, &hook.exec) {
            (Some(copy), None) => {
                self.target(&format!("{at}.copy_from_host.service"), copy.service.as_ref());
                self.container_path(&format!("{at}.copy_from_host.dest"), &copy.dest);
            }
            (None, Some(exec)) => self.exec(&format!("{at}.exec"), exec),
            _ => {
                let message = "a hook needs exactly one of copy_from_host and exec";
                self.say(Rule::Hook, at, message, "keep one; write one entry for each");
            }
        }
    }

    fn exec(&mut self, at: &str, exec: &ServiceExec) {
        self.target(&format!("{at}.service"), Some(&exec.service));
        self.command(&format!("{at}.command"), &exec.command);
        if let Some(user) = &exec.user {
            self.user(&format!("{at}.user"), user);
        }
    }
}
