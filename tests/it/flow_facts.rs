//! What the flow room says of flow files is what Prefect says, and no code runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use proptest::prelude::*;
use reconcile::flow::{Answer, Entrypoint, Sources, facts};
use reconcile::model::RepoPath;
use serde_json::{Value, json};

/// Files and an entrypoint.
struct Case {
    id: String,
    files: BTreeMap<String, String>,
    entrypoint: String,
}

impl Case {
    fn one(id: impl Into<String>, text: impl Into<String>, object: &str) -> Self {
        let files = BTreeMap::from([("my_flows.py".to_owned(), text.into())]);
        Case { id: id.into(), files, entrypoint: format!("my_flows.py:{object}") }
    }

    /// Asks until the answer is no question.
    fn answer(&self) -> Answer {
        let entrypoint: Entrypoint = self.entrypoint.parse().expect("test entrypoints are well formed");
        let mut sources = Sources::new();
        for _ in 0..50 {
            match facts(&entrypoint, &RepoPath::new(""), &sources) {
                Answer::NeedsFiles(paths) => {
                    let new = paths.iter().filter(|path| sources.get(path).is_none()).count();
                    assert!(new > 0, "{}: it asks for what it has", self.id);
                    for path in paths {
                        let text = self.files.get(path.as_str()).map(|text| Arc::from(text.as_str()));
                        sources.insert(path, text);
                    }
                }
                answer => return answer,
            }
        }
        panic!("{}: it asks for ever", self.id);
    }
}

/// Numbers compare by value: 1 is 1.0.
fn normal(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Null, |float| json!(float)),
        Value::Array(items) => items.iter().map(normal).collect(),
        Value::Object(map) => Value::Object(map.iter().map(|(k, v)| (k.clone(), normal(v))).collect()),
        other => other.clone(),
    }
}

/// What Prefect says of every case.
fn prefect(cases: &[Case]) -> Vec<Value> {
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/python/flow_facts.py");
    let mut child = Command::new(crate::support::python())
        .arg(driver)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("python starts");
    let batch: Vec<Value> =
        cases.iter().map(|case| json!({"files": case.files, "entrypoint": case.entrypoint})).collect();
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let text = serde_json::to_string(&batch).expect("it is JSON");
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("python ends");
    writer.join().expect("the writer ends").expect("python reads");
    let answers: Vec<Value> = String::from_utf8(output.stdout)
        .expect("UTF-8")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(answers.len(), cases.len());
    answers
}

/// Compares an answer with Prefect's; `None` if they agree, or if we leave it to Python.
fn disagreement(case: &Case, ours: &Answer, theirs: &Value) -> Option<String> {
    match (ours, theirs.get("error")) {
        (Answer::Known { facts, .. }, None) => {
            let said = json!({
                "name": facts.name, "description": facts.description, "version": facts.version, "schema": facts.schema,
            });
            let theirs = json!({
                "name": theirs["name"], "description": theirs["description"], "version": theirs["version"],
                "schema": theirs["schema"],
            });
            let (ours, theirs) = (normal(&said), normal(&theirs));
            let differ = |key: &&&str| ours[**key] != theirs[**key];
            let keys = ["name", "description", "version", "schema"];
            let texts: Vec<String> = keys
                .iter()
                .filter(differ)
                .map(|key| format!("  ours   {}\n  theirs {}", ours[*key], theirs[*key]))
                .collect();
            (!texts.is_empty()).then(|| format!("{}:\n{}", case.id, texts.join("\n")))
        }
        (Answer::Known { .. }, Some(error)) => Some(format!("{}: ours is known, theirs {error}", case.id)),
        (Answer::Invalid(diagnostics), None) => {
            Some(format!("{}: ours is invalid ({}), theirs {theirs}", case.id, diagnostics[0].message))
        }
        (Answer::Invalid(_), Some(_)) | (Answer::NeedsPython(_), _) => None,
        (Answer::NeedsFiles(_), _) => Some(format!("{}: still asking", case.id)),
    }
}

