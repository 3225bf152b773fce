//! `archy`, the command line of an Archipelago node.
//!
//! It asks and commands a node over its HTTP and WebSocket interface, and checks manifests offline.
//! It must never talk to the engine: what it shows is what the node says.
//!
//! Start reading at [`cli::Cli`]; each command has a module.

mod account;
mod act;
mod app;
mod apps_list;
mod backups;
mod cli;
mod doctor;
mod events;
mod fail;
mod gates;
mod login;
mod logs;
mod manual;
mod node;
mod out;
mod parts;
mod secret;
mod table;
mod top;
mod tree;
mod update;
mod validate;
mod watch;

use clap::Parser;
use cli::{Cli, Command};
use fail::Failure;
use out::Out;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = Out::stdout(cli.json);
    let ended = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run(&cli, &mut out)),
        Err(error) => Err(Failure::Runtime(error)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(&mut out),
    }
}

async fn run(cli: &Cli, out: &mut Out) -> Result<(), Failure> {
    match &cli.command {
        Command::App { command } => app::run(command, out),
        Command::Apps => apps_list::run(&node::client(cli)?, out).await,
        Command::Events { app, limit, follow } => {
            events::run(&node::client(cli)?, app.as_ref(), *limit, *follow, out).await
        }
        Command::Gates => gates::run(&node::client(cli)?, out).await,
        Command::Node => parts::run(&node::client(cli)?, out).await,
        Command::Top => top::run(&node::client(cli)?).await,
        Command::Token { command } => account::token(&node::client(cli)?, command, out).await,
        Command::Session { command } => account::session(&node::client(cli)?, command, out).await,
        Command::Secret { command } => secret::run(&node::client(cli)?, command, out).await,
        Command::Passwd => account::passwd(&node::client(cli)?, out).await,
        Command::Login { address } => login::run(cli, address, out).await,
        Command::Doctor => doctor::run(cli, out),
        Command::Completions { shell } => manual::completions(*shell, out),
        Command::Man { dir } => manual::pages(dir),
        Command::Tree => tree::run(&node::client(cli)?, out).await,
        Command::Watch { stream } => watch::run(&node::client(cli)?, (*stream).into(), out).await,
        Command::Logs { app, service, follow, tail } => {
            logs::run(&node::client(cli)?, app, service.as_ref(), *tail, *follow, out).await
        }
        Command::Install(on) => {
            let command = protocol::Command::Install { app: on.app.clone() };
            act::run(&node::client(cli)?, on.waits(), &command, None, out).await
        }
        Command::Start { on, anyway } => {
            let app = on.app.clone();
            let command = match anyway {
                true => protocol::Command::StartAnyway { app },
                false => protocol::Command::Start { app },
            };
            act::run(&node::client(cli)?, on.waits(), &command, None, out).await
        }
        Command::Stop(on) => {
            let command = protocol::Command::Stop { app: on.app.clone() };
            act::run(&node::client(cli)?, on.waits(), &command, None, out).await
        }
        Command::Restart(on) => {
            let command = protocol::Command::Restart { app: on.app.clone() };
            act::run(&node::client(cli)?, on.waits(), &command, None, out).await
        }
        Command::Update { app: None, .. } => update::list(&node::client(cli)?, out).await,
        Command::Update { app: Some(app), wait } => {
            let command = protocol::Command::Update { app: app.clone() };
            act::run(&node::client(cli)?, wait.waits(), &command, None, out).await
        }
        Command::Cancel { what, wait } => {
            let client = node::client(cli)?;
            let command = update::cancel(&client, what).await?;
            act::run(&client, wait.waits(), &command, None, out).await
        }
        Command::Backup(on) => {
            let command = protocol::Command::Backup { app: on.app.clone() };
            act::run(&node::client(cli)?, on.waits(), &command, None, out).await
        }
        Command::Backups { app } => backups::run(&node::client(cli)?, app.as_ref(), out).await,
        Command::Restore { on, snapshot, confirm } => {
            let client = node::client(cli)?;
            let snapshot = backups::find(&client, &on.app, snapshot).await?;
            let command = protocol::Command::Restore { app: on.app.clone(), snapshot };
            act::run(&client, on.waits(), &command, confirm.as_deref(), out).await
        }
        Command::Uninstall { on, purge, confirm } => {
            let command = protocol::Command::Uninstall { app: on.app.clone(), purge: *purge };
            act::run(&node::client(cli)?, on.waits(), &command, confirm.as_deref(), out).await
        }
    }
}
