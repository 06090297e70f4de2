//! The settings of Prefect that we honour: how they are called in the environment and in TOML files.

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// Its variables, the preferred one first. Profiles use the same names.
    pub vars: &'static [&'static str],
    /// Where it stands in `prefect.toml`, and below `tool.prefect` in `pyproject.toml`.
    pub toml: &'static [&'static str],
}

const fn named(vars: &'static [&'static str], toml: &'static [&'static str]) -> Name {
    Name { vars, toml }
}

// Prefect 3.8.8 settings/models/{root,api,client,cloud,deployments}.py
pub(super) const API_URL: Name = named(&["PREFECT_API_URL"], &["api", "url"]);
pub(super) const API_KEY: Name = named(&["PREFECT_API_KEY"], &["api", "key"]);
pub(super) const API_AUTH: Name = named(&["PREFECT_API_AUTH_STRING"], &["api", "auth_string"]);
pub(super) const HEADERS: Name = named(&["PREFECT_CLIENT_CUSTOM_HEADERS"], &["client", "custom_headers"]);
pub(super) const TLS_INSECURE: Name =
    named(&["PREFECT_API_TLS_INSECURE_SKIP_VERIFY"], &["api", "tls_insecure_skip_verify"]);
pub(super) const CA_FILE: Name = named(&["PREFECT_API_SSL_CERT_FILE"], &["api", "ssl_cert_file"]);
pub(super) const HTTP2: Name = named(&["PREFECT_API_ENABLE_HTTP2"], &["api", "enable_http2"]);
pub(super) const TIMEOUT: Name = named(&["PREFECT_API_REQUEST_TIMEOUT"], &["api", "request_timeout"]);
pub(super) const MAX_RETRIES: Name = named(&["PREFECT_CLIENT_MAX_RETRIES"], &["client", "max_retries"]);
pub(super) const RETRY_CODES: Name = named(&["PREFECT_CLIENT_RETRY_EXTRA_CODES"], &["client", "retry_extra_codes"]);
pub(super) const CSRF: Name = named(&["PREFECT_CLIENT_CSRF_SUPPORT_ENABLED"], &["client", "csrf_support_enabled"]);
pub(super) const CLOUD_API_URL: Name = named(&["PREFECT_CLOUD_API_URL"], &["cloud", "api_url"]);
pub(super) const CLOUD_UI_URL: Name = named(&["PREFECT_CLOUD_UI_URL"], &["cloud", "ui_url"]);
pub(super) const UI_URL: Name = named(&["PREFECT_UI_URL"], &["ui_url"]);
pub(super) const HOME: Name = named(&["PREFECT_HOME"], &["home"]);
pub(super) const PROFILES_PATH: Name = named(&["PREFECT_PROFILES_PATH"], &["profiles_path"]);
pub(super) const LOGS_TO_API: Name = named(&["PREFECT_LOGGING_TO_API_ENABLED"], &["logging", "to_api", "enabled"]);
pub(super) const WORKER_QUERY: Name = named(&["PREFECT_WORKER_QUERY_SECONDS"], &["worker", "query_seconds"]);
pub(super) const WORKER_HEARTBEAT: Name =
    named(&["PREFECT_WORKER_HEARTBEAT_SECONDS"], &["worker", "heartbeat_seconds"]);
pub(super) const WORKER_PREFETCH: Name = named(&["PREFECT_WORKER_PREFETCH_SECONDS"], &["worker", "prefetch_seconds"]);
pub(super) const WORKER_HOST: Name = named(&["PREFECT_WORKER_WEBSERVER_HOST"], &["worker", "webserver", "host"]);
pub(super) const WORKER_PORT: Name = named(&["PREFECT_WORKER_WEBSERVER_PORT"], &["worker", "webserver", "port"]);
pub(super) const WORK_POOL: Name = named(
    &["PREFECT_DEPLOYMENTS_DEFAULT_WORK_POOL_NAME", "PREFECT_DEFAULT_WORK_POOL_NAME"],
    &["deployments", "default_work_pool_name"],
);
pub(super) const DOCKER_NAMESPACE: Name = named(
    &["PREFECT_DEPLOYMENTS_DEFAULT_DOCKER_BUILD_NAMESPACE", "PREFECT_DEFAULT_DOCKER_BUILD_NAMESPACE"],
    &["deployments", "default_docker_build_namespace"],
);