/// Checks every case against Prefect's answers; at least `rate` percent of what Prefect accepts must be known.
fn compare(cases: &[Case], answers: &[Value], rate: usize) {
    let mut wrong = Vec::new();
    let (mut accepted, mut known, mut left) = (0, 0, Vec::new());
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for (case, theirs) in cases.iter().zip(answers) {
        let ours = case.answer();
        wrong.extend(disagreement(case, &ours, theirs));
        if let Answer::NeedsPython(unsure) = &ours {
            let reason = &unsure.reasons[0];
            assert!(!reason.text.is_empty(), "{}: undecided without a reason", case.id);
        }
        if theirs.get("error").is_none() {
            accepted += 1;
            match &ours {
                Answer::Known { .. } => known += 1,
                Answer::NeedsPython(unsure) => {
                    for reason in &unsure.reasons {
                        *reasons.entry(without_names(&reason.text)).or_default() += 1;
                    }
                    left.push(format!("{}: {}", case.id, unsure.reasons[0].text));
                }
                Answer::NeedsFiles(_) | Answer::Invalid(_) => {}
            }
        }
    }
    println!("{known} of {accepted} answered statically; {} cases, {} disagree", cases.len(), wrong.len());
    println!("left to Python:\n  {}", left.join("\n  "));
    let mut reasons: Vec<(String, usize)> = reasons.into_iter().collect();
    reasons.sort_by_key(|(text, count)| (std::cmp::Reverse(*count), text.clone()));
    let table: Vec<String> = reasons.iter().map(|(text, count)| format!("{count:4} {text}")).collect();
    println!("because:\n  {}", table.join("\n  "));
    assert!(wrong.is_empty(), "{} disagree:\n{}", wrong.len(), wrong.join("\n"));
    assert!(known * 100 >= accepted * rate, "only {known} of {accepted} are answered statically");
}

/// A reason without what it is about, to count its like.
fn without_names(text: &str) -> String {
    text.split('`').step_by(2).collect::<Vec<_>>().join("_")
}

/// Examples with Prefect's recorded answers. Those that import a package that is missing are not compared: Prefect
/// falls back to reading the tree there, and we take packages to be installed.
#[test]
fn recorded_examples_agree() {
    let text = include_str!("flows/examples.jsonl");
    let missing = ["pandas_missing", "some_missing_package", "missing_pkg_zz", "missing_dep_q"];
    let (mut cases, mut answers) = (Vec::new(), Vec::new());
    for (at, line) in text.lines().enumerate() {
        let example: Value = serde_json::from_str(&line.replace("Infinity", "null")).expect("JSON");
        let source = example["source"].as_str().expect("text");
        let case = Case::one(format!("example {at}"), source, example["entrypoint"].as_str().expect("text"));
        if missing.iter().any(|package| source.contains(package)) {
            assert!(!matches!(case.answer(), Answer::NeedsFiles(_)));
            continue;
        }
        let mut theirs = example.clone();
        theirs["name"] = example["flow_name"].clone();
        cases.push(case);
        answers.push(theirs);
    }
    assert!(cases.len() > 60);
    compare(&cases, &answers, 90);
}

/// The hand-written files: `# try: a b` in the first line names the objects; a directory has a file `try` with entrypoints.
fn written() -> Vec<Case> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/flows");
    let mut cases = Vec::new();
    let mut entries: Vec<_> =
        fs::read_dir(&dir).expect("it exists").map(|entry| entry.expect("readable").path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().expect("named").to_string_lossy().into_owned();
        if path.is_dir() {
            let mut files = BTreeMap::new();
            collect(&path, &path, &mut files);
            let entrypoints = files.remove("try").expect("a directory of flows has a file `try`");
            for entrypoint in entrypoints.lines().filter(|line| !line.is_empty()) {
                let id = format!("{name} {entrypoint}");
                cases.push(Case { id, files: files.clone(), entrypoint: entrypoint.to_owned() });
            }
        } else if name.ends_with(".py") {
            let text = fs::read_to_string(&path).expect("readable");
            let first = text
                .lines()
                .next()
                .and_then(|line| line.trim_start_matches('\u{feff}').strip_prefix("# try: "))
                .expect("`# try:` names the objects");
            cases.extend(first.split(' ').map(|object| Case::one(format!("{name}:{object}"), text.clone(), object)));
        }
    }
    cases
}

fn collect(root: &Path, dir: &Path, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).expect("it exists") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).expect("below").to_string_lossy().into_owned();
            files.insert(name, fs::read_to_string(&path).expect("readable"));
        }
    }
}

const PRELUDE: &str = include_str!("flows/prelude.txt");

/// Every annotation with a default, as code, as a text and as a late text.
fn generated() -> Vec<Case> {
    let mut cases = Vec::new();
    for line in include_str!("flows/annotations.txt").lines().filter(|line| !line.is_empty()) {
        let (annotation, default) = line.split_once(" = ").map_or((line, None), |(a, d)| (a, Some(d)));
        let default = default.map(|d| format!(" = {d}")).unwrap_or_default();
        let quoted = format!("{annotation:?}");
        for (style, future, annotation) in [
            ("code", "", annotation),
            ("late", "from __future__ import annotations\n", annotation),
            ("text", "", &quoted),
        ] {
            let text =
                format!("{future}{PRELUDE}\n@flow\ndef f(p: {annotation}{default}, other: int = 1):\n    pass\n");
            cases.push(Case::one(format!("{style} {line}"), text, "f"));
        }
        for (kind, head) in [
            ("model", "class Holder(BaseModel):"),
            ("dataclass", "@dataclass\nclass Holder:"),
            ("row", "class Holder(NamedTuple):"),
            ("dict", "class Holder(TypedDict):"),
        ] {
            let default = if kind == "dict" { "" } else { &default };
            let text = format!(
                "{PRELUDE}\n{head}\n    some_field: {annotation}{default}\n\n@flow\ndef f(p: Holder, q: Optional[List[Holder]] = None):\n    pass\n"
            );
            cases.push(Case::one(format!("{kind} {line}"), text, "f"));
        }
    }
    cases
}

