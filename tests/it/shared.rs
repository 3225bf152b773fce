//! What apps share, and what their owners give them: networks and secrets.

use engine::Engine;
use protocol::{Command, ErrorCode, OpState, Phase};
use std::os::unix::fs::PermissionsExt;
use tests::{SHOP, SimNode, shop};

fn mesh(id: &str, alias: &str) -> String {
    format!(
        "manifest_version: 1\nid: {id}\nname: {id}\nversion: '1'\nnetworks: {{mesh: {{external: true}}}}\n\
         services:\n  {id}-web:\n    image: localhost/web:1\n    networks: {{mesh: {{aliases: [{alias}]}}}}\n"
    )
}

fn install(id: &str) -> Command {
    Command::Install { app: id.parse().unwrap() }
}
fn uninstall(id: &str) -> Command {
    Command::Uninstall { app: id.parse().unwrap(), purge: false }
}

#[tokio::test(start_paused = true)]
async fn services_without_networks_share_one_and_one_alone_needs_none() {
    let text = "manifest_version: 1\nid: shop\nname: Shop\nversion: '1'\nservices:\n  web: {image: 'localhost/web:1'}\n";
    let t = SimNode::start(&[&format!("{text}  db: {{image: 'localhost/db:1'}}\n")]).await;
    t.perform(shop::install()).await;
    let on = |name: &str| t.sim.aliases(name).into_iter().collect::<Vec<_>>();
    assert_eq!(on("shop-db_net"), [("shop_default".to_owned(), vec!["db".to_owned(), "shop-db".to_owned()])]);
    assert_eq!(on("shop-web_net")[0].0, "shop_default");
    // Somebody took it away: it is back with the next anchor.
    for name in ["shop-web", "shop-db", "shop-web_net", "shop-db_net"] {
        t.sim.remove_behind(name);
    }
    t.sim.remove_network("shop_default").await.unwrap();
    t.wait_app("shop", |app| app.restarts >= 2 && app.phase == Phase::Running).await;
    t.perform(shop::uninstall()).await;
    assert!(t.sim.list_networks(&[]).await.unwrap().is_empty());

    let t = SimNode::start(&[text]).await;
    t.perform(shop::install()).await;
    assert_eq!(t.sim.states().into_keys().collect::<Vec<_>>(), ["shop-web"]);
}

#[tokio::test(start_paused = true)]
async fn a_shared_network_comes_with_the_first_app_and_goes_with_the_last() {
    let t = SimNode::start(&[&mesh("one", "front"), &mesh("two", "back"), &mesh("three", "front")]).await;
    let networks = async || t.sim.list_networks(&[]).await.unwrap();
    t.perform(install("one")).await;
    t.perform(install("two")).await;
    assert_eq!((networks().await, t.sim.count("create_network", "mesh")), (vec!["mesh".to_owned()], 1));
    assert!(t.sim.aliases("one-one-web_net")["mesh"].contains(&"front".to_owned()));
    let refused = t.node.submit(install("three"), None).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Conflict);
    assert!(refused.problems[0].message.contains("front is the name of a service of one"), "{refused:?}");
    t.perform(uninstall("one")).await;
    assert_eq!(networks().await, ["mesh"]);
    t.perform(install("three")).await;
    t.perform(uninstall("two")).await;
    t.perform(uninstall("three")).await;
    assert!(networks().await.is_empty());
    // One that somebody else has made is used, and left.
    t.sim.ensure_network("mesh", &Default::default()).await.unwrap();
    t.perform(install("one")).await;
    t.perform(uninstall("one")).await;
    assert_eq!(networks().await, ["mesh"]);
}

