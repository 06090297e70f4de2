//! Prefect's template language, compared with Prefect's own functions on many templates.

use std::collections::BTreeMap;

use reconcile::model::{Map, Secret, Tree};
use reconcile::render::{
    Blocks, Filling, Missing, PlaceholderKind, env_as_values, fill, fill_blocks, fill_variables, placeholders,
};
use serde_json::{Value, json};

use crate::support::questions::{self, Dice};

/// What Prefect makes of each question.
fn ask(questions: &[Value]) -> Vec<Value> {
    questions::ask("templating.py", questions)
}

const NAMES: &[&str] = &[
    "a",
    "b",
    "n",
    "f",
    "nul",
    "yes",
    "text",
    "list",
    "dict",
    "a.b",
    "list[0]",
    "list.1",
    "list[-1].k",
    "dict.x.y",
    "dict[x]",
    "text[0]",
    "text.-1",
    "text[99]",
    "dict.0",
    "nope",
    "nope.x",
    ".",
    "-",
    "_",
    "0",
    "-1",
    "1_0",
    "list.٠",
    "list.0_0",
    "list[+0]",
    "step-one.out",
    "step-one.image",
    "ctx.flow_run.id",
    "$EV",
    "$$EV",
    "$NO",
    "$",
    "$A.B",
    "EV",
    "HOME[0]",
    "self",
    "tag",
    "é",
    "prefect.variables.v",
    "prefect.variables.conf",
    "prefect.variables.no",
    "prefect.variables.",
    "prefect.variables.prefect.variables.v",
    "prefect.variables.conf.a",
    "prefect.blocks.secret.tok",
    "prefect.blocks.secret.tok.k",
    "prefect.blocks.secret.tok.value.k",
    "prefect.blocks.json.conf",
    "list[",
    "list[[0]]",
    "prefect.blocks.json.conf.value",
    "prefect.blocks.json.conf.values",
    "prefect.blocks.json.conf.value[0]",
    "prefect.blocks.json.conf.nope",
    "prefect.blocks.server.web.host",
    "prefect.blocks.server.web.port",
    "prefect.blocks.server.web",
    "prefect.blocks.server.web.list[-1].k",
    "prefect.blocks.secret.plain",
    "prefect.blocks.secret.plain.0",
    "prefect.blocks.secret.none",
    "prefect.blocks.secret.none.x",
    "prefect.blocks.secret",
    "prefect.blocks.",
    "prefect.blocks..x",
    "prefect.blocks.prefect.blocks.secret.plain",
    "prefect.blocks.a.b",
    "prefect.blocks.server.web.",
    "prefect.blocks.server.web.on",
];

/// A text of placeholders, pieces of placeholders and plain pieces.
fn text(dice: &mut Dice) -> String {
    const SPACES: &[&str] = &["", " ", "  ", "\n", "\t", "\u{a0}", "\u{1c}", "\u{2003}", " \r\n "];
    const PIECES: &[&str] =
        &["", "x", " ", "{", "}", "{{", "}}", "{{ }}", "{{ a | b }}", "{{ a b }}", "{% if %}", "é'\"", "{{ 'a' }}"];
    let placeholder =
        |dice: &mut Dice| format!("{{{{{}{}{}}}}}", dice.pick(SPACES), dice.pick(NAMES), dice.pick(SPACES));
    match dice.below(10) {
        0..=3 => placeholder(dice),
        4 => dice.pick(PIECES).to_string(),
        5 => {
            let again = placeholder(dice);
            format!("{again}{}{again}", dice.pick(PIECES))
        }
        _ => (0..=dice.below(4)).map(|_| format!("{}{}", dice.pick(PIECES), placeholder(dice))).collect(),
    }
}

