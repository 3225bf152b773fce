//! What can be given on the command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use protocol::{AppId, IdError, Scope, ServiceName, SnapshotId, StreamId};
use std::{fmt, path::PathBuf, str::FromStr};

/// Runs the apps of an Archipelago node from the command line.
#[derive(Debug, Parser)]
#[command(
    name = "archy",
    version,
    after_help = "Times are UTC, by the node's clock. The environment may give ARCHY_URL and ARCHY_TOKEN.\n\n\
        Exit codes:\n  \
        0  done\n  \
        1  the operation failed or was cancelled, the node refused, or the manifest is invalid\n  \
        2  wrong usage, or a file cannot be read\n  \
        3  the node does not answer\n\n\
        Ctrl-C ends the watching, not the operation: `archy cancel APP` does that.\n\
        Colours are off in a pipe and with NO_COLOR."
)]
pub(crate) struct Cli {
    /// The node's data directory, from which its address and token are read
    /// [default: $XDG_DATA_HOME/archipelago or ~/.local/share/archipelago]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The node's address [default: the local socket in DIR, else what `archy login` was given, else what DIR/url
    /// says, or http://127.0.0.1:8420]
    #[arg(long, global = true, value_name = "URL", env = "ARCHY_URL")]
    pub(crate) url: Option<String>,
    /// The certificate that an https:// address shows, or the one that signed it [default: DIR/tls-cert.pem]
    #[arg(long, global = true, value_name = "FILE", env = "ARCHY_CERT")]
    pub(crate) cert: Option<PathBuf>,
    /// File with the token [default: DIR/owner-token]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The token itself; by the environment only, as arguments can be seen by others.
    #[arg(skip = std::env::var("ARCHY_TOKEN").ok())]
    pub(crate) token: Option<String>,
    /// Print JSON, one object per line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the apps and how they are
    Apps,
    /// Put an app on the node and start it
    Install(On),
    /// Start an app; also brings back one that crash-loops
    Start {
        #[command(flatten)]
        on: On,
        /// Also when a gate that it waits for is closed, where the gate's manifest allows that
        #[arg(long)]
        anyway: bool,
    },
    /// Stop an app; it stays stopped
    Stop(On),
    /// Stop an app and start it
    Restart(On),
    /// Take an app off the node; its data are kept unless --purge is given
    Uninstall {
        #[command(flatten)]
        on: On,
        /// Delete its volumes, data and secrets, too, also those that an earlier uninstall has kept
        #[arg(long)]
        purge: bool,
        /// With --purge: the app's id once more, instead of being asked
        #[arg(long, value_name = "APP", requires = "purge")]
        confirm: Option<String>,
    },
    /// Bring an app to the catalog's version; what does not become ready goes back by itself
    Update {
        /// App; without it, what can be updated is listed
        app: Option<AppId>,
        #[command(flatten)]
        wait: Wait,
    },
    /// End what runs on an app, and undo what it has made; done (0) when it is cancelled
    Cancel {
        /// App, or the operation's id
        what: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Take a backup of an app's data
    Backup(On),
    /// List the backups, also of apps that are not on the node any more
    Backups {
        /// Of this app only
        app: Option<AppId>,
    },
    /// Put the data of a backup in place of an app's present data
    Restore {
        #[command(flatten)]
        on: On,
        /// Its id, as `archy backups` lists it, or `latest`
        #[arg(default_value_t = Which::Latest)]
        snapshot: Which,
        /// The app's id once more, instead of being asked
        #[arg(long, value_name = "APP")]
        confirm: Option<String>,
    },
    /// Print every change as it happens
    Watch {
        /// What to watch
        #[arg(long, value_enum, default_value_t = Stream::Apps)]
        stream: Stream,
    },
    /// Print the logs of an app's containers
    Logs {
        /// App
        app: AppId,
        /// Service; all of the app's without it
        service: Option<ServiceName>,
        /// Go on with what comes
        #[arg(short, long)]
        follow: bool,
        /// Number of past lines per container
        #[arg(long, value_name = "N", default_value_t = 200)]
        tail: u32,
    },
    /// Print the supervision tree
    Tree,
    /// Print what happened, oldest first
    Events {
        /// Of this app only
        #[arg(long)]
        app: Option<AppId>,
        /// Number of past events
        #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
        limit: u32,
        /// Go on with what comes
        #[arg(short, long)]
        follow: bool,
    },
    /// List the gates that apps wait for
    Gates,
    /// Tell how the node's own parts are
    Node,
    /// Watch apps, gates and events on the whole screen; q ends it
    Top,
    /// Make, list and remove API tokens
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Give apps the secrets that they ask their owner for
    Secret {
        #[command(subcommand)]
        command: SecretCommand,
    },
    /// List and end logins
    Session {
        #[command(subcommand)]
        command: SessionCommand,
    },
    /// Set the owner's password; over the local socket without the present one
    Passwd,
    /// Remember a node's address and a token for it, which is asked for
    Login {
        /// Address, for instance `https://node.lan:8420`
        address: String,
    },
    /// Check what a node needs of this machine, and say how to mend what is missing
    Doctor,
    /// Print completions for a shell
    Completions {
        /// Shell
        shell: Shell,
    },
    /// Write the manual pages into a folder
    Man {
        /// Folder
        dir: PathBuf,
    },
    /// Work on manifests, without a node
    App {
        #[command(subcommand)]
        command: AppCommand,
    },
}

/// Which backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    Latest,
    Id(SnapshotId),
}

