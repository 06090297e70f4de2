//! The arguments of docker-py's `containers.create` → the body that the Engine API takes. Pure.
//!
//! `container_create_kwargs` are such arguments, so whoever wrote them has docker-py's names and values in mind.
//! docker-py 7.2 `models/containers.py`, `types/containers.py`, `utils/utils.py`.

use serde_json::{Map, Value, json};

/// Splits a line into words as a shell does.
pub type Split = fn(&str) -> Result<Vec<String>, &'static str>;

/// When and how an argument goes into the host configuration.
#[derive(Clone, Copy)]
enum How {
    /// Unless it is null, false, zero or empty.
    Truthy,
    /// The same, a whole number.
    Whole,
    /// The same, a list.
    List,
    /// Unless it is null.
    Given,
    /// A number of bytes, with or without a unit; unless it is null.
    Bytes,
    /// Unless it is empty; nothing but `host` is allowed.
    Host,
}

/// Arguments that go into the host configuration under another name and nothing else.
const HOST: [(&str, &str, How); 49] = [
    ("auto_remove", "AutoRemove", How::Truthy),
    ("blkio_weight", "BlkioWeight", How::Whole),
    ("blkio_weight_device", "BlkioWeightDevice", How::List),
    ("cap_add", "CapAdd", How::Truthy),
    ("cap_drop", "CapDrop", How::Truthy),
    ("cgroup_parent", "CgroupParent", How::Given),
    ("cgroupns", "CgroupnsMode", How::Truthy),
    ("cpu_count", "CpuCount", How::Whole),
    ("cpu_percent", "CpuPercent", How::Whole),
    ("cpu_period", "CpuPeriod", How::Whole),
    ("cpu_quota", "CpuQuota", How::Whole),
    ("cpu_rt_period", "CpuRealtimePeriod", How::Whole),
    ("cpu_rt_runtime", "CpuRealtimeRuntime", How::Whole),
    ("cpu_shares", "CpuShares", How::Whole),
    ("cpuset_cpus", "CpusetCpus", How::Truthy),
    ("cpuset_mems", "CpusetMems", How::Truthy),
    ("device_cgroup_rules", "DeviceCgroupRules", How::List),
    ("device_read_bps", "BlkioDeviceReadBps", How::List),
    ("device_read_iops", "BlkioDeviceReadIOps", How::List),
    ("device_write_bps", "BlkioDeviceWriteBps", How::List),
    ("device_write_iops", "BlkioDeviceWriteIOps", How::List),
    ("dns", "Dns", How::Given),
    ("dns_opt", "DnsOptions", How::Given),
    ("dns_search", "DnsSearch", How::Truthy),
    ("init", "Init", How::Given),
    ("ipc_mode", "IpcMode", How::Truthy),
    ("isolation", "Isolation", How::Truthy),
    ("kernel_memory", "KernelMemory", How::Bytes),
    ("mem_limit", "Memory", How::Bytes),
    ("mem_reservation", "MemoryReservation", How::Bytes),
    ("mem_swappiness", "MemorySwappiness", How::Given),
    ("memswap_limit", "MemorySwap", How::Bytes),
    ("mounts", "Mounts", How::Given),
    ("nano_cpus", "NanoCpus", How::Whole),
    ("oom_kill_disable", "OomKillDisable", How::Truthy),
    ("oom_score_adj", "OomScoreAdj", How::Whole),
    ("pid_mode", "PidMode", How::Truthy),
    ("pids_limit", "PidsLimit", How::Whole),
    ("privileged", "Privileged", How::Truthy),
    ("publish_all_ports", "PublishAllPorts", How::Truthy),
    ("read_only", "ReadonlyRootfs", How::Given),
    ("restart_policy", "RestartPolicy", How::Truthy),
    ("runtime", "Runtime", How::Truthy),
    ("security_opt", "SecurityOpt", How::List),
    ("shm_size", "ShmSize", How::Bytes),
    ("storage_opt", "StorageOpt", How::Given),
    ("userns_mode", "UsernsMode", How::Host),
    ("uts_mode", "UTSMode", How::Host),
    ("volume_driver", "VolumeDriver", How::Given),
];

/// Arguments that go into the body under another name and nothing else, unless they are null.
const PLAIN: [(&str, &str); 13] = [
    ("domainname", "Domainname"),
    ("environment", "Env"),
    ("hostname", "Hostname"),
    ("image", "Image"),
    ("labels", "Labels"),
    ("mac_address", "MacAddress"),
    ("network_disabled", "NetworkDisabled"),
    ("stdin_open", "OpenStdin"),
    ("stop_signal", "StopSignal"),
    ("tty", "Tty"),
    ("working_dir", "WorkingDir"),
    ("command", "Cmd"),
    ("entrypoint", "Entrypoint"),
];

