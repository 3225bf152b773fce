//! `archy token`, `archy session`, `archy passwd`.

use crate::{
    cli::{SessionCommand, TokenCommand},
    fail::Failure,
    login::secret,
    out::{Out, note, now_ms, span, word},
    table,
};
use protocol::{PasswordRequest, SessionView, TokenCreated, TokenRequest, TokenView, client::Client};

pub(crate) async fn token(client: &Client, command: &TokenCommand, out: &mut Out) -> Result<(), Failure> {
    match command {
        TokenCommand::List => {
            let all: Vec<TokenView> = client.get("/api/v1/tokens").await?;
            if out.json() {
                return all.iter().try_for_each(|token| out.object(token));
            }
            let now = now_ms();
            let ago = |at: u64| format!("{} ago", span(now.saturating_sub(at)));
            let cells: Vec<[String; 5]> = all
                .iter()
                .map(|token| {
                    let used = token.used_at.map_or_else(|| "never".into(), ago);
                    let ends = token
                        .expires_at
                        .map_or_else(|| "never".into(), |at| format!("in {}", span(at.saturating_sub(now))));
                    [token.id.clone(), word(&token.scope), used, ends, token.name.clone()]
                })
                .collect();
            table::print(["ID", "SCOPE", "USED", "ENDS", "NAME"], &cells, |_, _| None, out)
        }
        TokenCommand::Create { name, scope, days } => {
            let request = TokenRequest { name: name.clone(), scope: (*scope).into(), days: *days };
            let created: TokenCreated = client.post("/api/v1/tokens", &request).await?;
            if out.json() {
                return out.object(&created);
            }
            note("keep it now: it is not shown again");
            out.line(&created.token)
        }
        TokenCommand::Remove { id } => Ok(client.delete(&format!("/api/v1/tokens/{id}")).await?),
    }
}

pub(crate) async fn session(client: &Client, command: &SessionCommand, out: &mut Out) -> Result<(), Failure> {
    match command {
        SessionCommand::List => {
            let all: Vec<SessionView> = client.get("/api/v1/sessions").await?;
            if out.json() {
                return all.iter().try_for_each(|session| out.object(session));
            }
            let now = now_ms();
            let cells: Vec<[String; 4]> = all
                .iter()
                .map(|session| {
                    let seen = format!("{} ago", span(now.saturating_sub(session.seen_at)));
                    [session.id.clone(), session.address.clone(), seen, session.agent.clone()]
                })
                .collect();
            table::print(["ID", "ADDRESS", "SEEN", "BROWSER"], &cells, |_, _| None, out)
        }
        SessionCommand::End { id } => Ok(client.delete(&format!("/api/v1/sessions/{id}")).await?),
    }
}

pub(crate) async fn passwd(client: &Client, out: &mut Out) -> Result<(), Failure> {
    let current = if client.is_local() { None } else { Some(secret("present password")?) };
    let new = secret("new password")?;
    client.tell("/api/v1/password", &PasswordRequest { current, new }).await?;
    if out.json() { Ok(()) } else { out.line("the password is set; all logins have ended") }
}
