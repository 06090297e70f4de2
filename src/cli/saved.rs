//! A saved plan: what `plan --out` writes, and what `apply --plan` is held to.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::args::{GitArgs, Global, Selecting};
use super::connect::Connected;
use super::exit::{Exit, failed, wrong_usage};
use super::{last_words, output, pass};
use crate::manifest::version_info::without_credentials;
use crate::model::plan::Plan;
use crate::plan::same;
use crate::reconcile::apply::Outcomes;
use crate::reconcile::{Decided, Pass, Python, Request, builds};
use crate::report::{FORMAT_VERSION, Report};

/// No plan is larger; what is larger is not read, in bytes.
const LIMIT: u64 = 128 * 1024 * 1024;

/// How many differing objects a refusal names.
const SHOWN: usize = 20;

/// What was asked of `plan`: with it a plan file can be planned again. The key `request` of the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    selecting: Selecting,
    env: Option<String>,
    project: Option<PathBuf>,
}

/// Writes a plan with what it was made from.
///
/// # Errors
/// What the system says.
pub fn write(file: &Path, report: &Report, global: &Global, selecting: &Selecting) -> std::io::Result<()> {
    let mut selecting = selecting.clone();
    // Whoever applies the plan has credentials of their own.
    selecting.git.url = selecting.git.url.as_deref().map(without_credentials);
    let asked = Asked { selecting, env: global.env.clone(), project: global.project.clone() };
    let mut json = report.to_json();
    json["request"] = json!(asked);
    std::fs::write(file, format!("{json:#}\n"))
}

/// A plan file, read.
pub struct Saved {
    global: Global,
    file: PathBuf,
    digest: String,
    scope: String,
    commit: Option<String>,
    api: Option<String>,
    changes: BTreeMap<String, Value>,
}

/// Reads the file of `--plan`, and takes what it asks for in the place of the command line. Only the command line says
/// whose files these are, if they come from elsewhere: their build steps run.
///
/// # Errors
/// The exit code, after saying why: flags beside it, a file that is not a plan, or one of other files.
pub fn taken(file: Option<&Path>, global: &Global, selecting: &mut Selecting) -> Result<Option<Saved>, Exit> {
    let Some(file) = file else { return Ok(None) };
    let given = selecting.clone();
    let rev = given.rev.clone().filter(|_| given.git.url.is_some());
    if given != (Selecting { git: given.git.clone(), rev, ..Selecting::default() }) {
        let sentence =
            "`--plan FILE` says itself what is meant: leave out PATH and every flag that selects or describes";
        return Err(wrong_usage(sentence));
    }
    let (saved, asked) = read(file, global).map_err(|why| {
        let exit = failed(&format!("`{}` cannot be applied: {why}", file.display()));
        output::help("make a plan with `reconcile plan --out FILE`");
        exit
    })?;
    for (flag, given, held) in [
        ("--env", global.env.clone(), asked.env.clone()),
        ("--project", shown(global.project.as_ref()), shown(asked.project.as_ref())),
    ] {
        if given.is_some() && given != held {
            let held = held.map_or_else(|| format!("without `{flag}`"), |held| format!("with `{flag} {held}`"));
            return Err(wrong_usage(&format!("the plan was made {held}: leave out `{flag}`")));
        }
    }
    if saved.api.is_none() {
        return Err(saved.refused("it was made without an API, for an empty workspace"));
    }
    is_from(&given, &asked.selecting)?;
    // With the credentials of whoever applies it.
    *selecting = Selecting { git: given.git, ..asked.selecting };
    Ok(Some(saved))
}

/// Holds the place that a plan takes its files from to what the command line says of it.
fn is_from(given: &Selecting, held: &Selecting) -> Result<(), Exit> {
    let url = |one: &Selecting| one.git.url.as_deref().map(without_credentials);
    let rev = |one: &Selecting| one.rev.clone().filter(|_| one.git.url.is_some());
    let GitArgs { url: _, branch, git_tag, subdir, submodules, signers } = &held.git;
    let same = [
        ("`--git`", url(given) == url(held)),
        ("`--branch`", given.git.branch == *branch),
        ("`--git-tag`", given.git.git_tag == *git_tag),
        ("`--rev`", rev(given) == rev(held)),
        ("`--subdir`", given.git.subdir == *subdir),
        ("`--submodules`", given.git.submodules == *submodules),
        ("`--signers`", given.git.signers == *signers),
    ];
    let other: Vec<&str> = same.iter().filter(|(_, same)| !same).map(|(flag, _)| *flag).collect();
    if other.is_empty() {
        return Ok(());
    }
    let exit = wrong_usage(&match url(held) {
        Some(url) => format!(
            "the plan takes its files from `{}`, and the command line says otherwise of {}",
            crate::report::text::printable(&url),
            other.join(", ")
        ),
        None => "the plan was made without `--git`: leave it out".to_owned(),
    });
    if held.git.url.is_some() {
        output::help(
            "whoever can write the plan file chooses whose build steps run: if these files are meant, repeat `--git` and \
             what was given with it",
        );
    }
    Err(exit)
}

