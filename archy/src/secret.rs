//! `archy secret`.

use crate::{cli::SecretCommand, fail::Failure, login::secret, out::Out, table};
use protocol::{SecretAccepted, SecretRequest, SecretView, client::Client};

pub(crate) async fn run(client: &Client, command: &SecretCommand, out: &mut Out) -> Result<(), Failure> {
    match command {
        SecretCommand::List { app } => {
            let all: Vec<SecretView> = client.get(&format!("/api/v1/apps/{app}/secrets")).await?;
            if out.json() {
                return all.iter().try_for_each(|secret| out.object(secret));
            }
            let given = |secret: &SecretView| if secret.given { "yes" } else { "no" }.to_owned();
            let cells: Vec<[String; 2]> = all.iter().map(|it| [it.name.clone(), given(it)]).collect();
            table::print(["NAME", "GIVEN"], &cells, |_, _| None, out)
        }
        SecretCommand::Set { app, name } => {
            let value = secret(name)?;
            let path = format!("/api/v1/apps/{app}/secrets/{name}");
            let accepted: SecretAccepted = client.put(&path, &SecretRequest { value }).await?;
            if out.json() {
                return out.object(&accepted);
            }
            out.line(&if accepted.restart_needed {
                format!("{name} is kept; it holds from the next `archy restart {app}` on")
            } else {
                format!("{name} is kept")
            })
        }
    }
}