/// Small programs that are easily got wrong, each below the same prelude.
fn tricky() -> Vec<Case> {
    let programs = include_str!("flows/tricky.txt").split("---\n").enumerate();
    programs.map(|(at, text)| Case::one(format!("tricky {at}"), format!("{PRELUDE}\n{text}"), "f")).collect()
}

/// Files as people write them, put together from pieces.
fn composed() -> Vec<Case> {
    let mut cases = Vec::new();
    for (at, file) in crate::flow_files::flow_files(170).into_iter().enumerate() {
        cases.extend(
            file.objects.iter().map(|object| Case::one(format!("file {at}:{object}"), file.text.clone(), object)),
        );
    }
    cases
}

/// The file of the entrypoint, to count different ones.
fn main_file(case: &Case) -> &str {
    let path = case.entrypoint.split(':').next().unwrap_or_default();
    case.files.get(path).map_or(case.id.as_str(), String::as_str)
}

#[test]
fn prefect_says_the_same() {
    let mut cases = written();
    let by_hand = cases.len();
    let hand_files = cases.iter().map(main_file).collect::<BTreeSet<_>>().len();
    cases.extend(composed());
    let files = cases.iter().map(main_file).collect::<BTreeSet<_>>().len();
    println!("{files} real-looking files with {} flows, {hand_files} of them by hand with {by_hand}", cases.len());
    assert!(files >= 200, "only {files} real-looking files");
    cases.extend(generated());
    let answers = prefect(&cases);
    compare(&cases, &answers, 95);
}

/// Half of these are beyond reading, or refused: what counts is that none of them is answered wrongly.
#[test]
fn tricky_programs_are_right_or_left_to_python() {
    let cases = tricky();
    let answers = prefect(&cases);
    compare(&cases, &answers, 45);
}

#[test]
fn no_code_runs() {
    let dir = tempfile::tempdir().expect("a directory");
    let marker = dir.path().join("marker");
    let touch = format!("open({:?}, 'w').write('ran')", marker.display().to_string());
    let text = format!(
        "from prefect import flow\n{touch}\ndef default():\n    {touch}\n    return 1\nclass C:\n    {touch}\n\
         @flow(name='quiet')\ndef f(a: int = 3):\n    {touch}\n@flow\ndef g(a: int = default()):\n    pass\n"
    );
    let f = Case::one("f", text.as_str(), "f").answer();
    assert!(matches!(&f, Answer::Known { facts, .. } if facts.name == "quiet"), "{f:?}");
    let g = Case::one("g", text.as_str(), "g").answer();
    assert!(matches!(&g, Answer::NeedsPython(unsure) if unsure.reasons[0].parameter.as_deref() == Some("a")), "{g:?}");
    assert!(!marker.exists());
}

