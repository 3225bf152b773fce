//! The rules that a manifest can break, by the names under which they are told.

use protocol::Problem;

/// What breaking a rule means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The manifest is refused.
    Error,
    /// The manifest is accepted; somebody should look at it.
    Lint,
}

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// How the text is written, before anything in it has a meaning.
    Yaml,
    /// Keys and types.
    Shape,
    /// What the manifest says, and whether its parts fit each other.
    Meaning,
    /// What no app may do, however it is written.
    Policy,
    /// Whether the apps of a catalog fit each other.
    Catalog,
    /// Advice.
    Lint,
}

macro_rules! rules {
    ($($area:ident { $($(#[$doc:meta])* $rule:ident = $id:literal,)* })*) => {
        /// A rule.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule { $($($(#[$doc])* $rule,)*)* }

        impl Rule {
            /// All rules.
            pub const ALL: &[Self] = &[$($(Self::$rule,)*)*];

            /// Its name in messages.
            pub fn id(self) -> &'static str {
                match self { $($(Self::$rule => $id,)*)* }
            }

            /// What it is about.
            pub fn area(self) -> Area {
                match self { $($(Self::$rule)|* => Area::$area,)* }
            }
        }
    };
}

rules! {
    Yaml {
        /// The text is longer than a manifest may be.
        Size = "size",
        /// The text is not UTF-8.
        Utf8 = "utf8",
        /// The text begins with a byte order mark.
        ByteOrderMark = "byte_order_mark",
        /// The text is not YAML.
        Syntax = "syntax",
        /// There is a second document.
        OneDocument = "one_document",
        /// There is a directive (`%YAML`, `%TAG`).
        NoDirectives = "no_directives",
        /// There is an anchor (`&name`).
        NoAnchors = "no_anchors",
        /// There is an alias (`*name`).
        NoAliases = "no_aliases",
        /// There is a tag (`!name`).
        NoTags = "no_tags",
        /// There is a merge key (`<<`).
        NoMergeKeys = "no_merge_keys",
        /// A key is a list, a mapping or nothing.
        PlainKeys = "plain_keys",
        /// A key stands twice in one mapping.
        DuplicateKey = "duplicate_key",
        /// A key is very long.
        KeyLength = "key_length",
        /// Lists and mappings are nested too deeply.
        Depth = "depth",
        /// A value holds a control character or one that nobody sees.
        ControlCharacter = "control_character",
    }
    Shape {
        /// A key is not known here.
        UnknownKey = "unknown_key",
        /// A key is missing.
        MissingKey = "missing_key",
        /// A value is of another kind than expected, for instance a list for a text.
        WrongType = "wrong_type",
        /// A value is of the right kind but means nothing here.
        InvalidValue = "invalid_value",
        /// A name has other characters than names have.
        Name = "name",
        /// There is more wrong than is told.
        TooMany = "too_many",
    }
    Meaning {
        /// The format of the manifest is newer than this node.
        ManifestVersion = "manifest_version",
        /// A text for people is empty or too long.
        Text = "text",
        /// The id is one that the node or the engine uses itself.
        ReservedId = "reserved_id",
        /// The file's folder has another name than the app.
        FolderName = "folder_name",
        /// There are no services.
        NoServices = "no_services",
        /// A link has services, or no website.
        Link = "link",
        /// A name stands twice in a list.
        Repeated = "repeated",
        /// The window of the restart intensity has no length.
        Period = "period",
        /// The waits between restarts do not fit each other.
        Backoff = "backoff",
        /// A secret is neither generated nor given, or both.
        SecretSource = "secret_source",
        /// A secret has too few or too many bytes.
        SecretLength = "secret_length",
        /// A secret is given both as a file and as a variable, or twice as the same.
        SecretTarget = "secret_target",
        /// A secret's owner cannot be told, as the user is not given in numbers.
        SecretOwner = "secret_owner",
        /// A certificate cannot be made so.
        Cert = "cert",
        /// A file has no text or two.
        ConfigSource = "config_source",
        /// A template is not well formed.
        Template = "template",
        /// A template names a variable that there is not, or not at this place.
        TemplateVariable = "template_variable",
        /// A service has no image.
        ImageMissing = "image_missing",
        /// A service has both an image and a build.
        ImageOrBuild = "image_or_build",
        /// An image reference is not well formed.
        Image = "image",
        /// The pull policy does not fit the image.
        PullPolicy = "pull_policy",
        /// A volume is not declared.
        UnknownVolume = "unknown_volume",
        /// A secret is not declared.
        UnknownSecret = "unknown_secret",
        /// A file is not declared.
        UnknownConfig = "unknown_config",
        /// A certificate is not declared.
        UnknownCert = "unknown_cert",
        /// A network is not declared.
        UnknownNetwork = "unknown_network",
        /// A service depends on one that there is not.
        UnknownDependency = "unknown_dependency",
        /// A service is named that there is not.
        UnknownService = "unknown_service",
        /// Services wait for each other.
        Cycle = "cycle",
        /// A service should become healthy that nobody probes.
        NoProbe = "no_probe",
        /// Two mounts have one place.
        DuplicateMount = "duplicate_mount",
        /// A path in a container is not absolute, or lies where nothing may be mounted.
        ContainerPath = "container_path",
        /// An environment variable has no proper name.
        Environment = "environment",
        /// A line of an environment file is not `NAME=value`.
        EnvFile = "env_file",
        /// A label has no proper name or is the node's own.
        Label = "label",
        /// A command is empty.
        Command = "command",
        /// A user is not well formed.
        User = "user",
        /// A signal is none that asks for an end.
        StopSignal = "stop_signal",
        /// The grace is longer than a stop may take.
        Grace = "grace",
        /// One waits for the end of what is restarted whenever it ends.
        NeverEnds = "never_ends",
        /// The engine cannot do this as it should be done.
        Unsupported = "unsupported",
        /// A probe is not well formed.
        Probe = "probe",
        /// A probe asks a port that cannot be asked so.
        ProbePort = "probe_port",
        /// A healthcheck is not well formed.
        Healthcheck = "healthcheck",
        /// A number is not a port.
        Port = "port",
        /// A port needs root.
        PrivilegedPort = "privileged_port",
        /// An address is none.
        HostIp = "host_ip",
        /// A port is published twice.
        DuplicatePort = "duplicate_port",
        /// Two ports of a service have one name.
        DuplicatePortName = "duplicate_port_name",
        /// A container's name is not well formed.
        ContainerName = "container_name",
        /// Two containers have one name.
        DuplicateName = "duplicate_name",
        /// An alias is the container's own name.
        AliasIsName = "alias_is_name",
        /// A network mode does not fit networks or ports.
        NetworkMode = "network_mode",
        /// A resource limit is out of range.
        Limit = "limit",
        /// An interface points at no port.
        Interface = "interface",
        /// A gate is not well formed.
        Gate = "gate",
        /// A requirement of another app is not well formed.
        Requires = "requires",
        /// The app conflicts with itself.
        Conflicts = "conflicts",
        /// A hook is not well formed.
        Hook = "hook",
        /// A backup includes what is not there, or its patterns are not well formed.
        Backup = "backup",
        /// An update may take no time, or too much.
        Update = "update",
        /// An adoption is not well formed.
        Adopt = "adopt",
    }
    Policy {
        /// A container wants all rights.
        Privileged = "privileged",
        /// A container wants the host's network.
        HostNetwork = "host_network",
        /// A container wants to see the host's processes or another container's.
        HostPid = "host_pid",
        /// A container wants the host's shared memory or another container's.
        HostIpc = "host_ipc",
        /// A container wants the host's host name.
        HostUts = "host_uts",
        /// A container wants another user namespace than its own.
        HostUserns = "host_userns",
        /// A container wants another place in the cgroups than its own.
        Cgroup = "cgroup",
        /// A container wants to speak with the engine.
        EngineSocket = "engine_socket",
        /// A container wants a capability that none may have.
        Capability = "capability",
        /// A container wants a device that none may have.
        Device = "device",
        /// A container wants less confinement.
        SecurityOpt = "security_opt",
        /// A container wants to change a kernel setting that is not its own.
        Sysctl = "sysctl",
        /// Arguments are meant for the engine as they are.
        RawArguments = "raw_arguments",
        /// A path of the host is absolute.
        PathAbsolute = "path_absolute",
        /// A path of the host leaves its folder.
        PathTraversal = "path_traversal",
        /// A path of the host has characters that it must not have, or an empty part.
        PathCharacters = "path_characters",
        /// A path of the host is very long.
        PathLength = "path_length",
        /// A path of the host is the node's own.
        PathReserved = "path_reserved",
        /// A path lies below a folder that a container writes, and which it could make a link out of it.
        PathNested = "path_nested",
        /// A secret would stand where everybody who inspects the container reads it.
        SecretExposed = "secret_exposed",
    }
    Catalog {
        /// A required app is not in the catalog.
        UnknownApp = "unknown_app",
        /// A required capability is provided by no app of the catalog.
        UnknownCapability = "unknown_capability",
        /// A gate is required that no provider exports.
        UnknownGate = "unknown_gate",
        /// Apps need each other.
        RequiresCycle = "requires_cycle",
        /// Two apps publish one port.
        PortClash = "port_clash",
        /// Two apps have containers of one name.
        NameClash = "name_clash",
        /// Two apps answer to one name on a network that they share.
        AliasClash = "alias_clash",
    }
    Lint {
        /// A password stands in the environment.
        LiteralPassword = "literal_password",
        /// A password stands in an address.
        UrlPassword = "url_password",
        /// An image is not pinned by its digest.
        ImageDigest = "image_digest",
        /// An image's tag is `latest`, or there is none.
        LatestTag = "latest_tag",
        /// An image's tag names no version.
        MovingTag = "moving_tag",
        /// An image does not say from which registry it is.
        ShortImage = "short_image",
        /// Nobody asks a service whether it works.
        NoHealth = "no_health",
        /// A check needs a shell in the image.
        ShellProbe = "shell_probe",
        /// A liveness probe kills what is only slow.
        HastyLiveness = "hasty_liveness",
        /// A service starts before its database is ready.
        StartedOnly = "started_only",
        /// Nothing is what people open.
        NoMain = "no_main",
        /// A database can be reached from outside of the machine.
        ExposedDatabase = "exposed_database",
        /// A name on a shared network is one that other apps use, too.
        SharedAlias = "shared_alias",
        /// A service looks for another one in its own container.
        LocalhostPeer = "localhost_peer",
        /// An address of one network stands in the manifest.
        HostAddress = "host_address",
        /// Two services write one volume.
        SharedVolume = "shared_volume",
        /// A database has no volume.
        NoVolume = "no_volume",
        /// A volume is read and never written.
        NoWriter = "no_writer",
        /// A file is meant to be changed by the app, which cannot.
        ReadOnlyConfig = "read_only_config",
        /// A read-only container has no place for temporary files.
        ReadOnlyTmp = "read_only_tmp",
        /// A database is copied while it may be writing.
        NoDump = "no_dump",
        /// Data are copied while they change.
        OnlineBackup = "online_backup",
        /// A database may be killed while it writes its state.
        ShortGrace = "short_grace",
        /// Logs are written where nobody bounds them.
        UnboundedLogs = "unbounded_logs",
        /// A service may take all memory.
        NoMemoryLimit = "no_memory_limit",
        /// Something is declared and not used.
        Unused = "unused",
        /// The page in the store would be empty.
        StorePage = "store_page",
        /// An allowance of a lint has no reason, or nothing to allow.
        Allowance = "allowance",
    }
}

impl Rule {
    /// What breaking it means.
    pub fn severity(self) -> Severity {
        if self.area() == Area::Lint { Severity::Lint } else { Severity::Error }
    }

    /// The rule with the given name.
    pub fn by_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.id() == id)
    }

    /// That it is broken, without a place.
    pub(crate) fn problem(self, field: &str, message: impl Into<String>, remedy: &str) -> Problem {
        Problem {
            rule: self.id().into(),
            field: field.into(),
            line: None,
            column: None,
            message: message.into(),
            remedy: remedy.into(),
        }
    }
}