fn shown(path: Option<&PathBuf>) -> Option<String> {
    path.map(|path| path.display().to_string())
}

fn read(file: &Path, global: &Global) -> Result<(Saved, Asked), String> {
    let json = parsed(file)?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let version = text(&json["format_version"]).ok_or("it has no `format_version`, so it is no plan")?;
    if major(&version) != major(FORMAT_VERSION) {
        return Err(format!("its format is {version}, and this version of reconcile reads {FORMAT_VERSION}"));
    }
    if json["base"]["revision"].is_string() {
        return Err("it compares two commits (`plan --base`) and was not made against an API".to_owned());
    }
    let digest =
        text(&json["digest"]).filter(|digest| is_digest(digest)).ok_or("its `digest` is missing or malformed")?;
    let scope = text(&json["scope"]).ok_or("its `scope` is missing")?;
    let asked =
        json.get("request").ok_or("it does not say what was asked for (`request`): it was not made by `--out`")?;
    let asked: Asked =
        serde_json::from_value(asked.clone()).map_err(|error| format!("its `request` is malformed: {error}"))?;
    let global = Global { env: asked.env.clone(), project: asked.project.clone(), ..global.clone() };
    let saved = Saved {
        global,
        file: file.to_owned(),
        digest,
        scope,
        commit: text(&json["source"]["commit"]),
        api: text(&json["api"]["url"]),
        changes: by_key(&json["changes"]),
    };
    Ok((saved, asked))
}

fn parsed(file: &Path) -> Result<Value, String> {
    let meta = std::fs::metadata(file).map_err(|error| format!("it cannot be read: {error}"))?;
    if !meta.is_file() {
        return Err("it is not a file".to_owned());
    }
    let too_large = || format!("it is larger than {} MiB", LIMIT >> 20);
    if meta.len() > LIMIT {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let opened = File::open(file).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes));
    opened.map_err(|error| format!("it cannot be read: {error}"))?;
    if bytes.len() as u64 > LIMIT {
        return Err(too_large());
    }
    let json: Value = serde_json::from_slice(&bytes).map_err(|error| format!("it is not JSON: {error}"))?;
    if json.is_object() { Ok(json) } else { Err("it holds no JSON object".to_owned()) }
}

fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or(version)
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// What a plan does to each object, as far as it enters its digest.
fn by_key(changes: &Value) -> BTreeMap<String, Value> {
    let each = changes.as_array().into_iter().flatten();
    each.map(|change| {
        let word = |key: &str| change[key].as_str().unwrap_or("?").to_owned();
        (format!("{} {}", word("kind"), word("name")), json!([change["action"], change["fields"]]))
    })
    .collect()
}

impl Saved {
    /// The flags of every command, with those that the plan was made with.
    pub fn global(&self) -> &Global {
        &self.global
    }

    /// Plans again as `plan` did, and gives that plan if it is the saved one.
    ///
    /// # Errors
    /// The exit code, after saying what differs.
    pub async fn check(&self, request: &Request, connected: &Connected) -> Result<Plan, Exit> {
        self.is_for_api(connected)?;
        let (report, plan) = planned_again(&self.global, request, connected).await?;
        if report.scope != self.scope {
            let why = format!("it was made for the scope `{}`, and this is `{}`", self.scope, report.scope);
            return Err(self.refused(&why));
        }
        if report.digest == self.digest { Ok(plan) } else { Err(self.stale(&report)) }
    }

