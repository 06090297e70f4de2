//! `reconcile render`: one object as it would be sent, with where each of its values comes from. Writes nothing.

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::args::{Global, RenderArgs};
use super::connect::{Absent, connect};
use super::exit::{Exit, wrong_usage};
use super::progress::Progress;
use super::{output, pass, remote};
use crate::diagnostic::did_you_mean;
use crate::model::plan::Action;
use crate::model::{Key, Kind};
use crate::reconcile::origins::{self, Rendered, Row};
use crate::reconcile::read::declared_api;
use crate::reconcile::{Decided, Pass, Python, builds};
use crate::report::left_json;
use crate::report::text::{left_to_python, printable};

/// How many characters of one value are shown unless all are asked for.
const WIDTH: usize = 60;

/// Runs the command.
pub async fn run(global: &Global, args: RenderArgs, stop: CancellationToken) -> Exit {
    let key = match key(&args.object) {
        Ok(key) => key,
        Err(sentence) => return wrong_usage(&sentence),
    };
    let mut request = match pass::request(global, &args.selecting, stop) {
        Ok(request) => request,
        Err(sentence) => return wrong_usage(&sentence),
    };
    let reading = Progress::reading(global);
    let _files = match remote::fetch(&args.selecting, &mut request, remote::Unsigned::Fails).await {
        Ok(files) => files,
        Err(unfetched) => return unfetched.exit,
    };
    let connected = match connect(global, &pass::directory(&request), declared_api(&request), Absent::DoWithout).await {
        Ok(connected) => connected,
        Err(exit) => return exit,
    };
    pass::settle(&mut request, &connected);
    reading.count(connected.api.as_ref());
    let prepared = match Pass::prepare(&request, connected.api.as_ref(), Python::AtApply).await {
        Ok(prepared) => prepared,
        Err(error) => return pass::failed(&error),
    };
    let decided = match prepared.decide(&builds::remembered(&prepared)).await {
        Ok(decided) => decided,
        Err(error) => return pass::failed(&error),
    };
    drop(reading);
    pass::show(global, &decided.diagnostics, &prepared.reading.texts);
    let Some(rendered) = origins::render(&prepared, &decided, &key, Timestamp::now()) else {
        return not_found(global, &key, &decided);
    };
    let fate = fate(&decided, &key, connected.api.is_some());
    output::result(&match global.json {
        true => format!("{:#}", to_json(&key, fate, &rendered)),
        false => text(&key, fate, &rendered, args.full),
    });
    Exit::Done
}

fn key(object: &str) -> Result<Key, String> {
    object.parse()
}

fn not_found(global: &Global, key: &Key, decided: &Decided) -> Exit {
    if decided.is_invalid() {
        // Who wants JSON gets the diagnostics in the place of the object.
        if !global.json {
            output::result(&pass::refusal(&decided.diagnostics));
        }
        return Exit::Invalid;
    }
    let names = origins::names(decided, key.kind);
    let hint = did_you_mean(&key.name, names.iter().map(String::as_str)).unwrap_or_else(|| match names.len() {
        0 => format!("no {} is declared", key.kind),
        _ => format!("declared are {}", names.iter().take(20).cloned().collect::<Vec<_>>().join(", ")),
    });
    wrong_usage(&format!("there is no {key}: {hint}"))
}

/// What would become of it.
fn fate(decided: &Decided, key: &Key, api: bool) -> &'static str {
    let change = decided.planned.plan.changes.iter().find(|change| change.key == *key);
    let is_held = decided.planned.plan.held.iter().any(|held| held.key == *key);
    match change.map(|change| change.action) {
        _ if decided.is_invalid() => "invalid",
        _ if !api => "unknown",
        None if is_held => "held",
        Some(Action::Create | Action::Replace) => "create",
        Some(Action::Update) => "update",
        Some(Action::Adopt) => "adopt",
        Some(Action::Delete | Action::Release) | None if key.kind == Kind::Flow => {
            match decided.observed.flows.contains_key(&key.name) {
                true => "unchanged",
                false => "create",
            }
        }
        Some(Action::Delete | Action::Release) | None => "unchanged",
    }
}

fn to_json(key: &Key, fate: &str, rendered: &Rendered) -> Value {
    let row = |row: &Row| {
        json!({
            "path": row.path.to_string(),
            "value": row.value.masked(),
            "from": row.from.word(),
            "file": row.origin.as_ref().map(|origin| origin.file.as_str()),
            "line": row.origin.as_ref().map(|origin| origin.span.line),
            "column": row.origin.as_ref().map(|origin| origin.span.column),
            "refers": row.refers,
        })
    };
    json!({
        "kind": key.kind,
        "name": key.name,
        "action": fate,
        "body": rendered.body,
        "patch": rendered.patch,
        "values": rendered.rows.iter().map(row).collect::<Vec<_>>(),
        "left_to_python": rendered.left_to_python.iter().map(left_json).collect::<Vec<_>>(),
    })
}

fn text(key: &Key, fate: &str, rendered: &Rendered, full: bool) -> String {
    let fate = match fate {
        "create" => "would be created",
        "update" => "would be updated",
        "adopt" => "would be adopted as it is",
        "unchanged" => "is as declared; nothing would be sent",
        "held" => "is held; `plan` says why",
        "invalid" => "other files are invalid; nothing would be sent",
        _ => "no API configured",
    };
    let lines: Vec<[String; 3]> =
        rendered.rows.iter().map(|row| [printable(&row.path.to_string()), value(row, full), place(row)]).collect();
    let width = |n: usize| lines.iter().map(|line| line[n].chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1).min(WIDTH + 1));
    let mut out = format!("{} {}  {fate}\n\n", key.kind, printable(&key.name));
    for [path, value, place] in &lines {
        out.push_str(&format!("  {path:<first$}  {value:<second$}  {place}\n"));
    }
    if !rendered.left_to_python.is_empty() {
        out.push('\n');
    }
    rendered.left_to_python.iter().for_each(|left| out.push_str(&format!("  ? {}\n", left_to_python(left))));
    out
}

fn value(row: &Row, full: bool) -> String {
    let text = printable(&row.value.masked().to_string());
    if full || text.chars().count() <= WIDTH {
        return text;
    }
    format!("{}…", text.chars().take(WIDTH).collect::<String>())
}

fn place(row: &Row) -> String {
    let mut parts = vec![match (&row.origin, row.from) {
        (Some(origin), origins::Provenance::File) => printable(&origin.to_string()),
        (Some(origin), from) => format!("{} in {}", from.phrase(), printable(origin.file.as_str())),
        (None, from) => from.phrase().to_owned(),
    }];
    parts.extend(row.refers.iter().map(|name| printable(name)));
    parts.join(", ")
}