impl FromStr for Which {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        if text == "latest" { Ok(Self::Latest) } else { text.parse().map(Self::Id) }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Id(id) => id.fmt(f),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum AppCommand {
    /// Tell everything that is wrong with a manifest
    Validate {
        /// The manifest
        file: PathBuf,
    },
    /// Begin an app: a manifest that is valid and clean, and a drawing for its icon
    New {
        /// The app's id, also the name of its folder
        id: AppId,
        /// A compose file to begin from
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
        /// Where its folder is made
        #[arg(long, value_name = "DIR", default_value = ".")]
        dir: PathBuf,
    },
    /// Tell what should be looked at before manifests are published
    Lint {
        /// Manifests, or folders that hold one
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Mend what can be mended without changing anything else
        #[arg(long)]
        fix: bool,
        /// Print SARIF, for code review
        #[arg(long)]
        sarif: bool,
    },
    /// Show what the engine will be asked for, or the app in another format
    Render {
        /// The manifest
        file: PathBuf,
        /// Format
        #[arg(long, value_enum, default_value_t = Format::Podman)]
        format: Format,
        /// Write the files into a folder instead of printing them
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Make a manifest of a compose file, also of Umbrel, CasaOS and Runtipi
    Import {
        /// The compose file; what stands beside it is read, too
        file: PathBuf,
        /// The app's id, where the file does not say it
        #[arg(long)]
        id: Option<AppId>,
        /// A variable of the file
        #[arg(long = "set", value_name = "NAME=VALUE")]
        set: Vec<String>,
        /// Write the manifest to a file instead of printing it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Tell what an update changes, what it may do first
    Diff {
        /// The manifest as it is
        old: PathBuf,
        /// The manifest as it would be
        new: PathBuf,
    },
    /// Climb the ladder of tests; the rungs that need a node are not run here
    Test {
        /// The manifest
        file: PathBuf,
        /// What the engine was asked for last time [default: golden.json beside the manifest]
        #[arg(long, value_name = "FILE")]
        golden: Option<PathBuf>,
        /// Write that file anew
        #[arg(long)]
        update: bool,
    },
}

/// A format in which an app is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// What this node asks its engine for
    Podman,
    /// Units for Podman's generator
    Quadlet,
    /// A compose file
    Compose,
    /// Pods for podman kube play
    Kube,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// List the tokens
    List,
    /// Make one and print it, this once
    Create {
        /// What it is for
        name: String,
        /// What it may do
        #[arg(long, value_enum, default_value_t = ScopeArg::Read)]
        scope: ScopeArg,
        /// Days until it ends; without it, it does not
        #[arg(long)]
        days: Option<u32>,
    },
    /// Remove one; what it has open is closed at once
    Remove {
        /// Its id
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// List the secrets that an app asks for, and whether they are given; values are never shown
    List {
        /// App
        app: AppId,
    },
    /// Give one; it is asked for, or read from the first line of a pipe
    Set {
        /// App
        app: AppId,
        /// Name of the secret in the app's manifest
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// List the logins
    List,
    /// End one; what it has open is closed at once
    End {
        /// Its id
        id: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScopeArg {
    Read,
    Operate,
    Admin,
}

impl From<ScopeArg> for Scope {
    fn from(scope: ScopeArg) -> Self {
        match scope {
            ScopeArg::Read => Self::Read,
            ScopeArg::Operate => Self::Operate,
            ScopeArg::Admin => Self::Admin,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct On {
    /// App
    pub(crate) app: AppId,
    #[command(flatten)]
    wait: Wait,
}

#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// Follow the operation to its end (the default)
    #[arg(long, overrides_with = "no_wait")]
    wait: bool,
    /// Return when the node has taken the command
    #[arg(long, overrides_with = "wait")]
    no_wait: bool,
}

impl On {
    /// Whether to follow the operation.
    pub(crate) fn waits(&self) -> bool {
        self.wait.waits()
    }
}

impl Wait {
    /// Whether to follow the operation; the last of the two flags counts.
    pub(crate) fn waits(&self) -> bool {
        self.wait || !self.no_wait
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stream {
    Apps,
    Ops,
    Tree,
    Gates,
    Node,
}

impl From<Stream> for StreamId {
    fn from(stream: Stream) -> Self {
        match stream {
            Stream::Apps => Self::Apps,
            Stream::Ops => Self::Ops,
            Stream::Tree => Self::Tree,
            Stream::Gates => Self::Gates,
            Stream::Node => Self::Node,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn operations_are_followed_unless_told_otherwise() {
        for (flags, waits) in
            [(&[][..], true), (&["--wait"], true), (&["--no-wait"], false), (&["--no-wait", "--wait"], true)]
        {
            let args = ["archy", "install", "demo"].iter().chain(flags);
            let Command::Install(on) = Cli::try_parse_from(args).unwrap().command else { panic!() };
            assert_eq!(on.waits(), waits, "{flags:?}");
        }
    }

    #[test]
    fn the_newest_backup_is_restored_unless_told_otherwise() {
        let which = |args: &[&str]| match Cli::try_parse_from([&["archy", "restore", "demo"], args].concat())
        {
            Ok(Cli { command: Command::Restore { snapshot, .. }, .. }) => Some(snapshot),
            _ => None,
        };
        assert_eq!(which(&[]), Some(Which::Latest));
        assert_eq!(which(&["latest"]), Some(Which::Latest));
        assert_eq!(which(&["4f1c2d3e"]), Some(Which::Id("4f1c2d3e".parse().unwrap())));
        assert_eq!(which(&["--", "--target=/"]), None);
    }

    #[test]
    fn ids_are_checked_before_anything_is_asked() {
        let error = Cli::try_parse_from(["archy", "start", "../x"]).unwrap_err();
        assert!(error.to_string().contains("not a valid app id"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}