    fn is_for_api(&self, connected: &Connected) -> Result<(), Exit> {
        let now = connected.api.as_ref().map(|api| api.connection().url.as_str());
        let same = |a: &str, b: &str| a.trim_end_matches('/') == b.trim_end_matches('/');
        match (self.api.as_deref(), now) {
            (Some(then), Some(now)) if same(then, now) => Ok(()),
            (Some(then), Some(now)) => Err(self.refused(&format!("it was made for {then}, and this is {now}"))),
            (then, _) => {
                let then = then.unwrap_or("an empty workspace");
                Err(self.refused(&format!("it was made for {then}, and no API is configured")))
            }
        }
    }

    fn refused(&self, why: &str) -> Exit {
        output::complain(&format!("`{}` is not a plan for this place: {why}", self.file.display()));
        output::help("plan again, and review what it shows");
        Exit::Stale
    }

    /// Names both plans and what differs.
    fn stale(&self, now: &Report) -> Exit {
        let differs = self.differences(&by_key(&now.to_json()["changes"]));
        output::complain(&format!("the plan in `{}` is stale: planning again gives another one", self.file.display()));
        output::say(&format!("  planned: {} at {}", self.digest, commit(self.commit.as_deref())));
        output::say(&format!("  now:     {} at {}", now.digest, commit(now.source.commit.as_deref())));
        for (word, key) in differs.iter().take(SHOWN) {
            output::say(&format!("  {word}: {}", crate::report::text::printable(key)));
        }
        if differs.len() > SHOWN {
            output::say(&format!("  … and {} more", differs.len() - SHOWN));
        }
        if differs.is_empty() {
            output::say("  the difference is in a value that is not shown");
        }
        output::help("nothing was written; plan again, and review what it shows");
        if self.global.json {
            let differs: Vec<Value> = differs.iter().map(|(what, key)| json!({ "what": what, "key": key })).collect();
            let mut json = last_words::json();
            json["stale"] = json!(true);
            json["planned"] = json!({ "digest": self.digest, "commit": self.commit });
            json["now"] = json!({ "digest": now.digest, "commit": now.source.commit });
            json["differs"] = json!(differs);
            output::result(&format!("{json:#}"));
        }
        Exit::Stale
    }

    fn differences(&self, now: &BTreeMap<String, Value>) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        for (key, change) in now {
            match self.changes.get(key) {
                None => out.push(("added", key.clone())),
                Some(then) if then != change => out.push(("changed", key.clone())),
                Some(_) => {}
            }
        }
        let gone = self.changes.keys().filter(|key| !now.contains_key(*key));
        out.extend(gone.map(|key| ("removed", key.clone())));
        out
    }
}

fn commit(commit: Option<&str>) -> String {
    commit.map_or_else(|| "no commit".to_owned(), |commit| format!("commit {commit}"))
}

/// Plans as `plan` does, without asking Python and without builds: only such plans can be compared by their digests.
///
/// # Errors
/// The exit code, after saying why there is no plan.
pub async fn planned_again(global: &Global, request: &Request, connected: &Connected) -> Result<(Report, Plan), Exit> {
    let prepared =
        Pass::prepare(request, connected.api.as_ref(), Python::AtApply).await.map_err(|error| pass::failed(&error))?;
    let decided = prepared.decide(&builds::remembered(&prepared)).await.map_err(|error| pass::failed(&error))?;
    let report = prepared.report(&decided, Outcomes::new());
    if decided.is_invalid() {
        pass::show(global, &decided.diagnostics, &prepared.reading.texts);
        output::result(&match global.json {
            true => format!("{:#}", report.to_json()),
            false => pass::refusal(&decided.diagnostics),
        });
        return Err(Exit::Invalid);
    }
    Ok((report, decided.planned.plan))
}

/// Holds a plan to the saved one, once Python was asked or builds have run: only unknown values may have become known.
///
/// # Errors
/// The exit code, after saying what differs.
pub fn kept(promised: Option<&Plan>, decided: &Decided) -> Result<(), Exit> {
    let Some(promised) = promised else { return Ok(()) };
    let differs = same::differences(promised, &decided.planned.plan);
    if differs.is_empty() {
        return Ok(());
    }
    output::complain("the saved plan no longer holds: more than its unknown values has changed");
    for difference in differs.iter().take(SHOWN) {
        output::say(&format!(
            "  {}: {}",
            difference.word(),
            crate::report::text::printable(&difference.key().to_string())
        ));
    }
    output::help("nothing was written; plan again, and review what it shows");
    Err(Exit::Stale)
}
