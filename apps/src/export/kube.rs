//! An app as pods for `podman kube play`.

use super::{by_hand, whole};
use crate::{ContainerSpec, Manifest, MountSource, PortProtocol, Rendered, RenderedService};
use serde_json::{Value, json};

pub(super) fn text(manifest: &Manifest, rendered: &Rendered) -> String {
    let networks = rendered.networks.iter().chain(&rendered.shared_networks);
    let networks: String = networks.map(|network| format!(" --network {network}")).collect();
    let mut text = format!("# {}: podman kube play{networks}\n", manifest.id);
    for note in by_hand(manifest, rendered) {
        text.push_str(&format!("# By hand: {}.\n", note.replace(['\n', '\r'], " ")));
    }
    let claim = |name: &String| {
        let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec})
    };
    let pods = rendered.services.iter().map(|service| pod(manifest, service));
    for document in rendered.volumes.iter().map(claim).chain(pods) {
        text.push_str("---\n");
        text.push_str(&serde_yaml::to_string(&document).unwrap_or_default());
    }
    text
}

/// What is mounted: the mounts of the container, and the volumes of the pod.
fn mounts(spec: &ContainerSpec) -> (Vec<Value>, Vec<Value>) {
    let mut sources: Vec<(String, bool, &str, Value)> = Vec::new();
    for one in &spec.mounts {
        let (kind, source) = match &one.source {
            MountSource::Volume(name) => ("persistentVolumeClaim", json!({"claimName": name})),
            MountSource::Bind(path) => ("hostPath", json!({"path": path})),
        };
        sources.push((one.target.clone(), one.read_only, kind, source));
    }
    for path in &spec.tmpfs {
        sources.push((path.clone(), false, "emptyDir", json!({"medium": "Memory"})));
    }
    for secret in &spec.secrets {
        let whole = if secret.target.starts_with('/') { "" } else { "/run/secrets/" };
        let target = format!("{whole}{}", secret.target);
        let (dir, file) = target.rsplit_once('/').unwrap_or(("/", &target));
        let items = json!([{"key": secret.source, "path": file, "mode": secret.mode}]);
        sources.push((dir.to_owned(), true, "secret", json!({"secretName": secret.source, "items": items})));
    }
    let name = |i: usize| format!("v{i}");
    let mount = |(i, (target, read_only, ..)): (usize, &(String, bool, &str, Value))| json!({"name": name(i), "mountPath": target, "readOnly": read_only});
    let volume = |(i, (_, _, kind, source)): (usize, &(String, bool, &str, Value))| {
        let mut volume = json!({"name": name(i)});
        volume[*kind] = source.clone();
        volume
    };
    (sources.iter().enumerate().map(mount).collect(), sources.iter().enumerate().map(volume).collect())
}

fn pod(manifest: &Manifest, service: &RenderedService) -> Value {
    let spec = whole(service);
    let (mounts, volumes) = mounts(&spec);
    let ports = spec.ports.iter().map(|port| {
        let protocol = if port.protocol == PortProtocol::Udp { "UDP" } else { "TCP" };
        let mut one = json!({"containerPort": port.target, "hostPort": port.published, "protocol": protocol});
        if !port.host_ip.is_empty() {
            one["hostIP"] = port.host_ip.clone().into();
        }
        one
    });
    let plain = spec.environment.iter().map(|(name, value)| json!({"name": name, "value": value}));
    let secret = spec.secret_env.iter().map(
        |(name, secret)| json!({"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": secret}}}),
    );
    let mut container = json!({
        "name": service.service.as_str(),
        "image": spec.image,
        "env": plain.chain(secret).collect::<Vec<_>>(),
        "ports": ports.collect::<Vec<_>>(),
        "volumeMounts": mounts,
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": spec.read_only,
            "capabilities": {"drop": ["ALL"], "add": spec.cap_add},
        },
    });
    if let Some(memory) = spec.memory {
        container["resources"]["limits"]["memory"] = memory.to_string().into();
    }
    if let Some(millis) = spec.cpu_millis {
        container["resources"]["limits"]["cpu"] = format!("{millis}m").into();
    }
    if let Some(user) = &spec.user {
        let (uid, gid) = user.split_once(':').unwrap_or((user, user));
        for (key, number) in [("runAsUser", uid), ("runAsGroup", gid)] {
            if let Ok(number) = number.parse::<u32>() {
                container["securityContext"][key] = number.into();
            }
        }
    }
    if let Some((probe, exec)) =
        service.readiness.as_ref().and_then(|probe| Some((probe, probe.exec.as_ref()?)))
    {
        container["readinessProbe"] = json!({
            "exec": {"command": exec.command},
            "periodSeconds": probe.period_seconds,
            "timeoutSeconds": probe.timeout_seconds,
            "failureThreshold": probe.failure_threshold,
        });
    }
    for (key, words) in [("command", &spec.entrypoint), ("args", &spec.command)] {
        if let Some(words) = words {
            container[key] = json!(words);
        }
    }
    if let Some(dir) = &spec.working_dir {
        container["workingDir"] = dir.clone().into();
    }
    let mut inner = json!({
        "containers": [container],
        "volumes": volumes,
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": spec.stop_grace.as_secs(),
    });
    if let Some(hostname) = &spec.hostname {
        inner["hostname"] = hostname.clone().into();
    }
    // The pod's name is the one under which the others find it.
    let metadata = json!({"name": service.service.as_str(), "labels": {"app": manifest.id.as_str()}});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": inner})
}
