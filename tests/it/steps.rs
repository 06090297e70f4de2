//! Native steps against Prefect's own, and what a list does that Prefect's does not: masking, cancelling, sealing.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests touch the world and fail loudly")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reconcile::model::{Map, Secret, Tree};
use reconcile::steps::environment::Env;
use reconcile::steps::{Fill, StepError, StepEvent, StepProblem, StepScope, Stream, run, words};
use serde_json::{Value, json};

const SHELL: &str = "prefect.deployments.steps.run_shell_script";

fn env(extra: &[(&str, &str)]) -> Env {
    let base = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("HOME", "/nowhere"),
        ("GREETING", "hello world"),
        ("LANG", "C.UTF-8"),
    ];
    base.iter().chain(extra).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Templates stay as they are.
fn as_written(inputs: &Tree, _: &Map) -> Result<Tree, StepProblem> {
    Ok(inputs.clone())
}

/// Fills `{{ name }}` and `{{ id.name }}` where they are the whole text.
fn from_outputs(inputs: &Tree, outputs: &Map) -> Result<Tree, StepProblem> {
    let fill = |text: &str| {
        let path = text.strip_prefix("{{ ")?.strip_suffix(" }}")?;
        let mut parts = path.split('.');
        let first = outputs.get(parts.next()?)?;
        parts.try_fold(first, |tree, part| tree.get(part)).cloned()
    };
    let inputs = inputs.as_map().expect("inputs are a mapping").iter();
    Ok(Tree::Map(inputs.map(|(k, v)| (k.clone(), v.as_str().and_then(fill).unwrap_or_else(|| v.clone()))).collect()))
}

/// Runs a list and gives what became of it with all that was told.
async fn run_list(steps: Value, cwd: &Path, env: Env, fill: &mut Fill<'_>) -> (Result<Map, StepError>, Vec<StepEvent>) {
    let events = Mutex::new(Vec::new());
    let say = |event| events.lock().unwrap().push(event);
    let steps: Vec<Tree> = steps.as_array().unwrap().iter().map(Tree::from).collect();
    let mut scope = StepScope::new(cwd, env, fill);
    let result = run(&steps, &mut scope, &say).await;
    drop(scope);
    (result, events.into_inner().unwrap())
}

fn lines(events: &[StepEvent]) -> Vec<(Stream, &str)> {
    events
        .iter()
        .filter_map(|event| match event {
            StepEvent::Output { stream, line, .. } => Some((*stream, line.as_str())),
            StepEvent::Started { .. } | StepEvent::Warning { .. } | StepEvent::Finished { .. } => None,
        })
        .collect()
}

