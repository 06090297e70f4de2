//! `reconcile import`: writes files that declare what exists on the API, and takes it over. Changes no object.

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::args::{Global, ImportArgs, Selecting};
use super::connect::{Absent, connect};
use super::exit::{Exit, wrong_usage};
use super::progress::Progress;
use super::{output, pass};
use crate::model::{Key, Kind};
use crate::plan::export::{Draft, LeftOut};
use crate::reconcile::import::{Imported, Wanted, import};
use crate::reconcile::read::declared_api;
use crate::report::text::printable;
use crate::report::{count, diagnostics_json};

/// Runs the command.
pub async fn run(global: &Global, args: ImportArgs, stop: CancellationToken) -> Exit {
    let (names, path) = match split(&args.objects) {
        Ok(split) => split,
        Err(sentence) => return wrong_usage(&sentence),
    };
    if args.all != names.is_empty() {
        return wrong_usage("name what to import, KIND/NAME, or give `--all`; not both");
    }
    let selecting = Selecting { path, ..Selecting::default() };
    let mut request = match pass::request(global, &selecting, stop) {
        Ok(request) => request,
        Err(sentence) => return wrong_usage(&sentence),
    };
    let connected = match connect(global, &pass::directory(&request), declared_api(&request), Absent::DoWithout).await {
        Ok(connected) => connected,
        Err(exit) => return exit,
    };
    pass::settle(&mut request, &connected);
    let Some(api) = &connected.api else {
        return wrong_usage("there is no API to import from: set PREFECT_API_URL or give `--api-url`");
    };
    let wanted = Wanted {
        names: (!args.all).then_some(names),
        write: !args.dry_run,
        patience: args.lock_timeout.unwrap_or_default(),
    };
    let reading = Progress::reading(global);
    reading.count(Some(api));
    let imported = import(&request, api, &wanted).await;
    drop(reading);
    match imported {
        Ok(imported) => finish(global, &args, &imported),
        Err(error) => pass::failed(&error),
    }
}

/// Objects, and the directory: the one argument that does not begin with a kind.
fn split(arguments: &[String]) -> Result<(Vec<Key>, Option<String>), String> {
    let (mut names, mut path) = (Vec::new(), None);
    for argument in arguments {
        match argument.parse::<Key>() {
            Ok(key) if key.kind == Kind::Flow => {
                return Err(format!("`{argument}`: flows come with their deployments: `deployment/{}/*`", key.name));
            }
            Ok(key) => names.push(key),
            Err(why) if path.is_some() || !std::path::Path::new(argument).is_dir() => return Err(why),
            Err(_) => path = Some(argument.clone()),
        }
    }
    Ok((names, path))
}

fn finish(global: &Global, args: &ImportArgs, imported: &Imported) -> Exit {
    pass::show(global, &imported.diagnostics, &imported.texts);
    if imported.is_invalid() {
        if !global.json {
            output::result(&pass::refusal(&imported.diagnostics));
        }
        return Exit::Invalid;
    }
    if global.json {
        output::result(&format!("{:#}", to_json(args, imported)));
    } else {
        output::result(&if args.dry_run { texts(imported) } else { text(imported) });
        if args.dry_run {
            output::say(&text(imported));
        }
    }
    let refused = imported.left_out.iter().any(|left| left.named);
    match (refused, imported.files.is_empty()) {
        (false, _) => Exit::Done,
        (true, false) => Exit::Partly,
        (true, true) => Exit::Failed,
    }
}

/// What is declared, without what can only be shown.
fn live(imported: &Imported) -> impl Iterator<Item = &Draft> {
    imported.drafts.iter().filter(|draft| draft.inert.is_none())
}

fn to_json(args: &ImportArgs, imported: &Imported) -> Value {
    let file = |file: &crate::plan::export::File| {
        let lines = file.places.iter().map(|(line, key)| (key, *line));
        let declares = |key: &Key| live(imported).any(|draft| draft.key == *key);
        let objects = lines.filter(|(key, _)| declares(key));
        let objects = objects.map(|(key, line)| json!({"kind": key.kind, "name": key.name, "line": line}));
        json!({
            "path": file.path.as_str(),
            "objects": objects.collect::<Vec<_>>(),
            "text": args.dry_run.then_some(&file.text),
        })
    };
    let secrets = live(imported).flat_map(|draft| draft.secrets.iter().map(move |secret| (draft, secret)));
    let secret = |(draft, secret): (&Draft, &crate::plan::export::Hidden)| json!({"variable": secret.name, "kind": draft.key.kind, "name": draft.key.name, "path": format!("data.{}", secret.path)});
    let left = |left: &LeftOut| json!({"kind": left.key.kind, "name": left.key.name, "why": left.why});
    let key = |key: &Key| json!({"kind": key.kind, "name": key.name});
    json!({
        "format_version": crate::report::FORMAT_VERSION,
        "scope": imported.scope,
        "written": !args.dry_run && !imported.files.is_empty(),
        "owned": imported.owned,
        "files": imported.files.iter().map(file).collect::<Vec<_>>(),
        "imported": live(imported).flat_map(Draft::keys).map(key).collect::<Vec<_>>(),
        "secrets": secrets.map(secret).collect::<Vec<_>>(),
        "declared": imported.declared.iter().map(key).collect::<Vec<_>>(),
        "left_out": imported.left_out.iter().map(left).collect::<Vec<_>>(),
        "diagnostics": diagnostics_json(&imported.diagnostics),
    })
}

/// The files as they would be written, one YAML document or JSON text after the other.
fn texts(imported: &Imported) -> String {
    imported.files.iter().map(|file| format!("# {}\n{}", file.path, file.text)).collect::<Vec<_>>().join("\n")
}

fn text(imported: &Imported) -> String {
    let mut out = String::new();
    for file in &imported.files {
        let declares = |key: &&Key| live(imported).any(|draft| draft.key == **key);
        let keys: Vec<String> =
            file.places.iter().map(|(_, key)| key).filter(declares).map(|key| printable(&key.to_string())).collect();
        out.push_str(&format!("{}\n", file.path));
        keys.iter().for_each(|key| out.push_str(&format!("  + {key}\n")));
    }
    if !imported.left_out.is_empty() {
        out.push_str("left out\n");
        for left in &imported.left_out {
            out.push_str(&format!("  - {}: {}\n", printable(&left.key.to_string()), printable(&left.why)));
        }
    }
    let secrets: Vec<&str> =
        live(imported).flat_map(|draft| &draft.secrets).map(|secret| secret.name.as_str()).collect();
    if !secrets.is_empty() {
        out.push_str("secrets to be set where reconcile runs\n");
        secrets.iter().for_each(|name| out.push_str(&format!("  {name}\n")));
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(&summary(imported));
    out
}

fn summary(imported: &Imported) -> String {
    let objects = live(imported).flat_map(Draft::keys).count();
    let declared = match imported.declared.len() {
        0 => String::new(),
        n => format!(", {n} declared already"),
    };
    if objects == 0 {
        return format!("Nothing to import{declared}.");
    }
    let what = count(objects, "object", "objects");
    let files = count(imported.files.len(), "file", "files");
    let owned = if imported.owned { format!(", owned by the scope `{}`", imported.scope) } else { String::new() };
    format!("Imported: {what} in {files}{owned}{declared}.")
}
