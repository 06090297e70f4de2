//! Which environment variables a step sees.

use std::collections::BTreeMap;

/// Names and values.
pub type Env = BTreeMap<String, String>;

/// What every foreign step gets, where it is set.
const ALWAYS: [&str; 4] = ["PATH", "HOME", "LANG", "VIRTUAL_ENV"];
/// What no step gets unless it was named.
const CREDENTIALS: [&str; 2] = ["PREFECT_API_KEY", "PREFECT_API_AUTH_STRING"];

/// For steps that run here: all of it, as in Prefect, but Prefect's credentials only if `named`.
pub fn native(all: &Env, named: &[String]) -> Env {
    let keep = |name: &str| !CREDENTIALS.contains(&name) || named.iter().any(|other| other == name);
    all.iter().filter(|(name, _)| keep(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// For functions in Python: `PATH`, `HOME`, `LANG`, `VIRTUAL_ENV` and what is `named`.
pub fn foreign(all: &Env, named: &[String]) -> Env {
    let keep = |name: &str| ALWAYS.contains(&name) || named.iter().any(|other| other == name);
    all.iter().filter(|(name, _)| keep(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_only_where_they_were_named() {
        let all: Env = ["PATH", "USER", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING", "AWS_PROFILE"]
            .map(|name| (name.to_owned(), "x".to_owned()))
            .into();
        let names = |env: Env| env.into_keys().collect::<Vec<_>>().join(" ");
        let key = ["PREFECT_API_KEY".to_owned()];
        assert_eq!(names(native(&all, &[])), "AWS_PROFILE PATH USER");
        assert_eq!(names(native(&all, &key)), "AWS_PROFILE PATH PREFECT_API_KEY USER");
        assert_eq!(names(foreign(&all, &[])), "PATH");
        assert_eq!(names(foreign(&all, &key)), "PATH PREFECT_API_KEY");
    }
}
