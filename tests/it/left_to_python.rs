//! What only Python can tell is said, parameter by parameter, with the reason and the place.

use serde_json::{Value, json};

use crate::support::project::Project;

const FLOW: &str = "import os\n\nfrom prefect import flow\n\n\n@flow(name=\"sized\")\n\
    def f(fine: int = 1, size: int = os.cpu_count(), where: str = os.getcwd()):\n    pass\n";

fn project() -> Project {
    Project::new()
        .file("flow.py", FLOW)
        .file("prefect.yaml", "deployments:\n- {name: d, entrypoint: \"flow.py:f\", work_pool: {name: local}}\n")
}

fn told(json: &Value) -> Vec<(String, u64)> {
    let one = |left: &Value| {
        assert!(left["why"].as_str().is_some_and(|why| !why.is_empty() && !why.ends_with('.')), "{left:#}");
        assert_eq!(left["file"], "flow.py");
        (left["parameter"].as_str().unwrap_or_default().to_owned(), left["line"].as_u64().unwrap())
    };
    json["left_to_python"].as_array().unwrap().iter().map(one).collect()
}

#[test]
fn plan_and_render_say_why() {
    let project = project().git_init(None);
    let expected = [("size".to_owned(), 7), ("where".to_owned(), 7)];
    for args in [&["plan", "--json"][..], &["plan", "--untrusted", "--json"]] {
        let json: Value = serde_json::from_str(&project.reconcile(args).exits(0).stdout).unwrap();
        assert_eq!(told(&json["changes"][0]), expected, "{json:#}");
    }
    let text = project.reconcile(&["plan"]).exits(0).stdout;
    for name in ["size", "where"] {
        assert!(text.contains(&format!("      ? only Python can tell what `{name}` takes: ")), "{text}");
    }
    assert!(text.contains("(flow.py:7)"), "{text}");
    let markdown = project.reconcile(&["plan", "--format", "markdown"]).exits(0).stdout;
    assert!(markdown.contains("only Python can tell what"), "{markdown}");
    let rendered = project.reconcile(&["render", "deployment/sized/d"]).exits(0).stdout;
    assert!(rendered.contains("  ? only Python can tell what `size` takes: "), "{rendered}");
    let json = project.reconcile(&["render", "deployment/sized/d", "--json"]).exits(0).stdout;
    assert_eq!(told(&serde_json::from_str(&json).unwrap()), expected);
    // What is known needs no reason.
    project.write("flow.py", &FLOW.replace("os.cpu_count()", "2").replace("os.getcwd()", "'.'"));
    let json: Value = serde_json::from_str(&project.reconcile(&["plan", "--json"]).exits(0).stdout).unwrap();
    assert_eq!(json["changes"][0]["left_to_python"], json!([]));
}

#[test]
fn newer_syntax_is_read_where_the_version_of_python_is_known() {
    let flow = "from prefect import flow\n\ntype Size = int\n\n\nclass Unused[T]:\n    item: T\n\n\n\
                def helper[T](x: T) -> T:\n    return x\n\n\n@flow(name=\"sized\")\ndef f(size: Size = 1):\n    pass\n";
    let project = project().file("flow.py", flow).git_init(None);
    let change = |args: &[&str]| {
        let json: Value = serde_json::from_str(&project.reconcile(args).exits(0).stdout).unwrap();
        json["changes"][0].clone()
    };
    let plans: [&[&str]; 2] = [&["plan", "--json"], &["plan", "--untrusted", "--json"]];
    for args in plans {
        let unknown = change(args);
        assert!(unknown["left_to_python"][0]["why"].as_str().unwrap().contains("version of Python"), "{unknown:#}");
    }
    let known = |args: &[&str]| {
        let known = change(args);
        assert_eq!((&known["name"], &known["left_to_python"]), (&json!("sized/d"), &json!([])), "{known:#}");
        assert!(known.to_string().contains("#/definitions/Size"), "{known:#}");
    };
    project.write(".python-version", "3.12.4\n");
    plans.into_iter().for_each(known);
    project.write(".python-version", "3.11\n");
    let old = change(plans[0]);
    assert!(old["left_to_python"][0]["why"].as_str().unwrap().contains("Python 3.11 does not know"), "{old:#}");
    project.remove(".python-version");
    project.write("pyproject.toml", "[project]\nname = \"x\"\nrequires-python = \">=3.12,<4\"\n");
    known(plans[0]);
}