/// What a container is made from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Body {
    /// What the API takes; holds the environment, so it is not for logs.
    pub json: Value,
    /// The platform that is asked for.
    pub platform: Option<String>,
    /// Whether settings for proxies of the client's configuration go into its environment.
    pub proxies: bool,
}

/// The body for arguments of docker-py.
///
/// # Errors
/// One sentence that names the argument, where docker-py refuses it too.
pub(super) fn body(mut args: Map<String, Value>, split: Split) -> Result<Body, String> {
    let platform = text(args.remove("platform"), "platform")?.filter(|platform| !platform.is_empty());
    let proxies = args.remove("use_config_proxy").is_none_or(|value| is_truthy(&value));
    let mut json = Map::new();
    container(&mut args, &mut json, split)?;
    let mut host = Map::new();
    network(&mut args, &mut host, &mut json)?;
    ports(&mut args, &mut host, &mut json)?;
    volumes(&mut args, &mut host, &mut json)?;
    for (name, key, how) in HOST {
        if let Some(value) = args.remove(name)
            && let Some(value) = how.of(name, value)?
        {
            host.insert(key.to_owned(), value);
        }
    }
    lists(&mut args, &mut host)?;
    structures(&mut args, &mut host)?;
    if let Some(name) = args.keys().next() {
        return Err(format!("docker-py's `containers.create` takes no argument `{name}`"));
    }
    json.insert("HostConfig".to_owned(), Value::Object(host));
    Ok(Body { json: Value::Object(json), platform, proxies })
}

impl How {
    fn of(self, name: &str, value: Value) -> Result<Option<Value>, String> {
        let wrong = |what: &str| Err(format!("`{name}` is not {what}"));
        match self {
            How::Truthy if !is_truthy(&value) => Ok(None),
            How::Whole if !is_truthy(&value) => Ok(None),
            How::Whole if !(value.is_i64() || value.is_boolean()) => wrong("a whole number"),
            How::List if value.is_null() => Ok(None),
            How::List if !value.is_array() => wrong("a list"),
            How::Given | How::Bytes if value.is_null() => Ok(None),
            How::Bytes => bytes(name, &value).map(Some),
            How::Host if !is_truthy(&value) => Ok(None),
            How::Host if value != "host" => wrong("`host`, and nothing else is possible"),
            How::Truthy | How::Whole | How::List | How::Given | How::Host => Ok(Some(value)),
        }
    }
}

/// What Python's `if value` goes by.
fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

