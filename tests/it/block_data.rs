//! The data of blocks against the schemas of their types: what Prefect's classes take is never refused here.

use reconcile::manifest::resources::known_types;
use reconcile::resource::block_data::{Misfits, misfits};
use serde_json::{Value, json};

use crate::support::project::{Output, Project};
use crate::support::server::Server;
use crate::yaml::ask;

/// Values to try in every field.
fn values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(7),
        json!(10),
        json!(-1),
        json!(1.0),
        json!(1.5),
        json!(""),
        json!("a"),
        json!("p"),
        json!("true"),
        json!("TRUE"),
        json!(" true"),
        json!("off"),
        json!("y"),
        json!("2"),
        json!("5"),
        json!(" 5 "),
        json!("+5"),
        json!("-5"),
        json!("5.0"),
        json!("5."),
        json!("5.5"),
        json!(".5"),
        json!("1_000"),
        json!("1e3"),
        json!("inf"),
        json!("nan"),
        json!("abcd"),
        json!("http://example.com/x"),
        json!("{\"x\": 1}"),
        json!([]),
        json!(["a"]),
        json!([1]),
        json!([{ "x": "1" }]),
        json!([{ "y": "1" }]),
        json!({}),
        json!({ "x": 1 }),
        json!({ "x": "1", "y": null, "z": 1 }),
        json!({ "x": "no" }),
        json!({ "a": "5" }),
        json!({ "a": "b" }),
    ]
}

/// Every value in every field, upon data that is right, and the fields themselves taken away.
fn cases(fields: &Value, base: &Value) -> Vec<Value> {
    let mut out = vec![base.clone()];
    for name in fields["properties"].as_object().unwrap().keys() {
        for value in values() {
            let mut data = base.clone();
            data[name] = value;
            out.push(data);
        }
        let mut data = base.clone();
        data.as_object_mut().unwrap().shift_remove(name);
        out.push(data);
    }
    let mut more = base.clone();
    more["a_field_of_nobody"] = json!([1]);
    out.push(more);
    out
}

/// Data that the classes of Prefect itself take.
fn bases() -> Vec<(&'static str, Value)> {
    let chat = json!({ "url": "https://example.com/services/a/b/c" });
    vec![
        ("sample", json!({ "text": "t" })),
        ("secret", json!({ "value": "v" })),
        ("webhook", json!({ "url": "https://example.com" })),
        ("local-file-system", json!({})),
        ("remote-file-system", json!({ "basepath": "s3://bucket" })),
        ("smb", json!({ "share_path": "/share", "smb_host": "host" })),
        ("slack-webhook", chat.clone()),
        ("ms-teams-webhook", chat.clone()),
        ("discord-webhook", json!({ "webhook_id": "1", "webhook_token": "t" })),
        ("mattermost-webhook", json!({ "hostname": "h", "token": "t" })),
        ("opsgenie-webhook", json!({ "apikey": "k" })),
        ("sendgrid-email", json!({ "api_key": "k", "sender_email": "a@b.c", "to_emails": ["d@e.f"] })),
        (
            "twilio-sms",
            json!({ "account_sid": "s", "auth_token": "t", "from_phone_number": "1", "to_phone_numbers": ["2"] }),
        ),
        ("custom-webhook", json!({ "name": "n", "url": "https://example.com" })),
    ]
}

#[test]
fn what_prefects_classes_take_is_never_refused() {
    let bases = bases();
    let schemas: Vec<String> = bases.iter().map(|(slug, _)| json!({ "slug": slug }).to_string()).collect();
    let schemas = ask("block_data.py", &schemas);
    let all: Vec<(&str, &Value, Value)> = bases
        .iter()
        .zip(&schemas)
        .flat_map(|((slug, base), fields)| cases(fields, base).into_iter().map(move |data| (*slug, fields, data)))
        .collect();
    let asked: Vec<String> =
        all.iter().map(|(slug, _, data)| json!({ "slug": slug, "data": data }).to_string()).collect();
    let answers = ask("block_data.py", &asked);
    let (mut taken, mut refused, mut missed) = (0, 0, Vec::new());
    for ((slug, fields, data), answer) in all.iter().zip(answers) {
        let found = misfits(data, fields, &[]);
        let ours = found.wrong.is_empty() && found.missing.is_empty();
        match answer.as_bool().expect("an answer") {
            true => {
                taken += 1;
                assert!(ours, "{slug}: Prefect takes {data}, and we say {found:?}");
                // What a server serves has the same fields, with other words.
                if let Some(known) = known_types().get(*slug) {
                    let found = misfits(data, &known.fields, &[]);
                    assert!(found.wrong.is_empty() && found.missing.is_empty(), "{slug}: {data}: {found:?}");
                }
            }
            // Classes of services look further than their schemas do.
            false if found == Misfits::default() && *slug == "sample" => missed.push(data),
            false if found == Misfits::default() => {}
            false => refused += 1,
        }
    }
    assert!(taken > 500 && refused > 500, "{taken} {refused}");
    // What no schema of Prefect says: which fields may be null, what makes a URL, what a mapping holds; and the bounds of
    // numbers that are written as text.
    let known = |data: &&&Value| {
        let mut fields = data.as_object().unwrap().iter();
        fields.any(|(name, value)| {
            value.is_null() || ["url", "counts"].contains(&name.as_str()) || (name == "small" && value.is_string())
        })
    };
    missed.retain(|data| !known(&data));
    assert!(missed.is_empty(), "Prefect alone refuses {missed:#?}");
}

/// Everything that was printed.
fn all(output: &Output) -> String {
    format!("{}{}", output.stdout, output.stderr)
}

