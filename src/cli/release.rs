//! `reconcile release`: lets go of objects without deleting them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::args::{Global, ReleaseArgs};
use super::exit::{Exit, wrong_usage};
use super::progress::Progress;
use super::{ask, output, pass};
use crate::model::Key;
use crate::reconcile::release::{self, Next};
use crate::reconcile::{Pass, PassError, lock, stop};
use crate::report::text::printable;
use crate::report::{FORMAT_VERSION, count};

/// Runs the command.
pub async fn run(global: &Global, args: ReleaseArgs, stop: CancellationToken) -> Exit {
    let (patterns, path) = match meant(&args.objects) {
        Ok(meant) => meant,
        Err(sentence) => return wrong_usage(&sentence),
    };
    if let Err(exit) = ask::somebody(args.yes, "to let go without asking") {
        return exit;
    }
    let (request, api) = match pass::of_scope(global, path, stop).await {
        Ok(both) => both,
        Err(exit) => return exit,
    };
    let reading = Progress::reading(global);
    reading.count(Some(&api));
    let looked = Pass::look(&request, &api).await;
    drop(reading);
    let mut looked = match looked {
        Ok(looked) => looked,
        Err(error) => return pass::failed(&error),
    };
    let chosen = match release::chosen(&looked, &patterns) {
        Ok(chosen) => chosen,
        Err(error) => return pass::failed(&error),
    };
    tell(global, &chosen);
    let scope = looked.reading.scope.clone();
    if !args.yes && !ask::yes("Let go of them? [y/N] ") {
        output::say("nothing was released");
        if global.json {
            output::result(&format!("{:#}", to_json(&scope, &chosen, &[], true)));
        }
        return Exit::Done;
    }
    match under_lock(&mut looked, &args, &chosen).await {
        Ok(released) => {
            let owner = printable(&scope);
            output::result(&match global.json {
                true => format!("{:#}", to_json(&scope, &chosen, &released, false)),
                false => format!("Released: {} of {owner}.", count(released.len(), "object", "objects")),
            });
            Exit::Done
        }
        Err(error) => pass::failed(&error),
    }
}

async fn under_lock(
    looked: &mut Pass<'_>,
    args: &ReleaseArgs,
    chosen: &BTreeMap<Key, Next>,
) -> Result<Vec<Key>, PassError> {
    let _writing = stop::writing()?;
    let guard = lock::acquire(looked, args.lock_timeout.unwrap_or_default()).await?;
    let released = release::release(looked, chosen).await;
    if let Some(guard) = guard {
        guard.release().await;
    }
    released
}

/// Objects, and the directory if the last one is none.
fn meant(words: &[String]) -> Result<(Vec<Key>, Option<String>), String> {
    let (mut objects, mut path) = (Vec::new(), None);
    for (at, word) in words.iter().enumerate() {
        match word.parse() {
            Ok(key) => objects.push(key),
            Err(_) if at + 1 == words.len() && at > 0 && std::path::Path::new(word).exists() => {
                path = Some(word.clone());
            }
            Err(sentence) => return Err(sentence),
        }
    }
    Ok((objects, path))
}

/// Says what is let go, and what git has to say of it.
fn tell(global: &Global, chosen: &BTreeMap<Key, Next>) {
    if global.json {
        return;
    }
    for (key, next) in chosen {
        let mut line = format!("  . {:<11} {}", key.kind.word(), printable(&key.name));
        if let Some(warning) = next.warning(key.kind) {
            line.push_str(&format!("\n      ! {warning}"));
        }
        output::say(&line);
    }
}

fn to_json(scope: &str, chosen: &BTreeMap<Key, Next>, released: &[Key], declined: bool) -> Value {
    let one = |(key, next): (&Key, &Next)| {
        json!({
            "kind": key.kind,
            "name": key.name,
            "released": released.contains(key),
            "next": next.word(),
        })
    };
    let objects: Vec<Value> = chosen.iter().map(one).collect();
    let mut out = json!({ "format_version": FORMAT_VERSION, "scope": scope, "objects": objects, "diagnostics": [] });
    if declined {
        out["declined"] = json!(true);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_may_be_a_directory() {
        let meant = |words: &[&str]| meant(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        let (objects, path) = meant(&["deployment/etl/*", "variable/x", "."]).expect("objects and a directory");
        assert_eq!((objects.len(), path.as_deref()), (2, Some(".")));
        assert!(meant(&["."]).is_err() && meant(&["nowhere"]).is_err());
        assert!(meant(&["variable/x", "varable/y"]).expect_err("no kind").contains("`varable`"));
    }
}
