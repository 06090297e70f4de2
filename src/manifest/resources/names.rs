//! Which names the server takes, and which of them would only fail later.
//!
//! Source: Prefect 3.8.8 `prefect/types/names.py`, `prefect/server/schemas/actions.py` and the routes below
//! `prefect/server/api/`. Where the server takes a name that nothing can address afterwards, it is refused here.

/// Why a name is not possible.
pub(super) struct Problem {
    pub code: &'static str,
    pub why: String,
    pub help: String,
}

/// What is wrong with a name, if anything is.
pub(super) type Rule = fn(&str) -> Option<Problem>;

/// Characters that the server refuses in most names.
const FORBIDDEN: [char; 5] = ['/', '%', '&', '>', '<'];

/// The longest name of a variable, in characters.
const LONGEST_VARIABLE: usize = 255;

/// Types of blocks that are not for people to write.
pub(super) const OWN_TYPES: [&str; 2] = ["reconcile-ledger", "reconcile-lock"];

fn no(why: impl Into<String>, help: impl Into<String>) -> Option<Problem> {
    Some(Problem { code: "E0704", why: why.into(), help: help.into() })
}

fn reserved(why: impl Into<String>, help: impl Into<String>) -> Option<Problem> {
    Some(Problem { code: "E0705", why: why.into(), help: help.into() })
}

/// What no name can be.
fn common(name: &str) -> Option<Problem> {
    if name.is_empty() {
        return no("it is empty", "give it a name");
    }
    if name.contains("{{") {
        return no("it holds a template", "write the name; of templates only `{{ vars.x }}` can be part of a name");
    }
    if name.contains(char::is_control) {
        return no("it holds a control character", "remove tabs, line breaks and the like");
    }
    None
}

fn forbidden(name: &str) -> Option<Problem> {
    let found = name.chars().find(|c| FORBIDDEN.contains(c))?;
    no(format!("it holds `{found}`"), "the server refuses `/`, `%`, `&`, `>` and `<` in names")
}

/// Paths of URLs with such a part lead elsewhere.
fn dots(name: &str) -> Option<Problem> {
    if matches!(name, "." | "..") { no("URLs cannot hold it", "choose another name") } else { None }
}

fn blank(name: &str) -> Option<Problem> {
    let bare = name.trim_matches(['\'', ' ', '"']);
    if bare.is_empty() { no("it holds nothing but spaces and quotes", "give it a name") } else { None }
}

fn begins_with_prefect(name: &str, what: &str) -> Option<Problem> {
    let begins = name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("prefect"));
    if !begins {
        return None;
    }
    reserved(format!("{what} that begin with `prefect` are Prefect's own"), "choose a name that begins otherwise")
}

fn only(name: &str, allowed: fn(char) -> bool, words: &str) -> Option<Problem> {
    let found = name.chars().find(|c| !allowed(*c))?;
    no(format!("it holds `{found}`"), format!("use {words} only"))
}

fn is_slug_char(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

/// Names of block documents; dashes at the ends are refused here, since references to them read badly.
pub(super) fn block(name: &str) -> Option<Problem> {
    common(name).or_else(|| only(name, is_slug_char, "lowercase letters, digits and dashes")).or_else(|| {
        let ends = name.starts_with('-') || name.ends_with('-');
        if ends { no("it begins or ends with a dash", "begin and end with a letter or a digit") } else { None }
    })
}

/// Slugs of block types, as blocks name them.
pub(super) fn type_of_block(slug: &str) -> Option<Problem> {
    common(slug).or_else(|| only(slug, is_slug_char, "the slug of a block type, such as `aws-credentials`")).or_else(
        || match OWN_TYPES.contains(&slug) {
            true => reserved("blocks of this type are reconcile's own books", "remove it"),
            false => None,
        },
    )
}

/// Slugs of block types that are declared.
pub(super) fn slug(slug: &str) -> Option<Problem> {
    common(slug).or_else(|| only(slug, is_slug_char, "lowercase letters, digits and dashes")).or_else(
        || match OWN_TYPES.contains(&slug) {
            true => reserved("this type is reconcile's own", "choose another slug"),
            false => None,
        },
    )
}

/// Display names of block types.
pub(super) fn block_type(name: &str) -> Option<Problem> {
    common(name).or_else(|| forbidden(name)).or_else(|| begins_with_prefect(name, "names of block types"))
}

/// Names of variables.
pub(super) fn variable(name: &str) -> Option<Problem> {
    let allowed = |c| is_slug_char(c) || c == '_';
    common(name).or_else(|| only(name, allowed, "lowercase letters, digits, dashes and underscores")).or_else(|| {
        let length = name.chars().count();
        if length <= LONGEST_VARIABLE {
            return None;
        }
        no(format!("it has {length} characters"), format!("shorten it to {LONGEST_VARIABLE}"))
    })
}

/// Names of work pools.
pub(super) fn work_pool(name: &str) -> Option<Problem> {
    common(name)
        .or_else(|| blank(name))
        .or_else(|| forbidden(name))
        .or_else(|| dots(name))
        .or_else(|| begins_with_prefect(name, "names of work pools"))
}

/// Names of work queues.
pub(super) fn work_queue(name: &str) -> Option<Problem> {
    common(name).or_else(|| forbidden(name)).or_else(|| dots(name))
}

/// Names of global concurrency limits; those of deployments and tags are made by the server.
pub(super) fn concurrency_limit(name: &str) -> Option<Problem> {
    let made = || match name.split_once(':') {
        Some(("tag", tag)) => {
            let help = format!("write `tag_concurrency_limits: [{{ tag: {tag}, limit: … }}]`");
            reserved("limits that begin with `tag:` belong to tags", help)
        }
        Some(("deployment", _)) => {
            let help = "write `concurrency_limit:` in the deployment";
            reserved("limits that begin with `deployment:` belong to deployments", help)
        }
        _ => None,
    };
    common(name).or_else(|| forbidden(name)).or_else(|| dots(name)).or_else(made)
}

/// Tags with a limit.
pub(super) fn tag(tag: &str) -> Option<Problem> {
    common(tag).or_else(|| forbidden(tag)).or_else(|| dots(tag))
}

/// Names of automations.
/// A slash would give it the name that a deployment's trigger has in the ledger.
pub(super) fn automation(name: &str) -> Option<Problem> {
    if name.contains('/') {
        return no("the name of an automation holds no `/` here", "write another name");
    }
    common(name)
}