fn template(dice: &mut Dice, depth: usize) -> Value {
    match dice.below(if depth == 0 { 7 } else { 10 }) {
        0 => dice.pick(&[json!(null), json!(true), json!(3), json!(2.5), json!("")]).clone(),
        1..=6 => Value::String(text(dice)),
        7 => (0..dice.below(4)).map(|_| template(dice, depth - 1)).collect(),
        8 if dice.below(6) == 0 => {
            let inner = [
                json!({"block_document_id": "id-1"}),
                json!({"block_document_id": "id-2"}),
                json!({"block_document_id": ""}),
                json!({"block_document_id": 7}),
                json!({"block_document_id": null, "x": "{{ a }}"}),
                json!({}),
                json!("#/a"),
                json!(null),
                json!([1]),
            ];
            json!({"$ref": dice.pick(&inner), "y": "{{ a }}"})
        }
        _ => {
            let keys = ["k", "l", "{{ a }}", "$ref2", "m"];
            Value::Object(
                (0..dice.below(4)).map(|_| (dice.pick(&keys).to_string(), template(dice, depth - 1))).collect(),
            )
        }
    }
}

/// Values for standard placeholders; `wild` ones hold placeholders themselves.
fn values(wild: bool) -> Value {
    json!({
        "a": 1, "b": if wild { "{{ a }}{{ n }}{{ $EV }}{{ prefect.variables.v }}" } else { "bee" }, "n": -0.0, "f": 1e16,
        "nul": null, "yes": true, "text": if wild { "h{{ b }}{{" } else { "héllo" }, "é": "accent",
        "list": [0, {"k": ["it's", "\"q\" 'p'", "\u{7f}\u{a0}😀"]}, {"k": 1.5e-7}],
        "dict": {"x": {"y": [1.0, false, null]}, "0": "zero", "": {"": []}},
        "step-one": {"out": if wild { "{{ list }}" } else { "out" }, "image": {"name": "img", "tags": ["t1"]}},
        "_": "under", "-": "dash", "0": "nought", "": {"": "dots"}, "tag": "v1", "self": if wild { "<{{ self }}{{self}}>" } else { "own" },
    })
}

/// A question with everything that any of the asks needs.
fn question(ask: &str, template: Value, dice: &mut Dice) -> Value {
    let wild = dice.below(3) == 0;
    let skip = dice.pick(&[json!([]), json!(["ctx."]), json!(["ctx.", "a", "$"])]).clone();
    json!({
        "ask": ask, "template": template, "values": values(wild), "remove": dice.below(2) == 0, "skip": skip,
        "env": {"EV": if wild { "e{{ a }}{{ list }}" } else { "evv" }, "A.B": "dotted", "HOME": "/root", "tag": "env-tag", "E2": ""},
        "variables": {"v": if wild { "{{ $EV }}{{ prefect.variables.conf }}" } else { "vee" }, "conf": {"a": [1, "x", null]}},
        "blocks": [
            ["secret", "tok", {"value": {"k": if wild { "{{ prefect.variables.v }}{{ tag }}" } else { "s3cr3t" }}}],
            ["secret", "plain", {"value": "pläin"}], ["secret", "none", {"value": null}],
            ["json", "conf", {"value": {"value": [5, 6], "values": "vals"}}],
            ["server", "web", {"host": "h", "port": 80.5, "on": true, "list": [{"k": "last"}], "value": 2}],
        ],
        "ids": {"id-1": {"value": "{{ a }}", "more": 1}},
    })
}

fn seal(tree: Tree, sealed: bool) -> Tree {
    if sealed { Tree::Secret(Secret::new(tree.revealed(&|_| None).expect("plain JSON"))) } else { tree }
}

fn trees(value: &Value, sealed: bool) -> BTreeMap<String, Tree> {
    let entries = value.as_object().into_iter().flatten();
    entries.map(|(key, value)| (key.clone(), seal(Tree::from(value), sealed))).collect()
}

fn blocks(q: &Value, sealed: bool) -> Blocks {
    let word = |value: &Value| value.as_str().expect("a text").to_owned();
    let documents = q["blocks"].as_array().expect("a list").iter();
    Blocks {
        by_name: documents.map(|b| ((word(&b[0]), word(&b[1])), seal(Tree::from(&b[2]), sealed))).collect(),
        by_id: trees(&q["ids"], sealed),
    }
}

