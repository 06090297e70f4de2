//! The address of the web interface that belongs to an API address.

/// What Prefect infers where `PREFECT_UI_URL` is not set (Prefect 3.8.8 settings/models/_defaults.py and cloud.py).
pub(super) fn inferred(api_url: &str, cloud_api_url: &str, cloud_ui_url: Option<&str>) -> String {
    let cloud_ui = cloud_ui_url.map_or_else(|| cloud_ui(cloud_api_url), str::to_owned);
    let mut url = api_url.to_owned();
    if api_url.starts_with(cloud_api_url) && !cloud_ui.is_empty() {
        url = url.replace(cloud_api_url, &cloud_ui);
    }
    if let Some(bare) = url.strip_suffix("/api") {
        url = bare.to_owned();
    }
    url.replace("/api/", "/").replace("/accounts/", "/account/").replace("/workspaces/", "/workspace/")
}

fn cloud_ui(api_url: &str) -> String {
    let ui = match api_url.strip_prefix("https://api") {
        Some(rest) if is_prefect_host(rest) => format!("https://app{rest}"),
        _ => api_url.to_owned(),
    };
    ui.strip_suffix("/api").map(str::to_owned).unwrap_or(ui)
}

/// Whether what follows `https://api` is like `.prefect.cloud/…`.
fn is_prefect_host(rest: &str) -> bool {
    let host = rest.split('/').next().unwrap_or(rest);
    host.rsplit_once(".prefect.").is_some_and(|(_, end)| !end.is_empty() && !end.contains('.')) && rest.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_inferred() {
        let cloud = "https://api.prefect.cloud/api";
        let of = |url: &str| inferred(url, cloud, None);
        assert_eq!(of("http://127.0.0.1:4200/api"), "http://127.0.0.1:4200");
        assert_eq!(
            of("https://api.prefect.cloud/api/accounts/a/workspaces/w"),
            "https://app.prefect.cloud/account/a/workspace/w"
        );
        assert_eq!(of("https://x.org/prefect/api"), "https://x.org/prefect");
    }
}