/// Scripts with the inputs beside them.
fn scripts() -> Vec<Value> {
    let plain = [
        "echo hello",
        "echo one\necho two",
        "echo 'single quotes' \"double quotes\"",
        "echo \"a \\\"b\\\" \\x \\\\ c\"",
        "echo a\\ b 'c\\d'",
        "echo ''",
        "echo '' '' x",
        "''",
        "# a comment",
        "echo x # not a comment",
        "echo a | cat",
        "echo a && echo b",
        "echo a > /tmp/never",
        "echo *",
        "echo ~ $HOME ${GREETING}",
        "",
        "\n\n   \n\t\n",
        "  echo indented   ",
        "echo é ü 日本 🎉",
        "printf '\\303\\050 \\377 \\360\\237'",
        "printf 'no newline'",
        "printf '  padded  \\n\\n'",
        "printf '\\034x\\037'",
        "echo it's",
        "echo \"open",
        "echo trailing \\",
        "echo ok\necho it's\necho never",
        "definitely-not-a-program",
        "echo first\ndefinitely-not-a-program",
        "./tool.sh a b",
        "sub/../tool.sh 'a b'",
        "./not-executable.sh",
        "./no-shebang",
        "./missing",
        "sub",
        "./sub",
        "/",
        "false",
        "true",
        "sh -c 'exit 3'",
        "sh -c 'echo out; echo err >&2; exit 7'",
        "sh -c 'echo early >&2'\nsh -c 'echo late >&2; exit 2'",
        "sh -c 'kill -9 $$'",
        "sh -c 'kill -TERM $$'",
        "sh -c 'echo err >&2; echo out'",
        "cd sub\npwd",
        "export X=1",
        "pwd",
        "env A=1 sh -c 'echo $A'",
        "echo a\u{2028}echo b",
        "echo a\u{b}echo b\u{c}echo c\u{85}echo d",
        "echo a\r\necho b\recho c",
        "echo\u{a0}x",
        "echo a\tb",
        "cat",
        "seq 1 5",
        "sh -c 'printf %s \"$0\"' arg0",
        "echo $$ '$A' \\$B",
        "echo {a,b} [x] !y `date`",
        "echo \"multi\nline\"",
        "tool-on-path x",
        "=",
        "A=1 echo x",
        "echo -e 'a\\nb'",
        "head -c 100000 /dev/zero",
        "echo \u{1F}x",
    ];
    let mut all: Vec<Value> = plain.iter().map(|script| json!({"script": script})).collect();
    // The same lines through a shell.
    let shell = [
        "echo hello | tr a-z A-Z",
        "echo a && echo b",
        "false || echo recovered",
        "echo $GREETING \"$GREETING\"",
        "# a comment\necho after",
        "X=1\necho \"x=$X\"",
        "cd sub\npwd",
        "echo 'open",
        "exit 4",
        "echo err >&2; exit 5",
        "definitely-not-a-program",
        "\n   \necho late",
        "echo é | cat",
        "for i in 1 2; do echo $i; done",
        "for i in 1 2; do\necho $i\ndone",
        "echo $0",
        "kill -9 $$",
    ];
    all.extend(shell.iter().map(|script| json!({"script": script, "shell": true})));
    all.extend([
        json!({"script": "echo $GREETING ${GREETING} $NOPE ${NOPE} $$ $", "expand_env_vars": true}),
        json!({"script": "echo $X-$GREETING", "expand_env_vars": true, "env": {"X": "from env"}}),
        json!({"script": "echo '$X'", "expand_env_vars": true, "env": {"X": "quo'te"}}),
        json!({"script": "echo $X", "expand_env_vars": true, "env": {"X": "a\necho b"}}),
        json!({"script": "echo $X", "expand_env_vars": true, "shell": true, "env": {"X": "1; echo 2"}}),
        json!({"script": "sh -c 'echo $X'", "env": {"X": "set", "GREETING": "other"}}),
        json!({"script": "sh -c 'echo $GREETING'", "env": {"GREETING": ""}}),
        json!({"script": "tool-on-path", "env": {"PATH": "/nowhere"}}),
        json!({"script": "tool-in-sub", "env": {"PATH": "sub"}}),
        json!({"script": "tool-in-sub", "env": {"PATH": "."}, "directory": "sub"}),
        json!({"script": "echo x", "env": {"PATH": ""}}),
        json!({"script": "echo x", "env": null}),
        json!({"script": "echo x", "env": []}),
        json!({"script": "echo x", "env": {"X": 1}}),
        json!({"script": "echo x", "env": {"X": true}}),
        json!({"script": "echo x", "env": {"": "x"}}),
        json!({"script": "echo x", "env": {"A=B": "x"}}),
        json!({"script": "echo x", "env": {"A": "a\u{0}b"}}),
        json!({"script": "echo x\u{0}y"}),
        json!({"script": "pwd", "directory": "sub"}),
        json!({"script": "pwd", "directory": "./sub/.."}),
        json!({"script": "pwd", "directory": "missing"}),
        json!({"script": "pwd", "directory": ""}),
        json!({"script": "pwd", "directory": "tool.sh"}),
        json!({"script": "", "directory": "missing"}),
        json!({"script": "./tool-in-sub", "directory": "sub"}),
        json!({"script": "echo quiet", "stream_output": false}),
        json!({"script": "echo x | cat", "shell": "false"}),
        json!({"script": "echo x | cat", "shell": 0}),
        json!({"script": 5}),
        json!({"script": null}),
        json!({"script": ["echo x"]}),
        json!({}),
        json!({"script": "echo x", "surprise": 1}),
        json!({"script": "echo x", "directory": 3.5}),
        json!({"script": "echo x", "id": "named"}),
        json!({"script": "echo x", "id": ""}),
        json!({"script": "echo x", "id": null}),
    ]);
    all
}

