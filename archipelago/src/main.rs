//! The Archipelago daemon: reads its configuration, builds the tree, wires it to the world. No logic.

mod owner;

use actors::{NodeConfig, NodeHandle, ServiceConfig};
use clap::Parser;
use engine::{
    Podman,
    vault::{Restic, Retention},
};
use server::{Limits, Server, ServerConfig, Tls};
use std::{
    env, error, fs,
    io::{self, IsTerminal, Write},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tokio::signal::unix::{SignalKind, signal};

/// Longest time for an orderly end.
const FAREWELL: Duration = Duration::from_secs(8);
/// Longest path of a socket, with its end, on Linux.
const MAX_SOCKET_PATH: usize = 108;

/// Runs a node: supervises the apps of this machine in rootless Podman and serves them as a web page.
#[derive(Debug, Parser)]
#[command(name = "archipelago", version)]
struct Options {
    /// Everything that the node writes.
    #[arg(long, value_name = "DIR", default_value_os_t = default_data_dir())]
    data_dir: PathBuf,
    /// Folder with one folder per app, each with a manifest.yml.
    #[arg(long, value_name = "DIR")]
    catalog: PathBuf,
    /// Address to serve on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8420")]
    listen: SocketAddr,
    /// Name under which the node is reached, beside localhost and its addresses; may be given several times.
    #[arg(long = "allow-host", value_name = "NAME")]
    allowed_hosts: Vec<String>,
    /// Serve with TLS, with a certificate that the node makes for itself.
    #[arg(long)]
    tls: bool,
    /// Serve with TLS, with this certificate chain (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Socket of a Podman service that somebody else runs; without it the node runs its own.
    #[arg(long, value_name = "PATH")]
    podman_socket: Option<PathBuf>,
    /// How many backups of each app are kept: the last ones, and the last of each of as many days, weeks and months.
    #[arg(long, value_name = "COUNTS", default_value_t = Retention::default())]
    keep_backups: Retention,
}

fn default_data_dir() -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_else(|| ".".into())).join(".local/share");
    env::var_os("XDG_DATA_HOME").map_or_else(home, PathBuf::from).join("archipelago")
}

