//! Templates: every pass over any template with any values ends, stays within its bounds and shows no secret.
//!
//! The first line that is `---` ends the template; what follows is JSON with the values under `values`, `env`,
//! `variables` and `blocks`. A template that is JSON is taken as such, any other is one text.

use std::collections::BTreeMap;

use reconcile::diagnostic::Diagnostic;
use reconcile::model::{Map, Path, Secret, Tree};
use reconcile::render::{
    Blocks, Filling, Missing, Note, PlaceholderKind, TemplateProblem, as_text, env_as_values, fill, fill_blocks,
    fill_variables, jinja, markdown, placeholders, references,
};
use serde_json::{Value, json};

use crate::common::{check_diagnostics, texts};

/// What a pass may write, with room for what the form of JSON adds.
const MOST_BYTES: usize = 3 * (64 << 20);

const CANARY: &str = "c4n4ry-0f-4-s3cr3t";

/// Fills the bytes.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if text.contains(CANARY) {
        return;
    }
    let (template, values) = text.split_once("\n---\n").unwrap_or((text, "{}"));
    one_text(template);
    let template = match serde_json::from_str::<Value>(template) {
        Ok(value) => Tree::from(value),
        Err(_) => Tree::text(template),
    };
    let given: Value = serde_json::from_str(values).unwrap_or(Value::Null);
    let known = Known::of(&given);
    let once = known.passes(&template);
    assert_eq!(once, known.passes(&template), "the same template gives two results");
    reports(text);
}

/// What a single text says.
fn one_text(text: &str) {
    let mut end = 0;
    for found in placeholders(text) {
        assert!(found.range.start >= end && found.range.end <= text.len(), "{found:?}");
        end = found.range.end;
        let written = found.text(text);
        assert!(written.starts_with("{{") && written.ends_with("}}") && written.contains(&found.name), "{found:?}");
        assert_eq!(found.whole, written == text);
        assert_eq!(found.kind, PlaceholderKind::of(&found.name));
    }
}

struct Known {
    values: Map,
    env: BTreeMap<String, Tree>,
    variables: BTreeMap<String, Tree>,
    blocks: Blocks,
}

impl Known {
    fn of(given: &Value) -> Known {
        let map = |key: &str| match given.get(key) {
            Some(Value::Object(map)) => {
                map.iter().map(|(key, value)| (key.clone(), Tree::from(value.clone()))).collect()
            }
            _ => Map::new(),
        };
        let mut values = map("values");
        values.entry("step".to_owned()).or_insert(Tree::Unknown(reconcile::model::tree::Unknown::AfterBuild));
        let mut env: BTreeMap<String, Tree> = map("env").into_iter().collect();
        env.insert("TOKEN".to_owned(), Tree::Secret(Secret::text(CANARY)));
        env.insert("HOME".to_owned(), Tree::text("/home/ada"));
        let variables = map("variables").into_iter().collect();
        let mut by_name = BTreeMap::new();
        let mut by_id = BTreeMap::new();
        for (i, (name, tree)) in map("blocks").into_iter().enumerate() {
            by_id.insert(i.to_string(), tree.clone());
            by_name.insert(("secret".to_owned(), name), tree);
        }
        let sealed = json!({"value": CANARY, "a": [CANARY, "{{ a }}{{ secret }}"], "n": 1});
        by_name.insert(("secret".to_owned(), "token".to_owned()), Tree::Secret(Secret::new(sealed)));
        Known { values, env, variables, blocks: Blocks { by_name, by_id } }
    }

    /// All passes in their order, whatever each of them says.
    fn passes(&self, template: &Tree) -> String {
        let mut notes = Vec::new();
        let mut told = String::new();
        let asked = references(template);
        let tree = self.next(fill_blocks(template, &self.blocks), template, &mut told);
        let tree = self.next(fill_variables(&tree, &self.variables, &mut notes), &tree, &mut told);
        let environment = env_as_values(&self.env, &tree);
        let filling = |values, missing, pending, skip_prefixes| Filling {
            values,
            env: &self.env,
            missing,
            skip_prefixes,
            pending,
        };
        let keep = filling(&environment, Missing::Keep, false, &[]);
        let kept = fill(&tree, &keep, &mut notes).map(|tree| tree.unwrap_or(Tree::Null));
        let tree = self.next(kept, &tree, &mut told);
        for pending in [true, false] {
            let last = filling(&self.values, Missing::Remove, pending, &["ctx."]);
            let filled = fill(&tree, &last, &mut notes).map(|tree| tree.unwrap_or(Tree::Null));
            let done = self.next(filled, &tree, &mut told);
            let text = as_text(&done);
            assert!(matches!(text, Tree::Text(_) | Tree::Secret(_) | Tree::Unknown(_)), "{text:?}");
        }
        let notes: Vec<Diagnostic> = notes.iter().take(50).map(Note::diagnostic).collect();
        check_diagnostics(&notes, &texts(&[]));
        let shown = format!("{told}{notes:?}");
        assert!(!shown.contains(CANARY), "a secret is shown");
        format!("{shown}{asked:?}")
    }

    fn next(&self, made: Result<Tree, Vec<TemplateProblem>>, before: &Tree, told: &mut String) -> Tree {
        match made {
            Ok(tree) => {
                let shown = tree.masked().to_string();
                assert!(shown.len() <= MOST_BYTES, "{} bytes", shown.len());
                assert!(!shown.contains(CANARY), "a secret is shown");
                told.push_str(&shown);
                tree
            }
            Err(problems) => {
                assert!(!problems.is_empty(), "refused without a word");
                let problems: Vec<Diagnostic> = problems.iter().take(50).map(TemplateProblem::diagnostic).collect();
                check_diagnostics(&problems, &texts(&[]));
                let shown = format!("{problems:?}");
                assert!(!shown.contains(CANARY), "a secret is shown");
                told.push_str(&shown);
                before.clone()
            }
        }
    }
}

/// Our own Jinja with a text that others chose: nothing breaks out of its place.
fn reports(text: &str) {
    let code = markdown::code(text);
    assert!(!code.contains('\n'), "{code:?} leaves its line");
    for made in [markdown::escape(text), markdown::html_code(text)] {
        assert!(made.len() <= 16 * text.len() + 64);
    }
    let fence = markdown::fence(text, "diff");
    let ticks = fence.lines().next().unwrap_or_default().chars().take_while(|c| *c == '`').count();
    let closing = fence.lines().filter(|line| line.trim() == "`".repeat(ticks)).count();
    assert_eq!(closing, 1, "{fence:?} ends early");
    let context = json!({"t": text, "m": {text: [text]}, "n": text.len()});
    let template = "{{ t | code }}{% for k, v in m | items %}{{ k | md_escape }}{{ v[0] | fence }}{% endfor %}\
                    {{ t | html_code }}{{ n | plural('a', 'b') }}";
    jinja::render("t", template, &context).expect("a good template with any text");
    let _ = Path::of(text).key(text).to_string();
    // A template of our own that is damaged says so.
    if text.len() < 200 && !text.contains("for") {
        let _ = jinja::render("t", text, &context);
    }
}