#[test]
fn hostile_code_ends_in_an_answer() {
    let head = "from prefect import flow\n";
    let deep = |open: &str, close: &str, n: usize| format!("{head}X = {}1{}\n", open.repeat(n), close.repeat(n));
    let hostile = [
        deep("(", ")", 100_000),
        deep("not ", "", 100_000),
        deep("lambda: ", "", 100_000),
        deep("-", "", 100_000),
        deep("[", "]", 80),
        format!("{head}X = {}\n", vec!["a"; 100_000].join(" + ")),
        format!("{head}X = x{}\n", ".y".repeat(100_000)),
        format!("{head}X = x{}\n", "()".repeat(100_000)),
        format!("{head}X = {}\n", "f'{".repeat(1000)),
        format!("{head}{}", (0..5000).map(|i| format!("{}if x:\n", " ".repeat(i))).collect::<String>()),
        format!("{head}{}", "#".repeat(5 << 20)),
        format!("{head}class A(A): pass\n@flow\ndef f(a: A): ...\n"),
        format!("{head}from typing import List\nA = List['A']\n@flow\ndef f(a: A): ...\n"),
        format!("{head}type A = list[A]\n@flow\ndef f(a: A): ...\n"),
        format!("{head}type A = A\n@flow\ndef f(a: A): ...\n"),
        format!(
            "{head}from pydantic import BaseModel\nclass A(BaseModel):\n    a: 'B'\nclass B(BaseModel):\n    b: A\n@flow\ndef f(a: A): ...\n"
        ),
        format!("{head}X = 'x' * 10 ** 9\n@flow\ndef f(a=X): ...\n"),
        format!("{head}{}@flow\ndef f(a=X): ...\n", "X = 'x'\n".to_owned() + &"X = X + X\n".repeat(200)),
        format!("{head}{}@flow\ndef f(a=X): ...\n", "X = [1]\n".to_owned() + &"X = [X, X]\n".repeat(200)),
        "\0\u{feff}\u{0}".to_owned(),
    ];
    for (at, text) in hostile.iter().enumerate() {
        for object in ["f", "X", "A"] {
            assert!(!matches!(
                Case::one(format!("hostile {at}"), text.as_str(), object).answer(),
                Answer::NeedsFiles(_)
            ));
        }
    }
    let cyclic = BTreeMap::from([
        ("a.py".to_owned(), "from b import f\n".to_owned()),
        ("b.py".to_owned(), "from a import f\n".to_owned()),
        ("c.py".to_owned(), "from c import f\nimport c\ng = c.g\n".to_owned()),
    ]);
    for entrypoint in ["a.py:f", "c.py:f", "c.py:g", "a:f"] {
        let case = Case { id: entrypoint.to_owned(), files: cyclic.clone(), entrypoint: entrypoint.to_owned() };
        assert!(matches!(case.answer(), Answer::NeedsPython(_) | Answer::Invalid(_)), "{entrypoint}");
    }
}

#[test]
fn files_are_named_and_problems_have_places() {
    let case = Case::one("typo", "from prefect import flow\n@flow\ndef nightly(): ...\n", "nightli");
    let Answer::Invalid(diagnostics) = case.answer() else { panic!("a typo is invalid") };
    assert_eq!(diagnostics[0].code, "E0203");
    assert_eq!(diagnostics[0].help.as_deref(), Some("did you mean `nightly`?"));

    let case = Case::one("reserved", "from prefect import flow\n@flow\ndef f(wait_for, _x): ...\n", "f");
    let Answer::Invalid(diagnostics) = case.answer() else { panic!("reserved names are invalid") };
    let places: Vec<String> =
        diagnostics.iter().map(|d| format!("{} {}", d.code, d.origin().expect("placed"))).collect();
    assert_eq!(places, ["E0206 my_flows.py:3:7", "E0207 my_flows.py:3:17"]);

    let missing: Entrypoint = "flows/x.py:f".parse().expect("well formed");
    let path = RepoPath::new("jobs/flows/x.py");
    let asked = facts(&missing, &RepoPath::new("jobs"), &Sources::new());
    assert_eq!(asked, Answer::NeedsFiles(BTreeSet::from([path.clone()])));
    let sources: Sources = [(path, None)].into_iter().collect();
    let Answer::Invalid(diagnostics) = facts(&missing, &RepoPath::new("jobs"), &sources) else {
        panic!("it is missing")
    };
    assert_eq!(diagnostics[0].code, "E0201");

    let files = BTreeMap::from([
        ("main.py".to_owned(), "from pkg.impl import run\n".to_owned()),
        ("pkg/__init__.py".to_owned(), String::new()),
        ("pkg/impl.py".to_owned(), "from prefect import flow\n@flow\ndef run(): ...\n".to_owned()),
    ]);
    let case = Case { id: "files".to_owned(), files, entrypoint: "main.py:run".to_owned() };
    let Answer::Known { files, .. } = case.answer() else { panic!("it is known") };
    assert!(files.contains(&RepoPath::new("main.py")) && files.contains(&RepoPath::new("pkg/impl.py")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_ends_in_an_answer(text in "\\PC{0,200}") {
        let answer = Case::one("any", text, "f").answer();
        prop_assert!(!matches!(answer, Answer::NeedsFiles(_)));
    }

    #[test]
    fn any_code_ends_in_an_answer(words in prop::collection::vec(prop::sample::select(vec![
        "from prefect import flow\n", "import x\n", "from x import *\n", "@flow\n", "def f(", "a", ": ", "int", " = ", "1", ")", ":\n", "    ",
        "pass\n", "class f", "(", "f", "[", "]", "'a'", "|", ",", "lambda", "if ", "else", "\n", "Optional", "f'{", "}'", "**", "@", "return ",
    ]), 0..60)) {
        let answer = Case::one("any", words.concat(), "f").answer();
        prop_assert!(!matches!(answer, Answer::NeedsFiles(_)));
    }
}
