//! The Python helper: the same facts as Prefect, whatever a project's files do to their interpreter.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests touch the world and fail loudly")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reconcile::model::{Map, Tree};
use reconcile::python::{
    Candidate, FailureKind, FlowAnswer, HelperOptions, PythonError, PythonHelper, Question, StepCall, Stream,
    candidates,
};
use reconcile::steps::{ForeignAnswer, StepEvent, StepScope, foreign_by};
use serde_json::{Value, json};

fn env(home: &Path) -> BTreeMap<String, String> {
    let home = home.to_string_lossy().into_owned();
    [("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()), ("HOME".to_owned(), home)].into()
}

fn candidate() -> Candidate {
    Candidate { path: crate::support::python(), named_by: "--python", explicit: true }
}

async fn helper(root: &Path) -> PythonHelper {
    let mut options = HelperOptions::new(root, env(root));
    options.env.insert("ALLOWED".to_owned(), "1".to_owned());
    PythonHelper::start(&candidate(), options).await.unwrap()
}

fn write(root: &Path, name: &str, text: &str) {
    let file = root.join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

const FLOW: &str = "from prefect import flow\n";

/// Files, and the entrypoints to ask for: `(directory, entrypoint)`.
fn project(root: &Path) -> Vec<Question> {
    let files = [
        (
            "plain.py",
            "@flow\ndef my_flow(x: int = 1, y: str | None = None):\n    'Says it.\\n\\n    Args:\\n        x: how many\\n    '\n",
        ),
        ("named.py", "@flow(name='Other', description='D', version='7')\ndef f(): ...\n"),
        ("asynchronous.py", "@flow\nasync def f(items: list[int]): ...\n"),
        (
            "method.py",
            "class C:\n    @flow\n    def run(self, a: int): ...\n    @staticmethod\n    @flow\n    def still(a: int): ...\n",
        ),
        (
            "models.py",
            "from pydantic import BaseModel\nclass M(BaseModel):\n    x: int\n    y: 'list[M]' = []\n@flow\ndef f(m: M, n: M | None = None): ...\n",
        ),
        ("enums.py", "import enum\nclass E(enum.Enum):\n    A = 'a'\n    B = 'b'\n@flow\ndef f(e: E = E.A): ...\n"),
        (
            "dates.py",
            "import datetime, pathlib, decimal, uuid\n@flow\ndef f(a: datetime.datetime = datetime.datetime(2024, 1, 2), b: pathlib.Path = pathlib.Path('x'), c: decimal.Decimal = decimal.Decimal('1.5'), d: uuid.UUID = uuid.UUID(int=3)): ...\n",
        ),
        ("variadic.py", "@flow\ndef f(*args: int, key: str, **rest: float): ...\n"),
        (
            "missing_import.py",
            "import no_such_module\n@flow\ndef f(x: no_such_module.T, y: int = no_such_module.DEFAULT): ...\n",
        ),
        ("missing_async.py", "import no_such_module\n@flow\nasync def f(x: int = 5): 'doc'\n"),
        ("missing_decorator.py", "from no_such_module import deco\n@deco\n@flow\ndef f(): ...\n"),
        ("divides.py", "1 / 0\n@flow\ndef f(x: int = 2): ...\n"),
        ("syntax.py", "def f(:\n"),
        (
            "prints.py",
            "import sys\nprint('noise ' * 100000)\nprint('{\"id\": 1, \"ok\": {}}')\nprint('err', file=sys.stderr)\n@flow\ndef f(): ...\n",
        ),
        ("reads.py", "import sys\ntext = sys.stdin.read()\n@flow\ndef f(x: str = repr(text)): ...\n"),
        (
            "moves.py",
            "import os\nos.chdir('/')\nos.environ['CHANGED'] = 'yes'\n@flow\ndef f(x: str = os.getcwd()): ...\n",
        ),
        (
            "sees.py",
            "import os\n@flow\ndef f(cwd: str = os.path.basename(os.getcwd()), changed: str = os.environ.get('CHANGED', 'no')): ...\n",
        ),
        (
            "runs_loop.py",
            "import asyncio\nasync def g(): return 1\nn = asyncio.run(g())\n@flow\ndef f(x: int = n): ...\n",
        ),
        (
            "script.py",
            "import sys\n@flow\ndef f(x: str = sys.argv[1]): ...\nif __name__ == '__main__':\n    raise SystemExit(9)\n",
        ),
        ("exits.py", "import sys\nsys.exit(4)\n"),
        ("dies.py", "import os\nos._exit(3)\n"),
        ("crashes.py", "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"),
        ("not_flow.py", "def f(): ...\n"),
        ("bad_name.py", "@flow(name='a/b')\ndef f(): ...\n"),
        ("underscore.py", "@flow\ndef _f(_x: int): ...\n"),
        ("options.py", "@flow\ndef base(x: int): ...\nf = base.with_options(name='optioned', description='new')\n"),
        ("wrapped.py", "from plain import my_flow as f\n"),
        (
            "threads.py",
            "import threading, time\nthreading.Thread(target=time.sleep, args=(3600,)).start()\n@flow\ndef f(): ...\n",
        ),
        ("forks.py", "import subprocess, sys\nsubprocess.Popen(['sleep', '86421'])\n@flow\ndef f(): ...\n"),
        ("json.py", "@flow\ndef f(x: int = 77): ...\n"),
        ("prefect_like.py", "@flow\ndef copy(json: int, schema: str, dict: bool = True): ...\n"),
        ("a/flow.py", "from helper_mod import N\n@flow\ndef f(x: int = N): ...\n"),
        ("a/helper_mod.py", "N = 1\n"),
        ("b/flow.py", "from helper_mod import N\n@flow\ndef f(x: int = N): ...\n"),
        ("b/helper_mod.py", "N = 2\n"),
        ("pkg/__init__.py", ""),
        ("pkg/flows.py", "from .part import V\n@flow\ndef g(x: int = V): ...\n"),
        ("pkg/part.py", "V = 11\n"),
        ("logging.py", "@flow\ndef f(x: str = 'a file named like a module'): ...\n"),
    ];
    for (name, text) in files {
        write(root, name, &format!("{FLOW}{text}"));
    }
    let ask = |cwd: &str, entrypoint: &str| Question { cwd: root.join(cwd), entrypoint: entrypoint.to_owned() };
    let mut all: Vec<Question> = files
        .iter()
        .filter(|(name, text)| {
            !name.contains('/') && (text.contains("def f(") || text.contains(" f\n") || text.contains("exit"))
        })
        .map(|(name, _)| ask(".", &format!("{name}:f")))
        .collect();
    all.extend([
        ask(".", "plain.py:my_flow"),
        ask(".", "./plain.py:my_flow"),
        ask("a", "../plain.py:my_flow"),
        ask(".", "plain.py:absent"),
        ask(".", "absent.py:f"),
        ask(".", "method.py:C.run"),
        ask(".", "method.py:C.still"),
        ask(".", "options.py:f"),
        ask(".", "underscore.py:_f"),
        ask(".", "prefect_like.py:copy"),
        ask(".", "crashes.py:f"),
        ask("a", "flow.py:f"),
        ask("b", "flow.py:f"),
        ask(".", "a/flow.py:f"),
        ask(".", "b/flow.py:f"),
        ask(".", "pkg.flows.g"),
        ask(".", "pkg.flows:g"),
        ask(".", "pkg/flows.py:g"),
        ask(".", "pkg.absent.g"),
        ask(".", "absent_pkg.g"),
        ask(".", "plain.txt:f"),
        ask("a", "sees_not_here.py:f"),
    ]);
    all
}

fn ask_prefect(questions: &[Question], root: &Path) -> Vec<Value> {
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/python/helper_facts.py");
    let answer = root.join("answer.json");
    let mut child = Command::new(crate::support::python())
        .args([&driver, &answer])
        .env_clear()
        .envs(env(root))
        .env("ALLOWED", "1")
        .current_dir(root.parent().unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let asked: Vec<Value> = questions.iter().map(|q| json!({"cwd": q.cwd, "entrypoint": q.entrypoint})).collect();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), Value::from(asked).to_string().as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    serde_json::from_slice(&std::fs::read(answer).unwrap()).unwrap()
}

#[tokio::test]
async fn facts_are_prefects_whatever_the_file_does() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let questions = project(&root);
    // `sys.argv` and standard input are those of our helper and of the driver: not compared.
    let same = |q: &Question| !["script.py:f", "reads.py:f"].contains(&q.entrypoint.as_str());
    let mut helper = helper(&root).await;
    let ours = helper.flow_facts(&questions).await;
    drop(helper);
    assert!(!root.join("__pycache__").exists(), "compiled files in the project's directory");
    until("ended", || !runs("86421")).await;
    let theirs = ask_prefect(&questions, &root);
    let mut different = Vec::new();
    for ((question, ours), theirs) in questions.iter().zip(&ours).zip(&theirs) {
        let agrees = match (ours, theirs.get("ok")) {
            (Ok(ours), Some(facts)) => !same(question) || serde_json::to_value(&ours.facts).unwrap() == *facts,
            (Err(_), None) => true,
            _ => false,
        };
        if !agrees {
            different.push(format!(
                "{} in {}\n  ours   {ours:?}\n  theirs {theirs}",
                question.entrypoint,
                question.cwd.display()
            ));
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
    assert!(ours.iter().filter(|answer| answer.is_ok()).count() >= 25, "{ours:?}");
    let of = |entrypoint: &str| {
        let index = questions.iter().position(|q| q.entrypoint == entrypoint).unwrap();
        ours[index].as_ref().map_err(kind)
    };
    assert_eq!(default_of(of("script.py:f").unwrap(), "x"), "deploy");
    assert_eq!(default_of(of("reads.py:f").unwrap(), "x"), "''");
    assert_eq!(default_of(of("a/flow.py:f").unwrap(), "x"), 1);
    assert_eq!(default_of(of("b/flow.py:f").unwrap(), "x"), 2);
    assert_eq!(of("plain.py:my_flow").unwrap().fallback, None);
    assert_eq!(
        of("missing_import.py:f").unwrap().fallback.as_deref(),
        Some("ModuleNotFoundError: No module named 'no_such_module'")
    );
    for (entrypoint, expected) in [
        ("missing_decorator.py:f", FailureKind::MissingModule),
        ("absent_pkg.g", FailureKind::MissingModule),
        ("plain.py:absent", FailureKind::NotFound),
        ("absent.py:f", FailureKind::MissingFile),
        ("not_flow.py:f", FailureKind::NotAFlow),
        ("bad_name.py:f", FailureKind::Raised),
        ("syntax.py:f", FailureKind::Raised),
        ("exits.py:f", FailureKind::Exited),
        ("dies.py:f", FailureKind::Died),
        ("crashes.py:f", FailureKind::Died),
    ] {
        assert_eq!(of(entrypoint).unwrap_err(), expected, "{entrypoint}");
    }
}

fn kind(error: &PythonError) -> FailureKind {
    match error {
        PythonError::Flow { failure, .. } | PythonError::Step { failure, .. } => failure.kind,
        PythonError::NotFound { .. }
        | PythonError::Unusable { .. }
        | PythonError::Gone { .. }
        | PythonError::Cancelled => {
            panic!("the helper itself failed: {error}")
        }
    }
}

fn default_of(answer: &FlowAnswer, parameter: &str) -> Value {
    answer.facts.schema["properties"][parameter]["default"].clone()
}

#[tokio::test]
async fn endless_files_cost_only_their_own_answer() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    write(root, "slow.py", "import subprocess, time\nprint('begun', flush=True)\nsubprocess.run(['sleep', '86431'])\n");
    write(root, "quick.py", &format!("{FLOW}@flow\ndef f(): ...\n"));
    let mut options = HelperOptions::new(root, env(root));
    options.flow_limit = Duration::from_secs(3);
    let mut helper = PythonHelper::start(&candidate(), options).await.unwrap();
    let ask = |entrypoint: &str| Question { cwd: root.to_owned(), entrypoint: entrypoint.to_owned() };
    let answers = helper.flow_facts(&[ask("slow.py:f"), ask("quick.py:f"), ask("slow.py:f")]).await;
    assert_eq!(answers[1].as_ref().unwrap().facts.name, "f");
    for index in [0, 2] {
        let Err(PythonError::Flow { failure, .. }) = &answers[index] else { panic!("{answers:?}") };
        assert_eq!((failure.kind, failure.output.as_str()), (FailureKind::Timeout, "begun\n"));
    }
    until("ended", || !runs("86431")).await;
    assert!(!root.join("__pycache__").exists(), "compiled files in the project's directory");
    assert_eq!(helper.interpreter().prefect.split('.').count(), 3);
}

/// Writes a program from another process: while this one holds it open for writing, a fork may keep it busy.
fn program(file: &Path, text: &str) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let script = "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\"";
    assert!(Command::new("sh").args(["-c", script]).arg(file).arg(text).status().unwrap().success());
}

/// Whether some process still runs with `marker` among its arguments.
fn runs(marker: &str) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    processes.flatten().any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).split('\0').any(|argument| argument == marker)
    })
}