/// What we answer to a question: `None` for an error, `Some(None)` for nothing at all.
fn ours(q: &Value, sealed: bool) -> Option<Option<Tree>> {
    let template = Tree::from(&q["template"]);
    let env = trees(&q["env"], sealed);
    let filled = |template: &Tree, values: &Map, missing, skip_prefixes: &[&str]| {
        let filling = Filling { values, env: &env, missing, skip_prefixes, pending: false };
        fill(template, &filling, &mut Vec::new()).ok()
    };
    let values: Map = trees(&q["values"], sealed).into_iter().collect();
    match q["ask"].as_str()? {
        "apply" => {
            let skip: Vec<&str> = q["skip"].as_array()?.iter().filter_map(Value::as_str).collect();
            let missing = if q["remove"] == json!(true) { Missing::Remove } else { Missing::Keep };
            filled(&template, &values, missing, &skip)
        }
        "blocks" => Some(Some(fill_blocks(&template, &blocks(q, sealed)).ok()?)),
        "variables" => Some(fill_variables(&template, &trees(&q["variables"], sealed), &mut Vec::new()).ok()),
        "deploy" => {
            let tree = fill_blocks(&template, &blocks(q, sealed)).ok()?;
            let tree = fill_variables(&tree, &trees(&q["variables"], sealed), &mut Vec::new()).ok()?;
            match filled(&tree, &env_as_values(&env, &tree), Missing::Keep, &[])? {
                Some(tree) => filled(&tree, &values, Missing::Remove, &["ctx."]),
                None => Some(None),
            }
        }
        "str" => {
            let values = Map::from([("v".to_owned(), seal(template, sealed))]);
            filled(&Tree::text("{{ v }}{{v}}"), &values, Missing::Remove, &[]).map(|text| {
                let text = text?.revealed(&|_| None)?;
                let text = text.as_str()?;
                Some(Tree::text(&text[..text.len() / 2]))
            })
        }
        other => panic!("unknown ask {other}"),
    }
}

#[test]
fn templates_are_filled_as_prefect_fills_them() {
    let dice = &mut Dice(0x5eed);
    let mut questions = Vec::new();
    for name in NAMES {
        for around in ["", "x", "{", " "] {
            let text = format!("{around}{{{{ {name} }}}}{around}");
            for ask in ["apply", "blocks", "variables", "deploy"] {
                questions.push(question(ask, json!({"whole": text, "in": [text, {"k": text}]}), dice));
                questions.push(question(ask, json!(text), dice));
            }
        }
    }
    for round in 0..6000 {
        let ask = ["apply", "apply", "deploy", "blocks", "variables"][round % 5];
        let template = template(dice, 3);
        // A whole declaration is a mapping; anything else can be left out before its last pass.
        let template = if ask == "deploy" { json!({"t": template, "u": text(dice)}) } else { template };
        questions.push(question(ask, template, dice));
    }
    let answers = ask(&questions);
    let (mut errors, mut changed) = (0, 0);
    for (q, theirs) in questions.iter().zip(&answers) {
        for sealed in [false, true] {
            let answer = match ours(q, sealed) {
                None => Value::Null,
                Some(None) => json!({"notset": true}),
                Some(Some(tree)) => json!({"is": tree.revealed(&|_| None).expect("nothing is unknown here")}),
            };
            let theirs = if theirs.get("error").is_some() { &Value::Null } else { theirs };
            assert_eq!(answer.to_string(), theirs.to_string(), "sealed: {sealed}, question: {q}");
        }
        errors += usize::from(theirs.get("error").is_some());
        changed += usize::from(theirs.get("is").is_some_and(|is| *is != q["template"]));
    }
    assert!(questions.len() > 8000 && errors > 500 && changed > 3000, "{errors} errors, {changed} changed");
}