/// Whole lists.
fn lists() -> Vec<Value> {
    let cd = "prefect.deployments.steps.set_working_directory";
    let deep = "prefect.deployments.steps.utility.run_shell_script";
    vec![
        json!([]),
        json!([null, {}, {SHELL: {"script": "echo x"}}]),
        json!([{cd: {"directory": "sub"}}, {SHELL: {"script": "pwd"}}]),
        json!([{cd: {"directory": "sub/deep"}}, {cd: {"directory": ".."}}, {SHELL: {"script": "pwd", "directory": "deep"}}]),
        json!([{cd: {"directory": "link", "id": "where"}}]),
        json!([{cd: {"directory": "missing"}}]),
        json!([{cd: {"directory": ""}}]),
        json!([{cd: {"directory": "tool.sh"}}]),
        json!([{cd: {}}]),
        json!([{cd: {"directory": "sub", "more": 1}}]),
        json!([{deep: {"script": "echo a", "id": "one"}}, {deep: {"script": "echo b", "id": "two"}}]),
        json!([{SHELL: {"script": "echo a"}, "second": {}}]),
        json!(["text"]),
        json!([{SHELL: "text"}]),
        json!([{SHELL: ["list"]}]),
        json!([{"prefect.deployments.steps:run_shell_script": {"script": "echo colon"}}]),
        json!([{"prefect.deployments.steps.pip_install_requirements": {"requirements_file": "missing.txt", "more": 1}}]),
    ]
}

/// Awkward texts: every mixture of quotes, escapes, dollars and ends of lines up to some length, by a small generator.
fn texts() -> Vec<String> {
    const PARTS: [&str; 27] = [
        "a", "A", "_b2", " ", "\t", "'", "\"", "\\", "$", "${", "}", "$A", "${A}", "${_b2}", "$$", "#", "\n", "\r",
        "\r\n", "\u{b}", "\u{1c}", "\u{85}", "\u{2028}", "é", "1", "\u{a0}", "$Z",
    ];
    let mut state: u64 = 0x2545_F491_4F6C_DD1D;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    (0..4000).map(|_| (0..next(9)).map(|_| PARTS[next(PARTS.len())]).collect()).collect()
}

/// Writes a file from another process: while this one holds it open for writing, a fork may keep it busy.
fn make(file: &Path, text: &str, mode: &str) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let script = "printf %s \"$1\" > \"$0\" && chmod \"$2\" \"$0\"";
    assert!(Command::new("sh").args(["-c", script]).arg(file).args([text, mode]).status().unwrap().success());
}

fn fixture(root: &Path) {
    let make = |name: &str, text: &str, mode: &str| make(&root.join(name), text, mode);
    let tool = "#!/bin/sh\necho \"tool: $#: $*\"\n";
    make("tool.sh", tool, "755");
    make("sub/tool-in-sub", tool, "755");
    make("bin/tool-on-path", tool, "755");
    make("not-executable.sh", tool, "644");
    make("no-shebang", "echo run by a shell\n", "755");
    make("sub/deep/file", "", "644");
    std::os::unix::fs::symlink("sub", root.join("link")).unwrap();
}