async fn until(what: &str, test: impl Fn() -> bool) {
    for _ in 0..3000 {
        if test() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still not: {what}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn dropping_or_cancelling_ends_everything_it_started() {
    for (marker, cancel) in [("86441", false), ("86442", true)] {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        write(root, "slow.py", &format!("import subprocess\nsubprocess.run(['sleep', '{marker}'])\n"));
        let options = HelperOptions::new(root, env(root));
        let token = options.cancel.clone();
        let mut helper = PythonHelper::start(&candidate(), options).await.unwrap();
        let questions = [Question { cwd: root.to_owned(), entrypoint: "slow.py:f".to_owned() }];
        let started = async {
            until("started", || runs(marker)).await;
            if cancel {
                token.cancel();
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            answers = helper.flow_facts(&questions) => assert_eq!(answers, [Err(PythonError::Cancelled)]),
            () = started => assert!(!cancel),
        }
        let again = helper.flow_facts(&questions).await;
        assert!(matches!(again[0], Err(PythonError::Gone { .. })), "{again:?}");
        until("ended", || !runs(marker)).await;
    }
}

#[tokio::test]
async fn without_prefect_every_place_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let fake = |name: &str, text: &str| program(&root.join(name), text);
    fake("bin/python3", "#!/bin/sh\necho \"I am no Python\" >&2\nexit 3\n");
    fake(
        ".venv/bin/python",
        "#!/bin/sh\nread n; echo '{\"python\": \"3.1\", \"executable\": \"x\", \"error\": \"ModuleNotFoundError: No module named prefect\"}'\n",
    );
    let mut env = env(root);
    env.insert("PATH".to_owned(), root.join("bin").to_string_lossy().into_owned());
    let places = candidates(None, None, root, &env);
    let error = PythonHelper::find(&places, HelperOptions::new(root, env.clone())).await.err().unwrap();
    let message = error.to_string();
    assert_eq!(error.code(), "E0250");
    for part in [".venv", "No module named prefect", "python3 on PATH", "I am no Python"] {
        assert!(message.contains(part), "{message}");
    }
    // The one that was asked for is not replaced by another.
    let asked = candidates(Some(Path::new("/nowhere/python")), None, root, &env);
    let error = PythonHelper::find(&asked, HelperOptions::new(root, env)).await.err().unwrap();
    assert!(matches!(error, PythonError::Unusable { .. }), "{error}");
}

#[tokio::test]
async fn steps_run_with_their_inputs_and_their_environment_only() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    write(
        &root,
        "my_steps.py",
        "import os, sys, warnings, pathlib\n\
         async def build(tag, extra=None):\n    \
             print('building', tag)\n    print('é', file=sys.stderr)\n    \
             os.environ['BUILT'] = tag\n    os.chdir('sub')\n    \
             warnings.warn('old way', DeprecationWarning)\n    \
             return {'tag': tag, 'path': pathlib.Path('x'), 'names': sorted(os.environ), 'extra': extra}\n\
         def look():\n    return {'built': os.environ.get('BUILT'), 'cwd': os.getcwd()}\n\
         def nothing(): return 5\n\
         def bad(): return {'deep': {'handle': object()}}\n\
         def fails(): raise ValueError('no luck')\n\
         def leaves(): os._exit(9)\n\
         def big(): print('x' * 3000000); return {'big': 'y' * 3000000}\n",
    );
    std::fs::create_dir(root.join("sub")).unwrap();
    let mut helper = helper(&root).await;
    let mut printed = String::new();
    let call = |name: &str, inputs: Value| StepCall {
        fqn: format!("my_steps.{name}"),
        inputs: inputs.as_object().unwrap().clone(),
        cwd: root.clone(),
        import_paths: vec![root.clone()],
        ..StepCall::default()
    };
    let mut sink = |stream: Stream, text: &str| printed.push_str(&format!("{stream:?}:{text}"));
    let answer = helper.run_step(&call("build", json!({"tag": "v1"})), &mut sink).await.unwrap();
    let outputs = answer.outputs.unwrap();
    assert_eq!((&outputs["tag"], &outputs["path"], &outputs["extra"]), (&json!("v1"), &json!("x"), &json!(null)));
    let names: Vec<&str> = outputs["names"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let allowed = ["ALLOWED", "BUILT", "HOME", "LC_CTYPE", "PATH"];
    assert!(names.iter().all(|name| allowed.contains(name)), "{names:?}");
    assert_eq!(answer.cwd, root.join("sub"));
    assert_eq!(answer.env, BTreeMap::from([("BUILT".to_owned(), Some("v1".to_owned()))]));
    assert_eq!(answer.warnings, ["old way"]);
    let next = StepCall { cwd: answer.cwd, env: answer.env, ..call("look", json!({})) };
    let answer = helper.run_step(&next, &mut sink).await.unwrap();
    assert_eq!(Value::from(answer.outputs.unwrap()), json!({"built": "v1", "cwd": root.join("sub")}));
    assert_eq!(helper.run_step(&call("nothing", json!({})), &mut sink).await.unwrap().outputs, None);
    for (name, inputs, expected, text) in [
        ("bad", json!({}), FailureKind::NotJson, "my_steps.bad['deep']['handle']"),
        ("fails", json!({}), FailureKind::Raised, "ValueError: no luck"),
        ("leaves", json!({}), FailureKind::Died, "exit code 9"),
        ("absent", json!({}), FailureKind::NotFound, "absent"),
        ("build", json!({"nope": 1}), FailureKind::Raised, "nope"),
    ] {
        let error = helper.run_step(&call(name, inputs), &mut sink).await.unwrap_err();
        assert_eq!(kind(&error), expected, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
    let big = helper.run_step(&call("big", json!({})), &mut |_, _| ()).await.unwrap();
    assert_eq!(big.outputs.unwrap()["big"].as_str().unwrap().len(), 3_000_000);
    assert!(printed.contains("Stdout:building v1\n") && printed.contains("Stderr:é\n"), "{printed}");
}

/// How the two rooms fit together: a list whose foreign steps the helper runs.
#[tokio::test]
async fn a_list_runs_its_foreign_steps_in_the_helper() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    write(
        &root,
        "my_steps.py",
        "def build(name):\n    print('secret is s3cr3t-value')\n    return {'image': name + ':1'}\n",
    );
    let git = |args: &[&str]| {
        let status =
            Command::new("git").args(args).current_dir(&root).stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(status.unwrap().success());
    };
    git(&["init", "-q", "origin"]);
    git(&["-C", "origin", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"]);
    let helper = Arc::new(tokio::sync::Mutex::new(helper(&root).await));
    let mut foreign = foreign_by(|call, output| {
        let helper = helper.clone();
        Box::pin(async move {
            let call = StepCall {
                fqn: call.fqn,
                inputs: call.inputs,
                requires: call.requires,
                cwd: call.cwd,
                env: call.env,
                import_paths: call.import_paths,
            };
            let mut sink = |stream: Stream, text: &str| match stream {
                Stream::Stdout => output(reconcile::steps::Stream::Stdout, text),
                Stream::Stderr => output(reconcile::steps::Stream::Stderr, text),
            };
            let answer = helper.lock().await.run_step(&call, &mut sink).await.map_err(|error| error.to_string())?;
            Ok(ForeignAnswer { outputs: answer.outputs, cwd: answer.cwd, env: answer.env, warnings: answer.warnings })
        })
    });
    let repository = format!("file://{}", root.join("origin").display());
    let steps: Vec<Tree> = [
        json!({"my_steps.build": {"id": "b", "name": "img"}}),
        json!({"prefect.projects.steps.git_clone_project": {"repository": repository, "clone_directory_name": "clone"}}),
        json!({"prefect.deployments.steps.run_shell_script": {"script": "ls -d clone/.git"}}),
    ]
    .iter()
    .map(Tree::from)
    .collect();
    let events = Mutex::new(Vec::new());
    let say = |event| events.lock().unwrap().push(event);
    let mut fill = |inputs: &Tree, _: &Map| Ok(inputs.clone());
    let mut scope = StepScope::new(&root, env(&root), &mut fill);
    scope.masker.add(["s3cr3t-value"]);
    scope.import_paths = vec![root.clone()];
    scope.foreign = Some(&mut foreign);
    let outputs = reconcile::steps::run(&steps, &mut scope, &say).await.unwrap();
    assert_eq!(outputs["image"], Tree::text("img:1"));
    assert_eq!(outputs["directory"], Tree::text("clone"));
    assert_eq!(outputs["stdout"], Tree::text("clone/.git"));
    drop(scope);
    let events = events.into_inner().unwrap();
    assert!(
        events.iter().any(|event| matches!(event, StepEvent::Output { line, .. } if line == "secret is (sensitive)")),
        "{events:?}"
    );
}