#[tokio::test(start_paused = true)]
async fn a_secret_of_the_owners_is_asked_for_before_the_install_and_changed_with_the_next_start() {
    let text = SHOP.replace("{generate: {bytes: 24}}", "{external: true}");
    let t = SimNode::start(&[&text]).await;
    let app = "shop".parse().unwrap();
    let refused = t.node.submit(shop::install(), None).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Invalid);
    let problem = &refused.problems[0];
    assert_eq!((problem.rule.as_str(), problem.field.as_str()), ("secret_missing", "secrets.pass"));
    assert!(problem.remedy.contains("archy secret set shop pass"), "{problem:?}");
    assert!(t.sim.calls().is_empty() && t.app("shop").unwrap().phase == Phase::NotInstalled);

    let given = async || {
        t.node.secrets(&app).await.unwrap().into_iter().map(|it| (it.name, it.given)).collect::<Vec<_>>()
    };
    assert_eq!(given().await, [("pass".to_owned(), false)]);
    let unknown = t.node.set_secret(&app, "other", "x").await.unwrap_err();
    assert_eq!(unknown.code, ErrorCode::NotFound);
    assert!(!t.node.set_secret(&app, "pass", "first").await.unwrap().restart_needed);
    assert_eq!(given().await, [("pass".to_owned(), true)]);
    let file = t.data_dir().join("secrets/shop/pass");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    t.perform(shop::install()).await;
    assert_eq!(t.sim.secret("shop_pass").unwrap(), b"first");

    let id = || t.app("shop").unwrap().containers[0].id.clone();
    let (before, starts) = (id(), t.sim.count("start", "shop-db"));
    assert!(t.node.set_secret(&app, "pass", "second").await.unwrap().restart_needed);
    assert_eq!(t.sim.secret("shop_pass").unwrap(), b"second");
    assert_eq!((id(), t.sim.count("start", "shop-db")), (before.clone(), starts), "what runs is left alone");
    let op = t.perform(shop::restart()).await;
    assert_eq!(op.state, OpState::Succeeded);
    assert_ne!(id(), before, "a container keeps the secret that it was made with");
    let web = t.sim.count("create", "shop-web");
    assert_eq!(web, 1, "one without the secret is not made anew");
    let now = id();
    t.perform(shop::restart()).await;
    assert_eq!(id(), now, "once");
    let told = t.node.events(None, None, 500).await.unwrap();
    assert!(!serde_json::to_string(&told).unwrap().contains("second"));
    t.perform(shop::purge()).await;
    assert!(t.sim.secret("shop_pass").is_none() && !file.exists());
}

#[tokio::test(start_paused = true)]
async fn a_link_leads_elsewhere_and_has_nothing_on_the_node() {
    let text = "manifest_version: 1\nid: shop\nname: Shop\nversion: '1'\nkind: link\n\
                metadata: {website: 'https://example.org/shop'}\n";
    let t = SimNode::start(&[text]).await;
    t.perform(shop::install()).await;
    let app = t.wait_phase("shop", Phase::Running).await;
    assert_eq!(app.launch[0].url.as_deref(), Some("https://example.org/shop"));
    assert!(t.sim.states().is_empty());
    t.perform(shop::uninstall()).await;
    assert_eq!(t.app("shop").unwrap().phase, Phase::NotInstalled);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_renewed_in_place_and_only_who_asks_for_it_is_restarted() {
    let text = "manifest_version: 1\nid: shop\nname: Shop\nversion: '1'\ncerts: {tls: {sans: [shop.test], days: 90}}\n\
        services:\n  web:\n    image: localhost/web:1\n    certs: [{source: tls, target: /tls, restart: true}]\n  \
        db:\n    image: localhost/db:1\n    user: '999:999'\n    certs: [{source: tls, target: /tls}]\n";
    let t = SimNode::start(&[text]).await;
    t.perform(shop::install()).await;
    let folder = t.data_dir().join("data/shop/.archipelago/certs");
    let certificate = || std::fs::read(folder.join("tls/tls.crt")).unwrap();
    let (first, half_a_day) = (certificate(), std::time::Duration::from_secs(13 * 3600));
    tokio::time::sleep(half_a_day).await;
    assert_eq!(certificate(), first, "it is good for a while");
    let note = std::fs::read_to_string(folder.join(".tls.json")).unwrap();
    let mut note: serde_json::Value = serde_json::from_str(&note).unwrap();
    note["until"] = 0.into();
    std::fs::write(folder.join(".tls.json"), note.to_string()).unwrap();
    tokio::time::sleep(half_a_day).await;
    assert_ne!(certificate(), first);
    t.wait_app("shop", |app| app.phase == Phase::Running && t.sim.count("start", "shop-web") == 2).await;
    assert_eq!((t.sim.count("start", "shop-db"), t.app("shop").unwrap().restarts), (1, 0));
    let told = serde_json::to_string(&t.node.events(None, None, 500).await.unwrap()).unwrap();
    assert!(told.contains("the certificate tls of shop was renewed"), "{told}");
    // Its files are given to the user who has them in a container.
    assert!(t.sim.calls().iter().any(|it| it.call == "give_folder" && it.name.ends_with("tls.key")));
}
