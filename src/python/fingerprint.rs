//! What a Python is made of, told from its files without starting it: with it answers of another day can be trusted.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Candidate;

/// The version of Python and every installed package with its version, Prefect among them: as text, one a line.
///
/// None where that cannot be told from files alone: for a program that is no plain interpreter, or one that takes
/// packages from more than one place.
pub fn fingerprint(candidate: &Candidate, home: Option<&Path>) -> Option<String> {
    let prefix = prefix(&candidate.path)?;
    let about = fs::read_to_string(prefix.join("pyvenv.cfg")).ok();
    let mut places = site_packages(&prefix.join("lib"));
    match &about {
        Some(about) if setting(about, "include-system-site-packages").is_some_and(|word| word != "false") => {
            return None;
        }
        Some(_) => {}
        None => places.extend(home.into_iter().flat_map(|home| site_packages(&home.join(".local/lib")))),
    }
    let mut lines = BTreeSet::new();
    // `version` or, as virtualenv writes it, `version_info`.
    for key in ["version", "version_info"] {
        lines.extend(about.as_deref().and_then(|about| setting(about, key)).map(|word| format!("python {word}")));
    }
    for place in &places {
        let version = place.parent().and_then(Path::file_name)?.to_str()?;
        for entry in fs::read_dir(place).ok()?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".dist-info") || name.ends_with(".pth") || name.ends_with(".egg-link") {
                lines.insert(format!("{version} {name}"));
            }
        }
    }
    let has_prefect = lines.iter().any(|line| line.split(' ').nth(1).is_some_and(|name| name.starts_with("prefect-")));
    has_prefect.then(|| lines.into_iter().collect::<Vec<_>>().join("\n"))
}

/// The version of a Python, `(3, 12)`, told from its files: the `pyvenv.cfg` of its environment, or the name of the program.
pub fn version(candidate: &Candidate) -> Option<(u8, u8)> {
    let about = prefix(&candidate.path).and_then(|prefix| fs::read_to_string(prefix.join("pyvenv.cfg")).ok());
    match about {
        Some(about) => ["version", "version_info"].iter().find_map(|key| parsed(setting(&about, key)?)),
        None => parsed(candidate.path.canonicalize().ok()?.file_name()?.to_str()?.strip_prefix("python")?),
    }
}

/// The first two numbers of a version.
pub fn parsed(text: &str) -> Option<(u8, u8)> {
    let mut numbers = text.trim().split('.').map(|number| number.trim().parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// `sys.prefix`: for a virtual environment the directory of its `pyvenv.cfg`, else that of the real program.
fn prefix(program: &Path) -> Option<PathBuf> {
    let above = |program: &Path| program.parent().and_then(Path::parent).map(Path::to_owned);
    let near = above(program)?;
    if near.join("pyvenv.cfg").is_file() {
        return Some(near);
    }
    above(&program.canonicalize().ok()?)
}

/// `lib/python3.12/site-packages` and its like.
fn site_packages(lib: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(lib).into_iter().flatten().flatten();
    let versions = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("python3."));
    let mut places: Vec<PathBuf> =
        versions.map(|entry| entry.path().join("site-packages")).filter(|place| place.is_dir()).collect();
    places.sort();
    places
}

fn setting<'a>(about: &'a str, key: &str) -> Option<&'a str> {
    let pairs = about.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.trim(), value.trim())).find(|(name, _)| *name == key).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(path: PathBuf) -> Candidate {
        Candidate { path, named_by: "a test", explicit: false }
    }

    fn environment(prefect: &str, about: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let site = dir.path().join("lib/python3.12/site-packages");
        for package in [&format!("prefect-{prefect}.dist-info"), "pydantic-2.0.dist-info"] {
            fs::create_dir_all(site.join(package)).unwrap();
        }
        fs::create_dir(dir.path().join("bin")).unwrap();
        fs::write(dir.path().join("bin/python"), "").unwrap();
        fs::write(dir.path().join("pyvenv.cfg"), about).unwrap();
        dir
    }

    #[test]
    fn another_version_of_anything_is_another_python() {
        let print = |prefect: &str, about: &str| {
            fingerprint(&candidate(environment(prefect, about).path().join("bin/python")), None)
        };
        let one = print("3.8.8", "version = 3.12.1\n").expect("it can be told");
        assert_eq!(Some(&one), print("3.8.8", "home = /x\nversion = 3.12.1\n").as_ref(), "wherever it lies");
        assert_ne!(Some(&one), print("3.8.9", "version = 3.12.1\n").as_ref());
        assert_ne!(Some(&one), print("3.8.8", "version = 3.12.2\n").as_ref());
        assert!(one.contains("python3.12 pydantic-2.0.dist-info"), "{one}");
    }

    #[test]
    fn what_cannot_be_told_is_not_guessed() {
        let mixed = environment("3.8.8", "include-system-site-packages = true\n");
        assert_eq!(fingerprint(&candidate(mixed.path().join("bin/python")), None), None);
        let without = environment("3.8.8", "");
        fs::remove_dir(without.path().join("lib/python3.12/site-packages/prefect-3.8.8.dist-info")).unwrap();
        assert_eq!(fingerprint(&candidate(without.path().join("bin/python")), None), None);
        assert_eq!(fingerprint(&candidate("/no/such/bin/python".into()), None), None);
    }

    #[test]
    fn versions_are_told_by_the_environment_or_the_name() {
        assert_eq!(
            (parsed("3.12.1"), parsed("3.9"), parsed("3"), parsed("x.y")),
            (Some((3, 12)), Some((3, 9)), None, None)
        );
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bin/python3");
        fs::create_dir(dir.path().join("bin")).unwrap();
        fs::write(dir.path().join("pyvenv.cfg"), "home = /usr/bin\nversion_info = 3.13.1.final.0\n").unwrap();
        fs::write(&path, "").unwrap();
        assert_eq!(version(&Candidate { path, named_by: "a test", explicit: true }), Some((3, 13)));
        let path = dir.path().join("python3.12");
        fs::write(&path, "").unwrap();
        assert_eq!(version(&Candidate { path, named_by: "a test", explicit: true }), Some((3, 12)));
    }
}
