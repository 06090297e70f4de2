//! The first inputs: the project's own fixtures, in the form that each target reads.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

/// Writes `INTO/TARGET/…` from the fixtures below the root of the project.
///
/// # Errors
/// A directory that cannot be read or written.
pub fn write(root: &Path, into: &Path) -> io::Result<()> {
    let mut all = Vec::new();
    for dir in ["tests", "examples", "docs", "schemas"] {
        walk(&root.join(dir), &mut all)?;
    }
    let mut out = Out { into, count: 0 };
    // What fills 16 MiB takes a second each time, and so does all that grows from it.
    all.retain(|(path, _)| !path.to_string_lossy().contains("too-large"));
    for (path, text) in &all {
        let beside = |name: &str| fs::read_to_string(path.with_file_name(name)).ok();
        match path.extension().and_then(|kind| kind.to_str()) {
            Some("yaml" | "yml") => {
                out.put("yaml", text)?;
                out.put("templates", text)?;
                let own = path.to_string_lossy().contains("reconcile.yaml");
                out.put("prefect_yaml", &if own { format!("\n# reconcile.yaml\n{text}") } else { text.clone() })?;
                if let Some(project) = beside("reconcile.yaml").filter(|_| !own) {
                    out.put("prefect_yaml", &format!("{text}\n# reconcile.yaml\n{project}"))?;
                }
            }
            Some("py") => out.put("flow", text)?,
            Some("json") if text.len() < 100_000 => {
                out.put("templates", &format!("{text}\n---\n{{\"values\": {{\"a\": 1}}}}"))?
            }
            _ => {}
        }
    }
    kept_answers(root, &mut out)?;
    flows(root, &mut out)?;
    schedules(root, &mut out)
}

/// Texts with their paths, in the order of the paths.
fn walk(dir: &Path, all: &mut Vec<(std::path::PathBuf, String)>) -> io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(dir)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            walk(&path, all)?;
        } else if let Ok(text) = fs::read_to_string(&path) {
            all.push((path, text));
        }
    }
    Ok(())
}

struct Out<'a> {
    into: &'a Path,
    count: usize,
}

impl Out<'_> {
    fn put(&mut self, target: &str, text: &str) -> io::Result<()> {
        let dir = self.into.join(target);
        fs::create_dir_all(&dir)?;
        self.count += 1;
        fs::write(dir.join(format!("seed-{:05}", self.count)), text)
    }
}

/// The documents whose values PyYAML told.
fn kept_answers(root: &Path, out: &mut Out<'_>) -> io::Result<()> {
    let text = fs::read_to_string(root.join("tests/it/yaml/cases.json"))?;
    let cases: Value = serde_json::from_str(&text).map_err(io::Error::other)?;
    for case in cases.as_object().into_iter().flat_map(|cases| cases.values()) {
        out.put("yaml", case["text"].as_str().unwrap_or_default())?;
    }
    Ok(())
}

/// Flows whose facts Prefect told, and a flow for every annotation.
fn flows(root: &Path, out: &mut Out<'_>) -> io::Result<()> {
    let dir = root.join("tests/it/flows");
    for line in fs::read_to_string(dir.join("examples.jsonl"))?.lines() {
        // Python's JSON knows NaN.
        let Ok(case) = serde_json::from_str::<Value>(line) else { continue };
        out.put("flow", case["source"].as_str().unwrap_or_default())?;
    }
    let prelude = fs::read_to_string(dir.join("prelude.txt"))?;
    for line in fs::read_to_string(dir.join("annotations.txt"))?.lines() {
        out.put("flow", &format!("{prelude}\n@flow\ndef f(x: {line}):\n    pass\n"))?;
    }
    for package in ["cycle", "pkg", "reexport", "script", "shadow", "init"] {
        let mut all = Vec::new();
        walk(&dir.join(package), &mut all)?;
        let part = |(path, text): &(std::path::PathBuf, String)| {
            let name = path.strip_prefix(dir.join(package)).unwrap_or(path).display().to_string();
            format!("# file: {name}\n{text}")
        };
        let rest: String = all.iter().map(part).collect();
        for (_, text) in &all {
            out.put("flow", &format!("{text}\n{rest}"))?;
        }
    }
    Ok(())
}

/// A deployment for every cron, interval, rule and anchor that Prefect was asked about.
fn schedules(root: &Path, out: &mut Out<'_>) -> io::Result<()> {
    let text = fs::read_to_string(root.join("tests/it/data/schedules.json"))?;
    let kinds: Value = serde_json::from_str(&text).map_err(io::Error::other)?;
    for (kind, examples) in kinds.as_object().into_iter().flatten() {
        let key = match kind.as_str() {
            "crons" => "cron",
            "rrules" | "rules" => "rrule",
            kind if kind.contains("interval") => "interval",
            kind if kind.contains("zone") => "cron: '0 1 * * *', timezone",
            _ => "interval: 3600, anchor_date",
        };
        let items: Vec<String> = examples
            .as_array()
            .into_iter()
            .flatten()
            .filter(|example| example.is_string() || example.is_number())
            .map(|example| format!("  - {{{key}: {example}}}\n"))
            .collect();
        for some in items.chunks(5) {
            let head = "deployments:\n- name: a\n  entrypoint: f.py:f\n  work_pool: {name: p}\n  schedules:\n";
            out.put("prefect_yaml", &format!("{head}{}", some.concat()))?;
        }
    }
    Ok(())
}
