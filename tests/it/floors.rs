//! The floors of the house, as `src/lib.rs` draws them: what may import what, and who may do what.

use std::collections::BTreeSet;
use std::path::Path;

use crate::explain::sources;

/// The rooms of each floor.
const FLOORS: [&[&str]; 6] = [
    &["model", "diagnostic", "explain"],
    &["manifest", "flow", "render", "resource"],
    &["plan", "report"],
    &["settings", "api", "source", "steps", "python", "local", "notify", "forge", "infra", "telemetry"],
    &["reconcile", "worker"],
    &["cli", "main"],
];

/// Imports within a floor: diagnostics point at places, which are words of the model.
const SIDEWAYS: [(&str, &str); 1] = [("diagnostic", "model")];

/// The last floor that is pure: no I/O, so nothing to wait for.
const PURE: usize = 2;

/// Who may look into a single secret: who keeps them, coerces them, fills them in, names things by them, masks them,
/// and sends them.
const REVEAL: [&str; 7] = ["model", "manifest", "render", "plan", "steps", "infra", "api"];

/// Who may turn a whole value into true JSON: who compares it, and who sends it or hands it to a step or a job.
const REVEALED: [&str; 7] = ["model", "manifest", "render", "plan", "steps", "reconcile", "infra"];

/// A room's floor.
fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// The room that a file of `src` belongs to; none for `lib.rs`.
fn room(path: &Path) -> Option<String> {
    let first = path.iter().next().unwrap().to_str().unwrap();
    let room = first.strip_suffix(".rs").unwrap_or(first);
    (room != "lib").then(|| room.to_owned())
}

/// The text without lines of comments.
fn code(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The rooms that a text names as `crate::room` or in `crate::{room, …}`.
fn imports(text: &str) -> BTreeSet<String> {
    text.match_indices("crate::").flat_map(|(at, word)| heads(&text[at + word.len()..])).collect()
}

/// The first names of one path or of a group of paths.
fn heads(text: &str) -> Vec<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = text.strip_prefix('{') else { return vec![name(text)] };
    let (mut depth, mut begins, mut found) = (0, true, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            c if begins && (c.is_alphabetic() || c == '_') => {
                begins = false;
                found.push(name(&group[at..]));
            }
            _ => {}
        }
    }
    found
}

/// What every file of every room has to say; no text means that the file is fine.
fn complaints(about: impl Fn(&str, &str) -> Vec<String>) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources() {
        let Some(room) = room(&path) else { continue };
        let text = code(&text);
        found.extend(about(&room, &text).into_iter().map(|what| format!("{}: {what}", path.display())));
    }
    found
}

#[test]
fn groups_of_imports_are_understood() {
    let text = "use crate::{api::{Api, Which}, model::Key,\n    plan};\nlet x = crate::report::count(1);";
    assert_eq!(imports(text).into_iter().collect::<Vec<_>>(), ["api", "model", "plan", "report"]);
}

#[test]
fn every_room_has_a_floor_and_every_floor_its_rooms() {
    let found: BTreeSet<String> = sources().keys().filter_map(|path| room(path)).collect();
    let listed: BTreeSet<String> = FLOORS.iter().copied().flatten().map(|room| room.to_string()).collect();
    assert_eq!(found, listed);
}

#[test]
fn a_room_imports_from_lower_floors_only() {
    let wrong = complaints(|room, text| {
        let allowed = |other: &str| {
            other == room || SIDEWAYS.contains(&(room, other)) || floor(other).is_some_and(|f| Some(f) < floor(room))
        };
        imports(text).into_iter().filter(|other| !allowed(other)).map(|other| format!("imports `{other}`")).collect()
    });
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_pure_floors_wait_for_nothing() {
    let wrong = complaints(|room, text| {
        let pure = floor(room).is_some_and(|floor| floor <= PURE);
        let waits = ["async fn", "async move", ".await", "tokio::"].into_iter().filter(|word| text.contains(word));
        waits.filter(|_| pure).map(|word| format!("has `{word}` on a pure floor")).collect()
    });
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn few_rooms_look_into_secrets() {
    let wrong = complaints(|room, text| {
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let calls: [(&str, &[&str]); 3] = [(".reveal(", &REVEAL), (".reveal_str(", &REVEAL), (".revealed(", &REVEALED)];
        let calls = calls.into_iter().filter(|(call, rooms)| text.contains(call) && !rooms.contains(&room));
        calls.map(|(call, _)| format!("calls `{call}…)`")).collect()
    });
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn only_one_room_knows_paths_of_the_api() {
    // Paths that nothing else would spell like this.
    const PATHS: [&str; 4] = ["/deployments/filter", "/block_documents/", "/automations/filter", "/work_pools/filter"];
    let wrong = complaints(|room, text| {
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let paths = PATHS.into_iter().filter(|path| room != "api" && text.contains(path));
        paths.map(|path| format!("knows `{path}`")).collect()
    });
    assert_eq!(wrong, Vec::<String>::new());
}