#[test]
fn placeholders_are_found_as_prefect_finds_them() {
    let dice = &mut Dice(0xf17d);
    let texts: Vec<String> = (0..2000).map(|_| format!("{}{}", text(dice), text(dice))).collect();
    let questions: Vec<Value> = texts.iter().map(|text| json!({"ask": "find", "template": text})).collect();
    for (text, theirs) in texts.iter().zip(ask(&questions)) {
        let mut ours: Vec<Value> = Vec::new();
        for found in placeholders(text) {
            let kind = match found.kind {
                PlaceholderKind::Block => "block_document",
                PlaceholderKind::Variable => "variable",
                PlaceholderKind::Env => "env_var",
                PlaceholderKind::Output => "standard",
            };
            let one = json!([found.text(text), found.name, kind]);
            if !ours.contains(&one) {
                ours.push(one);
            }
        }
        assert_eq!(json!({"is": ours}), theirs, "{text}");
    }
}

/// What Python prints: `str()` of numbers and nested values.
#[test]
fn values_are_printed_as_python_prints_them() {
    let dice = &mut Dice(0xf10a7);
    let mut printed: Vec<Value> =
        [0.0, 1e15, 1e16, 1e17, 123456789012345680.0, 1e-4, 1e-5, 5e-324, f64::MAX, 2f64.powi(70)]
            .into_iter()
            .flat_map(|f: f64| [json!(f), json!(-f), json!([f, {"k": f}])])
            .collect();
    while printed.len() < 3000 {
        let float = f64::from_bits((dice.below(usize::MAX) as u64).rotate_left(11));
        let near = (dice.below(2_000_000) as f64 - 1_000_000.0) * 10f64.powi(dice.below(40) as i32 - 20);
        printed.extend([json!([float]), json!(near), json!([dice.below(usize::MAX), -(dice.below(1000) as i64)])]);
        printed
            .push(json!({text(dice): [text(dice), null, true], "o": {"'": "\"", "\\": "\u{0}\u{1f}\u{fe0f}\u{ffff}"}}));
    }
    let questions: Vec<Value> = printed.iter().map(|value| json!({"ask": "str", "template": value})).collect();
    for (q, theirs) in questions.iter().zip(ask(&questions)) {
        let ours = ours(q, false).flatten().map(|tree| tree.masked());
        assert_eq!(json!({"is": ours}), theirs, "{q}");
        assert_eq!(ours_text(q, true), ours_text(q, false), "{q}");
    }
}

fn ours_text(q: &Value, sealed: bool) -> Option<String> {
    Some(ours(q, sealed)??.as_str()?.to_owned())
}

/// Which characters make a name, which are white space, which `repr` escapes.
#[test]
fn characters_are_classed_as_python_classes_them() {
    let ranges = [(0, 0xd800), (0xe000, 0x2_0100), (0x2_f7f0, 0x3_1400), (0xe_0000, 0xe_0200), (0x10_fff0, 0x11_0000)];
    let questions: Vec<Value> =
        ranges.iter().map(|(from, to)| json!({"ask": "chars", "from": from, "to": to})).collect();
    let mut compared = 0;
    for ((from, to), theirs) in ranges.iter().zip(ask(&questions)) {
        for (code, flags) in (*from..*to).zip(theirs["is"].as_array().expect("a list")) {
            let c = char::from_u32(code).expect("no surrogates in these ranges");
            // Letters that are newer than this Python's tables.
            if flags[3] == json!("Cn") {
                continue;
            }
            let word = placeholders(&format!("{{{{{c}}}}}")).len() == 1;
            let space = placeholders(&format!("{{{{{c}a}}}}")).len() == 1 && !word;
            let repr = ours_text(&json!({"ask": "str", "template": [c], "env": {}, "values": {}}), false);
            let printable = repr == Some(format!("['{c}']"));
            assert_eq!(json!([word, space, printable, flags[3]]), *flags, "U+{code:04X}");
            compared += 1;
        }
    }
    assert!(compared > 90_000, "{compared}");
}