fn ask_prefect(question: &Value, answer_file: &Path) -> Value {
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/python/steps.py");
    let mut child = Command::new(crate::support::python())
        .arg(driver)
        .arg(answer_file)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), question.to_string().as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    serde_json::from_slice(&std::fs::read(answer_file).unwrap()).unwrap()
}

/// Our outcome in the driver's words.
fn in_their_words(result: Result<Map, StepError>, cwd: &Path) -> Value {
    let problem = match result {
        Ok(outputs) => return json!({"ok": Tree::Map(outputs).masked(), "cwd": cwd}),
        Err(error) => error.problem,
    };
    json!({"error": match problem {
        StepProblem::Exit { code, stderr, .. } => json!({"exit": code, "stderr": stderr}),
        StepProblem::Start { .. } | StepProblem::Directory { .. } => json!({"os": true}),
        StepProblem::Words { reason, .. } => json!({"words": reason}),
        StepProblem::NotAStep { .. }
        | StepProblem::ExtraKeys { .. }
        | StepProblem::NotInputs { .. }
        | StepProblem::Argument(_) => json!({"refused": true}),
        StepProblem::Template(_) | StepProblem::Foreign(_) | StepProblem::NoPython | StepProblem::Cancelled => {
            json!({"unexpected": problem.to_string()})
        }
    }})
}

#[tokio::test]
async fn native_steps_do_what_prefects_do() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let work = root.join("work");
    std::fs::create_dir(&work).unwrap();
    fixture(&work);
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", work.join("bin").display());
    let env = env(&[("PATH", &path)]);
    let mut all: Vec<Value> = scripts().into_iter().map(|inputs| json!([{SHELL: inputs}])).collect();
    all.extend(lists());
    let cases: Vec<Value> = all.iter().map(|steps| json!({"steps": steps, "cwd": work, "env": env})).collect();
    let theirs = ask_prefect(&json!({"cases": cases, "texts": texts()}), &root.join("answer.json"));

    let mut different = Vec::new();
    for (steps, theirs) in all.iter().zip(theirs["cases"].as_array().unwrap()) {
        let trees: Vec<Tree> = steps.as_array().unwrap().iter().map(Tree::from).collect();
        let mut fill = as_written;
        let mut scope = StepScope::new(&work, env.clone(), &mut fill);
        let result = run(&trees, &mut scope, &|_| {}).await;
        let ours = in_their_words(result, &scope.cwd);
        if ours != *theirs {
            different.push(format!("{steps}\n  ours   {ours}\n  theirs {theirs}"));
        }
    }
    for (text, theirs) in texts().iter().zip(theirs["texts"].as_array().unwrap()) {
        let value =
            |name: &str| [("A", "1"), ("_b2", "two"), ("Z", "$A")].iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        let split = words::split(text).map_or_else(|error| json!({"error": error}), |words| json!({"ok": words}));
        let ours = json!({
            "words": split,
            "lines": words::lines(text),
            "strip": words::strip(text),
            "filled": words::substitute(text, value),
        });
        if ours != *theirs {
            different.push(format!("{text:?}\n  ours   {ours}\n  theirs {theirs}"));
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
    assert!(all.len() > 130);
}

#[tokio::test]
async fn outputs_feed_later_steps_by_name_and_by_id() {
    let dir = tempfile::tempdir().unwrap();
    let steps = json!([
        {SHELL: {"id": "first", "script": "echo echo one"}},
        {SHELL: {"script": "echo echo two"}},
        {SHELL: {"id": "again", "script": "{{ first.stdout }}"}},
        {SHELL: {"script": "{{ stdout }}-not-a-placeholder"}},
    ]);
    let (result, events) = run_list(steps, dir.path(), env(&[]), &mut from_outputs).await;
    let error = result.unwrap_err();
    assert_eq!((error.index, error.code()), (3, "E0606"));
    assert_eq!(lines(&events), [(Stream::Stdout, "echo one"), (Stream::Stdout, "echo two"), (Stream::Stdout, "one")]);
    assert_eq!(events[0], StepEvent::Started { index: 0, name: "run_shell_script".into(), fqn: SHELL.into() });
}

#[tokio::test]
async fn secrets_are_neither_told_nor_left_open_in_outputs() {
    let dir = tempfile::tempdir().unwrap();
    let mut fill = |inputs: &Tree, _: &Map| {
        let mut inputs = inputs.as_map().unwrap().clone();
        let token = Tree::Secret(Secret::text("hunter2-token"));
        inputs.insert("env".into(), Tree::Map([("TOKEN".to_owned(), token)].into_iter().collect()));
        Ok(Tree::Map(inputs))
    };
    let steps = json!([{SHELL: {"script": "sh -c 'echo got $TOKEN; echo $TOKEN >&2'", "id": "a"}}]);
    let (result, events) = run_list(steps, dir.path(), env(&[]), &mut fill).await;
    let outputs = result.unwrap();
    assert_eq!(lines(&events).len(), 2);
    assert!(!format!("{events:?} {outputs:?}").contains("hunter2"), "{events:?}");
    assert_eq!(outputs["stdout"], Tree::Secret(Secret::text("got hunter2-token")));

    let steps = json!([{SHELL: {"script": "sh -c 'echo $TOKEN >&2; exit 3'"}}]);
    let (result, _) = run_list(steps, dir.path(), env(&[]), &mut fill).await;
    let message = result.unwrap_err().to_string();
    assert!(
        message.contains("exit code 3") && message.contains("(sensitive)") && !message.contains("hunter2"),
        "{message}"
    );
}

#[tokio::test]
async fn quiet_steps_tell_nothing_and_old_names_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let old = "prefect.projects.steps.run_shell_script";
    let steps = json!([{old: {"script": "echo quiet", "stream_output": false}}]);
    let (result, events) = run_list(steps, dir.path(), env(&[]), &mut as_written).await;
    assert_eq!(result.unwrap()["stdout"], Tree::text("quiet"));
    assert!(lines(&events).is_empty());
    let warned = events
        .iter()
        .any(|event| matches!(event, StepEvent::Warning { code: "W0650", message, .. } if message.contains(old)));
    assert!(warned, "{events:?}");
}

