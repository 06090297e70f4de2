//! Names as an engine has them: of containers, of labels, of images.
//!
//! prefect-docker 0.7.4 `worker.py`, Prefect 3.8.8 `utilities/dockerutils.py`, python-slugify 8 `slugify.py`.

use std::collections::BTreeMap;

use deunicode::deunicode;

/// No name of a container is longer, in characters.
const LONGEST: usize = 250;

/// A name that containers may have; none if nothing of it is left.
pub(super) fn of_container(name: &str) -> Option<String> {
    let plain = deunicode(&runs_of_quotes(name)).replace('\'', "");
    let mut slug = String::new();
    for c in without_commas(&plain) {
        let c = if c.is_ascii_alphanumeric() || matches!(c, '_' | '.') { c } else { '-' };
        if !(c == '-' && slug.ends_with('-')) {
            slug.push(c);
        }
    }
    let short: String = slug.trim_matches('-').chars().take(LONGEST).collect();
    let slug = short.trim_matches('-').trim_start_matches(['_', '-', '.']);
    (!slug.is_empty()).then(|| slug.to_owned())
}

/// A run of single quotes becomes one dash.
fn runs_of_quotes(name: &str) -> String {
    let mut out = String::new();
    let mut quoted = false;
    for c in name.chars() {
        match (c == '\'', quoted) {
            (true, true) => {}
            (true, false) => out.push('-'),
            (false, _) => out.push(c),
        }
        quoted = c == '\'';
    }
    out
}

/// The characters of a text, but for commas between digits.
fn without_commas(text: &str) -> impl Iterator<Item = char> {
    let all: Vec<char> = text.chars().collect();
    let digit = |at: Option<&char>| at.is_some_and(char::is_ascii_digit);
    let stays = |at: usize| !(all[at] == ',' && at > 0 && digit(all.get(at - 1)) && digit(all.get(at + 1)));
    (0..all.len()).filter(|at| stays(*at)).map(|at| all[at]).collect::<Vec<_>>().into_iter()
}

/// Labels in Docker's notation: `prefect.io/flow-run-id` is `io.prefect.flow-run-id`.
pub(super) fn of_labels(labels: &BTreeMap<String, String>, version: &str) -> BTreeMap<String, String> {
    let turned = |key: &String| match key.split_once('/') {
        Some((namespace, key)) => format!("{}.{key}", namespace.split('.').rev().collect::<Vec<_>>().join(".")),
        None => key.clone(),
    };
    let mut found: BTreeMap<String, String> = labels.iter().map(|(key, value)| (turned(key), value.clone())).collect();
    found.insert("io.prefect.version".to_owned(), version.to_owned());
    found
}

/// The label by which the container of a run is found.
pub(super) const RUN_LABEL: &str = "io.prefect.flow-run-id";

/// The tag or digest of an image; none if it has neither.
pub(super) fn tag(image: &str) -> Option<&str> {
    let path = image.split_once('/').map_or(image, |(_, path)| path);
    path.split_once('@').or_else(|| path.split_once(':')).map(|(_, tag)| tag)
}

/// An image as a pull names it: repository, and tag or digest.
pub(super) fn to_pull(image: &str) -> (String, String) {
    match tag(image) {
        Some(tag) => (image[..image.len() - tag.len() - 1].to_owned(), tag.to_owned()),
        None => (image.to_owned(), "latest".to_owned()),
    }
}

/// The registry that an image comes from.
pub(super) fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        Some(_) | None => "docker.io",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_get_names_that_engines_take() {
        for (name, slug) in [
            ("odd-owl", Some("odd-owl")),
            ("My Flow: 1,000 rows!", Some("My-Flow-1000-rows")),
            ("it's é'' ß", Some("it-s-e-ss")),
            ("__.-x", Some("x")),
            ("../..", None),
            ("!!!", None),
            ("", None),
            ("a--b - c", Some("a-b-c")),
        ] {
            assert_eq!(of_container(name).as_deref(), slug, "{name}");
        }
        assert_eq!(of_container(&"x".repeat(300)).map(|name| name.len()), Some(250));
    }

    #[test]
    fn images_are_taken_apart() {
        for (image, at, from) in [
            ("busybox", None, "docker.io"),
            ("busybox:latest", Some("latest"), "docker.io"),
            ("prefecthq/prefect:3", Some("3"), "docker.io"),
            ("host.io:5050/a/b", None, "host.io:5050"),
            ("host.io:5050/a/b:1", Some("1"), "host.io:5050"),
            ("localhost/a@sha256:ab", Some("sha256:ab"), "localhost"),
        ] {
            assert_eq!((tag(image), registry(image)), (at, from), "{image}");
        }
        assert_eq!(to_pull("host.io:5050/a"), ("host.io:5050/a".to_owned(), "latest".to_owned()));
        assert_eq!(to_pull("a:1@sha256:ab"), ("a:1".to_owned(), "sha256:ab".to_owned()));
    }

    #[test]
    fn labels_are_turned_round() {
        let labels = BTreeMap::from([("prefect.io/a", "1"), ("team", "x"), ("a.b.c/d/e", "y")]);
        let labels = labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let found = of_labels(&labels, "3.8.8");
        let found: Vec<(&str, &str)> = found.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let wanted = [("c.b.a.d/e", "y"), ("io.prefect.a", "1"), ("io.prefect.version", "3.8.8"), ("team", "x")];
        assert_eq!(found, wanted);
    }
}