/// A type of git's own, one of every server, and what is wrong with their blocks.
fn wrong() -> Project {
    Project::new().file(
        "blocks.yaml",
        "block_types:\n\
         - slug: warehouse\n  name: Warehouse\n  fields:\n    type: object\n    title: Warehouse\n    properties:\n      \
             host: { type: string, title: Host }\n      port: { type: integer, title: Port }\n      \
             options: { type: object, title: Options }\n    required: [host]\n\
         blocks:\n\
         - { type: warehouse, name: main, data: { host: db, port: canary } }\n\
         - { type: warehouse, name: late, data: { host: db, port: { from_env: PORT } } }\n\
         - { type: warehouse, name: text, data: { host: db, options: 'a: 1' } }\n\
         - { type: warehouse, name: half, data: { port: '5' } }\n\
         - type: webhook\n  name: hook\n  data:\n    url: { from_env: HOOK }\n    method: FETCH\n",
    )
}

#[test]
fn what_does_not_fit_is_told_where_it_stands() {
    let output = wrong().reconcile(&["validate", "--json"]).exits(4);
    let told: Value = serde_json::from_str(&output.stdout).unwrap();
    let told: Vec<String> = told["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{} {}:{} {}", one["code"], one["line"], one["column"], one["message"]).replace('"', ""))
        .collect();
    insta::assert_snapshot!(told.join("\n"));
    assert!(!all(&output).contains("canary"));
}

#[test]
fn a_value_of_the_environment_is_checked_and_never_shown() {
    let server = Server::shared();
    let mut project =
        wrong().api(&server.url).env("PORT", "canary-of-port").env("HOOK", "https://example.com/canary-of-hook");
    let output = all(&project.reconcile(&["plan"]).exits(4));
    assert!(
        output.contains("`data.port` does not fit the block type `warehouse`: it is not a whole number"),
        "{output}"
    );
    assert!(output.contains("blocks.yaml:14:"), "{output}");
    assert!(!output.contains("canary-of"), "{output}");
    project = project.env("PORT", "5432");
    let output = all(&project.reconcile(&["plan", "--json"]).exits(4));
    assert!(!output.contains("\"line\": 14") && !output.contains("\"line\":14"), "{output}");
}

#[test]
fn a_block_that_is_there_may_have_the_rest() {
    let server = Server::start();
    let whole = "blocks:\n- { type: webhook, name: hook, data: { url: { from_env: HOOK }, method: POST } }\n";
    let part = "blocks:\n- { type: webhook, name: hook, data: { method: PUT } }\n";
    let project = Project::new().api(&server.url).env("HOOK", "https://example.com").file("blocks.yaml", part);
    let refused = all(&project.reconcile(&["apply", "--yes"]).exits(4));
    assert!(refused.contains("\"url\" is a required property"), "{refused}");
    project.write("blocks.yaml", whole);
    project.reconcile(&["apply", "--yes"]).exits(0);
    project.write("blocks.yaml", part);
    let plan = all(&project.reconcile(&["plan"]).exits(0));
    assert!(!plan.contains("required property"), "{plan}");
}

#[test]
fn a_type_that_is_nowhere_stops_the_plan() {
    let server = Server::shared();
    let file = "variables: [{ name: never_made_of_no_type, value: 1 }]\n\
                blocks:\n- { type: secrt, name: d, data: { value: { from_env: HOME } } }\n\
                - { type: no-such-type, name: d, data: {} }\n";
    let project = Project::new().api(&server.url).env("HOME", "/").file("blocks.yaml", file);
    for command in [&["plan"][..], &["apply", "--yes"]] {
        let told = all(&project.reconcile(command).exits(4));
        assert!(told.contains("E0773") && told.contains("blocks.yaml:3:11"), "{told}");
        assert!(told.contains("did you mean `secret`?") && told.contains("blocks.yaml:4:11"), "{told}");
    }
    let rows =
        server.http().post("/variables/filter", json!({"variables": {"name": {"any_": ["never_made_of_no_type"]}}}));
    assert_eq!(rows, json!([]));
    let told = all(&project.reconcile(&["validate"]).exits(0));
    assert!(!told.contains("E0773"), "{told}");
}

#[test]
fn a_secret_needs_its_value_and_a_field_the_right_block() {
    let server = Server::shared();
    let project =
        Project::new().api(&server.url).file("blocks.yaml", "blocks:\n- { type: secret, name: no-value, data: {} }\n");
    let told = all(&project.reconcile(&["plan"]).exits(4));
    assert!(told.contains("blocks.yaml:2:") && told.contains("\"value\" is a required property"), "{told}");
    project.write(
        "blocks.yaml",
        "blocks:\n- { type: local-file-system, name: lfs, data: { basepath: /tmp } }\n\
         - { type: s3-bucket, name: b, data: { bucket_name: b, credentials: { block: local-file-system/lfs } } }\n",
    );
    let told = all(&project.reconcile(&["plan"]).exits(4));
    assert!(
        told.contains("blocks.yaml:3:") && told.contains("takes `aws-credentials` or `minio-credentials`"),
        "{told}"
    );
    project.write(
        "blocks.yaml",
        "blocks:\n- { type: minio-credentials, name: right-type, data: { minio_root_user: a, minio_root_password: { from_env: P } } }\n\
         - { type: s3-bucket, name: right-type, data: { bucket_name: b, credentials: { block: minio-credentials/right-type } } }\n",
    );
    let project = project.env("P", "x");
    project.reconcile(&["apply", "--yes"]).exits(0);
    project.reconcile(&["plan", "--detailed-exitcode"]).exits(0);
}