fn text(value: Option<Value>, name: &str) -> Result<Option<String>, String> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{name}` is no text")),
    }
}

/// A number of bytes: `512m`, `1.5g`, `100kb`, `1048576`.
pub(super) fn bytes(name: &str, value: &Value) -> Result<Value, String> {
    let text = match value {
        Value::Number(_) => return Ok(value.clone()),
        Value::String(text) if text.is_empty() => return Ok(json!(0)),
        Value::String(text) => text,
        _ => return Err(format!("`{name}` is no number of bytes")),
    };
    let wrong = || format!("`{name}` is no number of bytes such as `512m`, `1g` or `1048576`: `{text}`");
    let two = text.chars().rev().take(2).filter(char::is_ascii_alphabetic).count() == 2;
    let text = if two { text.strip_suffix(['b', 'B']).unwrap_or(text) } else { text };
    let (digits, unit) = match text.chars().next_back().map(|unit| unit.to_ascii_lowercase()) {
        Some('0'..='9') => (text, 1.0),
        Some('b') => (&text[..text.len() - 1], 1.0),
        Some('k') => (&text[..text.len() - 1], 1024.0),
        Some('m') => (&text[..text.len() - 1], 1024.0 * 1024.0),
        Some('g') => (&text[..text.len() - 1], 1024.0 * 1024.0 * 1024.0),
        Some('t') => (&text[..text.len() - 1], 1024.0 * 1024.0 * 1024.0 * 1024.0),
        Some(_) | None => return Err(wrong()),
    };
    let number = digits.trim().parse::<f64>().map_err(|_| wrong())? * unit;
    if !number.is_finite() || number.abs() > 9.0e18 {
        return Err(wrong());
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is finite and small enough")]
    Ok(json!(number as i64))
}

/// What is said of the container itself.
fn container(args: &mut Map<String, Value>, json: &mut Map<String, Value>, split: Split) -> Result<(), String> {
    for (name, key) in PLAIN {
        let Some(value) = args.remove(name).filter(|value| !value.is_null()) else { continue };
        let value = match (name, value) {
            ("command" | "entrypoint", Value::String(line)) => {
                json!(split(&line).map_err(|error| format!("`{name}`: {error}"))?)
            }
            ("environment", Value::Object(map)) => Value::Array(map.into_iter().map(variable).collect()),
            ("labels", Value::Array(labels)) => {
                labels.iter().filter_map(Value::as_str).map(|label| (label.to_owned(), json!(""))).collect()
            }
            (_, value) => value,
        };
        json.insert(key.to_owned(), value);
    }
    if let Some(user) = args.remove("user").filter(|user| !user.is_null()) {
        json.insert("User".to_owned(), json!(spelt(&user)));
    }
    if let Some(check) = args.remove("healthcheck").filter(is_truthy) {
        json.insert("Healthcheck".to_owned(), healthcheck(&check)?);
    }
    let attached = !args.remove("detach").is_some_and(|detach| is_truthy(&detach));
    let opened = attached && json.get("OpenStdin").is_some_and(is_truthy);
    for (key, value) in [("AttachStdin", opened), ("AttachStdout", attached), ("AttachStderr", attached)] {
        json.insert(key.to_owned(), json!(value));
    }
    json.insert("StdinOnce".to_owned(), json!(opened));
    Ok(())
}

/// A variable as the API takes it; one without a value is taken out of the environment of the image.
fn variable((name, value): (String, Value)) -> Value {
    match value {
        Value::Null => json!(name),
        value => json!(format!("{name}={}", spelt(&value))),
    }
}

/// What Python prints of a value that is no structure.
fn spelt(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => "None".to_owned(),
        value => value.to_string(),
    }
}

fn healthcheck(given: &Value) -> Result<Value, String> {
    let given = given.as_object().ok_or("`healthcheck` is no mapping")?;
    let of = |small: &str, large: &str| given.get(small).or_else(|| given.get(large)).cloned().unwrap_or(Value::Null);
    let test = match of("test", "Test") {
        Value::String(line) => json!(["CMD-SHELL", line]),
        test => test,
    };
    Ok(json!({
        "Test": test,
        "Interval": of("interval", "Interval"),
        "Timeout": of("timeout", "Timeout"),
        "Retries": of("retries", "Retries"),
        "StartPeriod": of("start_period", "StartPeriod"),
    }))
}

/// The network that the container is in from the start.
fn network(
    args: &mut Map<String, Value>,
    host: &mut Map<String, Value>,
    json: &mut Map<String, Value>,
) -> Result<(), String> {
    let mode = text(args.remove("network_mode"), "network_mode")?.filter(|mode| !mode.is_empty());
    let network = text(args.remove("network"), "network")?.filter(|network| !network.is_empty());
    let endpoints = args.remove("networking_config").filter(is_truthy);
    if let (Some(network), Some(endpoints)) = (&network, endpoints)
        && endpoints.get(network).is_some()
    {
        json.insert("NetworkingConfig".to_owned(), json!({"EndpointsConfig": endpoints}));
    }
    let mode = network.or(mode).unwrap_or_else(|| "default".to_owned());
    host.insert("NetworkMode".to_owned(), json!(mode));
    Ok(())
}

/// Ports: what the container listens on → where on the host.
fn ports(
    args: &mut Map<String, Value>,
    host: &mut Map<String, Value>,
    json: &mut Map<String, Value>,
) -> Result<(), String> {
    let Some(ports) = args.remove("ports").filter(is_truthy) else { return Ok(()) };
    let Value::Object(ports) = ports else { return Err("`ports` is no mapping".to_owned()) };
    if host.get("NetworkMode").is_some_and(|mode| mode == "host") {
        return Err("`ports` make no sense in the network mode `host`".to_owned());
    }
    let (mut bindings, mut exposed) = (Map::new(), Map::new());
    for (port, to) in ports {
        let port = if port.contains('/') { port } else { format!("{port}/tcp") };
        let all = match to {
            Value::Array(all) => all,
            one => vec![one],
        };
        let all: Result<Vec<Value>, String> = all.iter().map(binding).collect();
        exposed.insert(port.clone(), json!({}));
        bindings.insert(port, Value::Array(all?));
    }
    host.insert("PortBindings".to_owned(), Value::Object(bindings));
    json.insert("ExposedPorts".to_owned(), Value::Object(exposed));
    Ok(())
}

/// A place on the host: a port, or a mapping with `HostPort` and `HostIp`.
fn binding(to: &Value) -> Result<Value, String> {
    let port = |port: &Value| if port.is_null() { String::new() } else { spelt(port) };
    match to {
        Value::Object(map) => {
            let at = map.get("HostPort").ok_or("a port's mapping has no `HostPort`")?;
            let ip = map.get("HostIp").map(spelt).unwrap_or_default();
            Ok(json!({"HostIp": ip, "HostPort": port(at)}))
        }
        to => Ok(json!({"HostIp": "", "HostPort": port(to)})),
    }
}

/// Volumes as texts: they are bound, and declared in the container.
fn volumes(
    args: &mut Map<String, Value>,
    host: &mut Map<String, Value>,
    json: &mut Map<String, Value>,
) -> Result<(), String> {
    let Some(volumes) = args.remove("volumes").filter(is_truthy) else { return Ok(()) };
    let Value::Array(binds) = volumes else { return Err("`volumes` is no list".to_owned()) };
    let declared: Map<String, Value> =
        binds.iter().filter_map(Value::as_str).map(|bind| (in_container(bind).to_owned(), json!({}))).collect();
    json.insert("Volumes".to_owned(), Value::Object(declared));
    host.insert("Binds".to_owned(), Value::Array(binds));
    Ok(())
}

/// Where a volume is in the container.
fn in_container(bind: &str) -> &str {
    match bind.split_once(':') {
        None | Some((_, "ro" | "rw")) => bind.split(':').next().unwrap_or(bind),
        Some((_, rest)) => rest.strip_suffix(":ro").or_else(|| rest.strip_suffix(":rw")).unwrap_or(rest),
    }
}

/// What docker-py takes in more than one form and the API as a list.
fn lists(args: &mut Map<String, Value>, host: &mut Map<String, Value>) -> Result<(), String> {
    let mut put = |key: &str, value: Value| drop(host.insert(key.to_owned(), value));
    if let Some(groups) = args.remove("group_add").filter(is_truthy) {
        let groups = groups.as_array().ok_or("`group_add` is no list")?;
        put("GroupAdd", groups.iter().map(spelt).collect());
    }
    if let Some(hosts) = args.remove("extra_hosts").filter(|hosts| !hosts.is_null()) {
        put("ExtraHosts", pairs(hosts));
    }
    if let Some(links) = args.remove("links").filter(|links| !links.is_null()) {
        put("Links", pairs(links));
    }
    if let Some(from) = args.remove("volumes_from").filter(|from| !from.is_null()) {
        let from = match from {
            Value::String(names) => names.split(',').map(|name| json!(name)).collect(),
            other => other,
        };
        put("VolumesFrom", from);
    }
    if let Some(devices) = args.remove("devices").filter(is_truthy) {
        let devices = devices.as_array().ok_or("`devices` is no list")?;
        put("Devices", devices.iter().map(device).collect::<Result<_, _>>()?);
    }
    if let Some(tmpfs) = args.remove("tmpfs").filter(is_truthy) {
        put("Tmpfs", mounted(tmpfs)?);
    }
    Ok(())
}

/// A mapping as a list of `key:value`, in the order of its keys; anything else as it is.
fn pairs(value: Value) -> Value {
    let Value::Object(map) = value else { return value };
    let mut found: Vec<(String, Value)> = map.into_iter().collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let pair = |(key, value): (String, Value)| if is_truthy(&value) { format!("{key}:{}", spelt(&value)) } else { key };
    found.into_iter().map(|entry| json!(pair(entry))).collect()
}

/// `/dev/here:/dev/there:rwm`.
fn device(given: &Value) -> Result<Value, String> {
    match given {
        Value::Object(_) => Ok(given.clone()),
        Value::String(text) => {
            let mut parts = text.split(':');
            let here = parts.next().unwrap_or_default();
            let (there, rights) = (parts.next().unwrap_or(here), parts.next().unwrap_or("rwm"));
            Ok(json!({"PathOnHost": here, "PathInContainer": there, "CgroupPermissions": rights}))
        }
        _ => Err("a device of `devices` is neither text nor a mapping".to_owned()),
    }
}

/// File systems in memory, as a mapping or as a list of `path:options`.
fn mounted(tmpfs: Value) -> Result<Value, String> {
    let Value::Array(mounts) = tmpfs else {
        return if tmpfs.is_object() { Ok(tmpfs) } else { Err("`tmpfs` is neither a list nor a mapping".to_owned()) };
    };
    let mut found = Map::new();
    for mount in &mounts {
        let mount = mount.as_str().ok_or("an item of `tmpfs` is no text")?;
        let (path, options) = mount.split_once(':').unwrap_or((mount, ""));
        found.insert(path.to_owned(), json!(options));
    }
    Ok(Value::Object(found))
}

/// What docker-py has types of its own for.
fn structures(args: &mut Map<String, Value>, host: &mut Map<String, Value>) -> Result<(), String> {
    let mut put = |key: &str, value: Value| drop(host.insert(key.to_owned(), value));
    if let Some(sysctls) = args.remove("sysctls").filter(is_truthy) {
        let sysctls = sysctls.as_object().ok_or("`sysctls` is no mapping")?;
        let texts: Map<String, Value> = sysctls.iter().map(|(key, value)| (key.clone(), json!(spelt(value)))).collect();
        put("Sysctls", Value::Object(texts));
    }
    if let Some(limits) = args.remove("ulimits").filter(|limits| !limits.is_null()) {
        let limits = limits.as_array().ok_or("`ulimits` is no list")?;
        put("Ulimits", limits.iter().map(ulimit).collect::<Result<_, _>>()?);
    }
    if let Some(log) = args.remove("log_config").filter(|log| !log.is_null()) {
        let log = log.as_object().ok_or("`log_config` is no mapping")?;
        let of = |small: &str, large: &str| log.get(small).or_else(|| log.get(large)).cloned();
        let config = of("config", "Config").filter(is_truthy).unwrap_or_else(|| json!({}));
        put("LogConfig", json!({"Type": of("type", "Type"), "Config": config}));
    }
    if let Some(requests) = args.remove("device_requests").filter(|requests| !requests.is_null()) {
        let requests = requests.as_array().ok_or("`device_requests` is no list")?;
        put("DeviceRequests", requests.iter().map(device_request).collect::<Result<_, _>>()?);
    }
    Ok(())
}

fn ulimit(given: &Value) -> Result<Value, String> {
    let given = given.as_object().ok_or("a limit of `ulimits` is no mapping")?;
    let of = |small: &str, large: &str| given.get(small).or_else(|| given.get(large)).cloned().unwrap_or(Value::Null);
    let name = of("name", "Name");
    if !name.is_string() {
        return Err("a limit of `ulimits` has no `name`".to_owned());
    }
    Ok(json!({"Name": name, "Soft": of("soft", "Soft"), "Hard": of("hard", "Hard")}))
}

fn device_request(given: &Value) -> Result<Value, String> {
    let given = given.as_object().ok_or("a request of `device_requests` is no mapping")?;
    let of = |small: &str, large: &str, usual: Value| {
        let found = given.get(small).or_else(|| given.get(large)).filter(|value| !value.is_null());
        found.cloned().unwrap_or(usual)
    };
    Ok(json!({
        "Driver": of("driver", "Driver", json!("")),
        "Count": of("count", "Count", json!(0)),
        "DeviceIDs": of("device_ids", "DeviceIDs", json!([])),
        "Capabilities": of("capabilities", "Capabilities", json!([])),
        "Options": of("options", "Options", json!({})),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_memory_are_read() {
        let of = |text: &str| bytes("mem_limit", &json!(text)).ok().and_then(|value| value.as_i64());
        for (text, wanted) in [
            ("128m", Some(128 << 20)),
            ("1g", Some(1 << 30)),
            ("1.5G", Some(3 << 29)),
            ("100000b", Some(100_000)),
            ("10kb", Some(10_240)),
            ("-1", Some(-1)),
            ("", Some(0)),
            ("1x", None),
            ("m", None),
            ("1e400g", None),
        ] {
            assert_eq!(of(text), wanted, "{text}");
        }
    }

    #[test]
    fn an_argument_that_nobody_knows_is_named() {
        let split: Split = |line| Ok(vec![line.to_owned()]);
        let of = |args: Value| body(args.as_object().cloned().unwrap_or_default(), split);
        assert!(of(json!({"cpu": 2})).expect_err("unknown").contains("`cpu`"));
        assert!(of(json!({"cpu_shares": "2"})).expect_err("no number").contains("`cpu_shares`"));
        assert!(of(json!({"ports": {"80": 1}, "network_mode": "host"})).is_err());
    }
}
