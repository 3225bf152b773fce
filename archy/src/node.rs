//! Which node is meant, and the token for it.

use crate::{cli::Cli, fail::Failure, login};
use protocol::client::{Auth, Client};
use std::{
    env, fs,
    path::{Path, PathBuf},
};

const DEFAULT_URL: &str = "http://127.0.0.1:8420";

/// A client of the node that the options name.
pub(crate) fn client(cli: &Cli) -> Result<Client, Failure> {
    let dir = || cli.data_dir.clone().map_or_else(default_dir, Ok);
    // Whoever names an address or a token means these; otherwise the own node is asked as its own user.
    let named = cli.url.is_some() || cli.token.is_some() || cli.token_file.is_some();
    if !named {
        let socket = dir()?.join("archy.sock");
        if socket.exists() {
            return Ok(Client::local(&socket)?);
        }
        if cli.data_dir.is_none()
            && let Some(remembered) = login::remembered()?
        {
            return remembered.client();
        }
    }
    let url = match &cli.url {
        Some(url) => url.clone(),
        None => url_of(&dir()?),
    };
    let token = match (&cli.token_file, &cli.token) {
        (None, Some(token)) => token.clone(),
        (Some(file), _) => token_in(file.clone())?,
        (None, None) => token_in(dir()?.join("owner-token"))?,
    };
    let auth = Auth::Bearer(token.trim().into());
    if !url.starts_with("https://") {
        return Ok(Client::new(&url, auth)?);
    }
    let file = cli.cert.clone().map_or_else(|| dir().map(|dir| dir.join("tls-cert.pem")), Ok)?;
    let pem = fs::read(&file).map_err(|error| Failure::Unreadable(file, error))?;
    Ok(Client::with_certificate(&url, auth, &pem)?)
}

/// The data directory that is meant.
pub(crate) fn data_dir(cli: &Cli) -> Result<PathBuf, Failure> {
    cli.data_dir.clone().map_or_else(default_dir, Ok)
}

fn token_in(file: PathBuf) -> Result<String, Failure> {
    fs::read_to_string(&file).map_err(|error| Failure::Token(file, error))
}

fn default_dir() -> Result<PathBuf, Failure> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")));
    Ok(data.ok_or(Failure::NoHome)?.join("archipelago"))
}

/// What the node wrote when it started; a node that listens everywhere is reached on this machine by loopback.
fn url_of(dir: &Path) -> String {
    match fs::read_to_string(dir.join("url")) {
        Ok(url) => url.trim().replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:"),
        Err(_) => DEFAULT_URL.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn cli(dir: &Path, more: &[&str]) -> Cli {
        let dir = dir.to_str().unwrap();
        let args = [&["archy", "--data-dir", dir], more, &["apps"]].concat();
        let cli = Cli::try_parse_from(args).unwrap();
        // The environment of whoever runs the tests does not count.
        let url = cli.url.filter(|_| more.contains(&"--url"));
        Cli { url, token: None, ..cli }
    }

    #[test]
    fn address_and_token_come_from_the_data_directory() {
        let dir = tempfile::tempdir().unwrap();
        let missing = client(&cli(dir.path(), &[])).unwrap_err();
        assert!(matches!(&missing, Failure::Token(path, _) if path.ends_with("owner-token")), "{missing}");
        fs::write(dir.path().join("owner-token"), "secret\n").unwrap();
        assert_eq!(client(&cli(dir.path(), &[])).unwrap().base_url(), DEFAULT_URL);
        fs::write(dir.path().join("url"), "http://127.0.0.1:9\n").unwrap();
        assert_eq!(client(&cli(dir.path(), &[])).unwrap().base_url(), "http://127.0.0.1:9");
        fs::write(dir.path().join("url"), "http://0.0.0.0:9\n").unwrap();
        assert_eq!(client(&cli(dir.path(), &[])).unwrap().base_url(), "http://127.0.0.1:9");
        let other = client(&cli(dir.path(), &["--url", "http://node.lan:80"])).unwrap();
        assert_eq!(other.base_url(), "http://node.lan:80");
        assert!(client(&cli(dir.path(), &["--url", "nonsense"])).is_err());
    }
}