/// Why the daemon ends with an error.
#[derive(Debug, thiserror::Error)]
enum DaemonError {
    #[error("the data directory {0} cannot be used; check its path and permissions")]
    DataDir(PathBuf, #[source] io::Error),
    #[error("another node uses the data directory {0}; stop it, or give another with --data-dir")]
    Locked(PathBuf),
    #[error("the owner's token cannot be read or made")]
    Token(#[source] owner::TokenError),
    #[error(transparent)]
    Node(#[from] actors::NodeError),
    #[error("connections cannot be encrypted")]
    Tls(#[source] server::TlsError),
    #[error("the page cannot be served")]
    Server(#[source] supervisor::SupervisorError),
    #[error("signals cannot be received")]
    Signals(#[source] io::Error),
    #[error("the node's tree ended by itself; its log says why")]
    Ended,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,ractor=warn"));
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(io::stderr).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error),
    };
    let ended = runtime.block_on(run(options));
    runtime.shutdown_timeout(Duration::from_secs(1));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error),
    }
}

/// Prints an error with all its causes.
fn complain(error: &dyn error::Error) -> ExitCode {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(io::stderr(), "archipelago: {text}");
    ExitCode::FAILURE
}

async fn run(options: Options) -> Result<(), DaemonError> {
    let data_dir = options.data_dir;
    let wrong = |error| DaemonError::DataDir(data_dir.clone(), error);
    owner::private_dir(&data_dir).map_err(wrong)?;
    let _lock = lock(&data_dir)?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(DaemonError::Signals)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(DaemonError::Signals)?;
    let token = owner::token(&data_dir).map_err(DaemonError::Token)?;

    let tls = match (&options.tls_cert, &options.tls_key) {
        (Some(certificate), Some(key)) => Some(Tls::from_files(certificate, key)),
        _ => options.tls.then(|| Tls::own(&data_dir, &options.allowed_hosts)),
    };
    let tls = tls.transpose().map_err(DaemonError::Tls)?;
    let scheme = if tls.is_some() { "https" } else { "http" };

    let (socket, service) = match options.podman_socket {
        Some(socket) => (socket, None),
        None => {
            let socket = own_socket(&data_dir);
            let log = data_dir.join("podman-service.log");
            (socket.clone(), Some(ServiceConfig { socket, log }))
        }
    };
    let own_socket = service.as_ref().map(|service| service.socket.clone());
    let node = NodeHandle::start(NodeConfig {
        data_dir: data_dir.clone(),
        catalog_dir: options.catalog,
        engine: Arc::new(Podman::connect(socket)),
        vault: Arc::new(Restic::at(data_dir.join("backups"))),
        retention: options.keep_backups,
        service,
        faults: None,
    })
    .await?;
    let server = Server::new(&ServerConfig {
        listen: options.listen,
        node: Arc::new(node.clone()),
        setup_token_hash: *blake3::hash(token.as_bytes()).as_bytes(),
        allowed_hosts: options.allowed_hosts,
        local_socket: local_socket(&data_dir),
        tls,
        limits: Limits::default(),
    });
    let served = node.root().start_child(server.child_spec()).await;
    if let Err(error) = served {
        node.stop().await;
        return Err(DaemonError::Server(error));
    }
    let address = server.address().unwrap_or(options.listen);
    private_file(&data_dir.join("url"), &format!("{scheme}://{address}\n")).map_err(wrong)?;
    // Whoever started this daemon reads the line; that nobody does is no reason to end.
    let _ = writeln!(io::stdout(), "listening on {scheme}://{address}").and_then(|()| io::stdout().flush());

    // A node whose store does not answer says so when somebody logs in.
    if node.accounts().owner().await.is_ok_and(|owner| owner.password.is_none()) {
        let _ =
            writeln!(io::stdout(), "no password is set yet; set one on the page with this token: {token}");
    }

    let by_itself = tokio::select! {
        _ = interrupted.recv() => false,
        _ = terminated.recv() => false,
        () = node.root().wait() => true,
    };
    if by_itself {
        return Err(DaemonError::Ended);
    }
    tracing::info!("node stopping; its apps go on running");
    if tokio::time::timeout(FAREWELL, node.stop()).await.is_err() {
        tracing::warn!("tree did not end in time");
    }
    if let Some(socket) = own_socket {
        // Podman leaves it behind; the next start would clear it away too.
        let _ = fs::remove_file(socket);
    }
    Ok(())
}

/// Sees to it that one node at a time uses a data directory.
fn lock(data_dir: &Path) -> Result<fs::File, DaemonError> {
    let wrong = |error| DaemonError::DataDir(data_dir.to_owned(), error);
    let file = fs::File::options()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(data_dir.join("lock"))
        .map_err(wrong)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(DaemonError::Locked(data_dir.to_owned())),
        Err(fs::TryLockError::Error(error)) => Err(wrong(error)),
    }
}

/// Writes a file that only its owner can read, whatever the umask is.
fn private_file(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// Where `archy` of the same user reaches the node; nowhere, if the folder's path is too long for a socket.
fn local_socket(data_dir: &Path) -> Option<PathBuf> {
    let path = data_dir.join("archy.sock");
    let fits = path.as_os_str().len() < MAX_SOCKET_PATH;
    if !fits {
        tracing::warn!("the data directory's path is too long for a local socket; archy uses the token");
    }
    fits.then_some(path)
}

/// Where the node's own Podman service listens: one per data directory, and short enough for a socket.
fn own_socket(data_dir: &Path) -> PathBuf {
    let runtime = env::var_os("XDG_RUNTIME_DIR").map_or_else(env::temp_dir, PathBuf::from);
    let hash = blake3::hash(data_dir.as_os_str().as_encoded_bytes()).to_hex();
    runtime.join(format!("archipelago-{}.sock", &hash[..12]))
}
