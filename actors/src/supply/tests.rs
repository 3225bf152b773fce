use super::*;
use apps::{ConfigText, Facts, Manifest, RenderContext, RenderedCert, RenderedConfig, Template};
use engine::sim::Sim;
use std::{collections::BTreeMap, os::unix::fs::PermissionsExt, path::Path, time::Duration};

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

fn facts() -> Facts {
    Facts { host_ip: Some("192.0.2.7".into()), host_mdns: Some("box.local".into()), network_gateway: None }
}

fn config(dir: &Path, text: ConfigText, overwrite: bool) -> RenderedConfig {
    RenderedConfig { name: "page".into(), path: dir.join("node/configs/page"), text, overwrite }
}

fn template(text: &str) -> ConfigText {
    ConfigText::Template(Template::parse(text).unwrap())
}

#[test]
fn a_file_is_filled_in_once_and_only_its_owner_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    // What a secret says is text, also where it looks like a variable.
    let secrets = BTreeMap::from([("pass".to_owned(), "{{HOST_IP}}".to_owned())]);
    let page = config(dir.path(), template("{{secret:pass}} {{HOST_IP}} {{HOST_MDNS}}"), true);
    files::ensure(&page, dir.path(), &facts(), &secrets).unwrap();
    assert_eq!(fs::read_to_string(&page.path).unwrap(), "{{HOST_IP}} 192.0.2.7 box.local");
    assert_eq!(fs::metadata(&page.path).unwrap().permissions().mode() & 0o777, 0o600);

    let kept = config(dir.path(), template("new"), false);
    files::ensure(&kept, dir.path(), &facts(), &secrets).unwrap();
    assert!(fs::read_to_string(&page.path).unwrap().starts_with("{{HOST_IP}}"), "the user's changes stay");
    files::ensure(&config(dir.path(), template("new"), true), dir.path(), &facts(), &secrets).unwrap();
    assert_eq!(fs::read_to_string(&page.path).unwrap(), "new");
}

#[test]
fn a_file_that_cannot_be_made_says_why_and_leaves_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let none = BTreeMap::new();
    let page = |text| config(dir.path(), text, true);
    files::ensure(&page(template("old")), dir.path(), &facts(), &none).unwrap();
    let refused = |text| files::ensure(&page(text), dir.path(), &facts(), &none).unwrap_err().to_string();
    assert!(refused(template("{{NETWORK_GATEWAY}}")).contains("file page asks for {{NETWORK_GATEWAY}}"));
    assert!(refused(template("{{secret:other}}")).contains("{{secret:other}}"));

    let inside = dir.path().join("catalog");
    fs::create_dir(&inside).unwrap();
    fs::write(dir.path().join("outside"), "mine").unwrap();
    std::os::unix::fs::symlink(dir.path().join("outside"), inside.join("link")).unwrap();
    let link = page(ConfigText::File(inside.join("link")));
    let error = files::ensure(&link, &inside, &facts(), &none).unwrap_err().to_string();
    assert!(error.contains("outside of the app's folder"), "{error}");
    fs::write(inside.join("broken"), "{{HOST").unwrap();
    let broken = page(ConfigText::File(inside.join("broken")));
    assert!(files::ensure(&broken, &inside, &facts(), &none).unwrap_err().to_string().contains("not closed"));
    fs::write(inside.join("large"), vec![b'x'; 300 * 1024]).unwrap();
    let large = page(ConfigText::File(inside.join("large")));
    assert!(files::ensure(&large, &inside, &facts(), &none).unwrap_err().to_string().contains("256 KiB"));
    assert_eq!(fs::read_to_string(page(template("")).path).unwrap(), "old");
}

#[tokio::test]
async fn a_certificate_stays_until_it_is_about_to_end_or_is_for_other_names() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Sim::new();
    let cert = RenderedCert {
        name: "tls".into(),
        dir: dir.path().join("node/certs/tls"),
        sans: ["{{HOST_IP}}", "{{HOST_MDNS}}"].map(|san| Template::parse(san).unwrap()).into(),
        days: 365,
    };
    let now = SystemTime::now();
    let made = || fs::read(cert.dir.join("tls.crt")).unwrap();
    let ensure = async |facts: &Facts, now| certs::ensure(&engine, &cert, "Shop", facts, now).await;

    ensure(&facts(), now).await.unwrap();
    let first = made();
    assert_eq!(fs::metadata(cert.dir.join("tls.key")).unwrap().permissions().mode() & 0o777, 0o600);
    ensure(&facts(), now + YEAR / 2).await.unwrap();
    assert_eq!(made(), first, "it is good for half a year more");
    ensure(&facts(), now + YEAR - Duration::from_secs(29 * 86_400)).await.unwrap();
    let second = made();
    assert_ne!(second, first, "it would end within a month");

    let moved = Facts { host_ip: Some("192.0.2.8".into()), ..facts() };
    ensure(&moved, now).await.unwrap();
    let third = made();
    assert_ne!(third, second, "the machine has another address");
    fs::remove_file(cert.dir.join("tls.key")).unwrap();
    ensure(&moved, now).await.unwrap();
    assert_ne!(made(), third, "without its key it is of no use");
    let nowhere = ensure(&Facts::default(), now).await.unwrap_err();
    assert!(nowhere.to_string().contains("certificate tls asks for {{HOST_IP}}"), "{nowhere}");
}

#[tokio::test]
async fn a_folder_is_made_whole_also_after_a_crash_in_between() {
    let dir = tempfile::tempdir().unwrap();
    let text = "manifest_version: 1\nid: a\nname: A\nversion: '1'\nservices:\n  web:\n    image: localhost/web:1\n    \
                user: '999:999'\n    volumes: [{type: bind, source: db, target: /db}]\n";
    let rendered = Manifest::parse(text).unwrap().render(&RenderContext {
        node_id: "n".into(),
        data_dir: dir.path().join("a"),
        manifest_dir: dir.path().into(),
        facts: Facts::default(),
    });
    fs::create_dir_all(dir.path().join("a/.db.new/half")).unwrap();
    let engine = Sim::new();
    folders(&engine, &rendered).await.unwrap();
    let names = fs::read_dir(dir.path().join("a")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["db"]);
    assert_eq!(fs::read_dir(dir.path().join("a/db")).unwrap().count(), 0);
    let given = || engine.calls().iter().filter(|call| call.call == "give_folder").count();
    assert_eq!(given(), 1);
    folders(&engine, &rendered).await.unwrap();
    assert_eq!(given(), 1, "one that is there belongs to whom it belongs");
}
