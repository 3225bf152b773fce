//! Advice on images.

use super::{Advice, parts};
use crate::{manifest::Service, rule::Rule};

/// Prefix of images that are made on the machine itself.
const LOCAL: &str = "localhost/";

impl Advice<'_> {
    pub(super) fn image(&mut self, at: &str, service: &Service) {
        let Some(image) = &service.image else { return };
        let field = format!("{at}.image");
        let (name, tag, digest) = parts(image);
        let local = name.starts_with(LOCAL);
        if !digest && !local {
            self.say(Rule::ImageDigest, &field, "the image is not pinned by its digest");
        }
        match tag {
            _ if digest => {}
            None | Some("latest") => {
                self.say(Rule::LatestTag, &field, "this tag means another image every other week");
            }
            Some(tag) if !tag.bytes().any(|b| b.is_ascii_digit()) => {
                self.say(Rule::MovingTag, &field, format!("the tag {tag} names no version"));
            }
            Some(_) => {}
        }
        let first = name.split('/').next().unwrap_or_default();
        let host = name.contains('/') && (first.contains(['.', ':']) || first == "localhost");
        if !host {
            let whole = if name.contains('/') {
                format!("docker.io/{image}")
            } else {
                format!("docker.io/library/{image}")
            };
            let message = "the image does not say from which registry it is";
            self.say_fixed(Rule::ShortImage, &field, message, &whole);
        }
    }
}