/// Whether some process still runs with `marker` among its arguments.
fn runs(marker: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).split('\0').any(|argument| argument == marker)
    })
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn cancelling_and_dropping_end_the_whole_process_group() {
    let dir = tempfile::tempdir().unwrap();
    for (cancel, seconds) in [(true, "86417"), (false, "86418")] {
        let script = format!("sh -c 'trap \"\" TERM; sleep {seconds} & sleep {seconds}'");
        let steps = [Tree::from(json!({SHELL: {"script": script}}))];
        let mut fill = as_written;
        let mut scope = StepScope::new(dir.path(), env(&[]), &mut fill);
        let token = scope.cancel.clone();
        let say = |_| {};
        let running = run(&steps, &mut scope, &say);
        let started = async {
            while !runs(seconds) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            if cancel {
                token.cancel();
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            result = running => assert_eq!(result.unwrap_err().problem, StepProblem::Cancelled),
            () = started => assert!(!cancel),
        }
        let until = Instant::now() + Duration::from_secs(20);
        while runs(seconds) && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(!runs(seconds), "the group outlived its step");
    }
}

#[tokio::test]
async fn megabytes_of_output_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let steps =
        json!([{SHELL: {"script": "sh -c 'head -c 5000000 /dev/zero | tr \"\\0\" x; head -c 3000000 /dev/zero >&2'"}}]);
    let (result, _) = run_list(steps, dir.path(), env(&[]), &mut as_written).await;
    let outputs = result.unwrap();
    assert_eq!(outputs["stdout"].as_str().unwrap().len(), 5_000_000);
    assert_eq!(outputs["stderr"].as_str().unwrap().len(), 3_000_000);
}

#[tokio::test]
async fn pip_runs_with_the_projects_python() {
    let dir = tempfile::tempdir().unwrap();
    let python = dir.path().join("python");
    make(&python, "#!/bin/sh\necho \"$*\"\nexit $CODE\n", "755");
    let steps =
        [Tree::from(json!({"prefect.deployments.steps.pip_install_requirements": {"requirements_file": "r.txt"}}))];
    for (code, with_python) in [("0", true), ("2", true), ("0", false)] {
        let mut fill = as_written;
        let mut scope = StepScope::new(dir.path(), env(&[("CODE", code)]), &mut fill);
        scope.python = with_python.then(|| python.clone());
        let result = run(&steps, &mut scope, &|_| {}).await;
        match (code, with_python) {
            ("0", true) => assert_eq!(result.unwrap()["stdout"], Tree::text("-m pip install -r r.txt")),
            ("0", _) => assert_eq!(result.unwrap_err().problem, StepProblem::NoPython),
            _ => assert_eq!(result.unwrap_err().code(), "E0607"),
        }
    }
}

#[tokio::test]
async fn foreign_steps_go_to_whoever_calls_python() {
    use reconcile::steps::{ForeignAnswer, ForeignCall, foreign_by, needs_python};
    let dir = tempfile::tempdir().unwrap();
    let calls: Arc<Mutex<Vec<ForeignCall>>> = Arc::default();
    let seen = calls.clone();
    let mut foreign = foreign_by(move |call, output| {
        output(Stream::Stdout, "hal");
        output(Stream::Stdout, "f a line\nlast");
        seen.lock().unwrap().push(call.clone());
        let fails = call.fqn.ends_with("fails");
        let env = BTreeMap::from([("SET_BY_STEP".to_owned(), Some("yes".to_owned())), ("GREETING".to_owned(), None)]);
        let outputs = json!({"tag": "v1"}).as_object().cloned();
        let answer = ForeignAnswer { outputs, cwd: "/".into(), env, warnings: vec!["old".to_owned()] };
        Box::pin(async move { if fails { Err("it broke".to_owned()) } else { Ok(answer) } })
    });
    let steps: Vec<Tree> = [
        json!({"my.build": {"n": 1, "id": "b", "requires": ["pkg>=1"]}}),
        json!({SHELL: {"script": "pwd\nsh -c 'echo $SET_BY_STEP${GREETING-gone}'"}}),
        json!({"my.fails": {}}),
    ]
    .iter()
    .map(Tree::from)
    .collect();
    assert!(needs_python(&steps) && !needs_python(&steps[1..2]));
    let events = Mutex::new(Vec::new());
    let say = |event| events.lock().unwrap().push(event);
    let mut fill = as_written;
    let mut scope = StepScope::new(dir.path(), env(&[]), &mut fill);
    scope.foreign = Some(&mut foreign);
    let error = run(&steps, &mut scope, &say).await.unwrap_err();
    assert_eq!((error.index, error.problem), (2, StepProblem::Foreign("it broke".to_owned())));
    assert_eq!(scope.outputs["tag"], Tree::text("v1"));
    assert_eq!(scope.outputs["b"], Tree::from(json!({"tag": "v1"})));
    assert_eq!(scope.outputs["stdout"], Tree::text("/\nyesgone"));
    drop(scope);
    let events = events.into_inner().unwrap();
    assert_eq!(lines(&events)[..2], [(Stream::Stdout, "half a line"), (Stream::Stdout, "last")]);
    let calls = calls.lock().unwrap();
    assert_eq!(calls[0].requires, ["pkg>=1"]);
    assert_eq!(calls[0].inputs, *json!({"n": 1}).as_object().unwrap());
    assert_eq!(calls[1].cwd, Path::new("/"));
    assert_eq!(calls[1].env["SET_BY_STEP"].as_deref(), Some("yes"));
}
