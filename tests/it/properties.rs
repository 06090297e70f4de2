//! What holds for every plan, whatever is declared and whatever the API holds.

use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;
use proptest::sample::select;
use reconcile::model::ledger::Ledger;
use reconcile::model::{Key, Kind, Path};
use reconcile::plan::want::{ScheduleWrite, Write};
use reconcile::report::text::{self, Look};
use reconcile::report::{diagnostics, github, markdown, sarif};
use serde_json::{Map, Value, json};

use crate::support::offline::{self, DIGEST_KEY, Offline, World, pass};

const CANARY: &str = "CANARY";
const FLOWS_PY: &str = include_str!("../cases/flows.py");

/// As many cases as a commit can wait for; `PROPTEST_CASES` for more.
fn config(cases: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(cases);
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 300, ..ProptestConfig::default() }
}

/// A directory with a project; its name is always the same.
struct Files(tempfile::TempDir);

impl Files {
    /// `resolve` and `strict` are not the file's own.
    fn of(project: &Value) -> Files {
        let mut file = project.as_object().unwrap().clone();
        file.shift_remove("resolve");
        let strict = file.shift_remove("strict").is_some_and(|strict| strict == true);
        let resources = file.shift_remove("resources").unwrap_or(json!({"variables": []}));
        let files = Files::new(&yaml(&Value::Object(file)));
        fs::write(files.path().join("all.reconcile.yaml"), yaml(&resources)).unwrap();
        fs::write(files.path().join("reconcile.yaml"), format!("strict: {strict}\n")).unwrap();
        files
    }

    fn new(prefect_yaml: &str) -> Files {
        let files = Files(tempfile::tempdir().unwrap());
        fs::create_dir(files.path()).unwrap();
        fs::write(files.path().join("flows.py"), FLOWS_PY).unwrap();
        fs::write(files.path().join("prefect.yaml"), prefect_yaml).unwrap();
        files
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("project")
    }
}

fn planned(project: &Value, world: &World, ledger: &Ledger) -> Offline {
    let files = Files::of(project);
    let mut request = offline::request(&files.path());
    request.environment.insert("SECRET".to_owned(), format!("{CANARY}-env"));
    request.resolve_secrets = project["resolve"] == true;
    // Objects that the ledger forgot are taken over, as deployments are.
    request.owning.adopt = true;
    pass(&request, Some(world), ledger)
}

fn empty_world() -> World {
    World::read(&json!({
        "work_pools": [{"name": "default"}, {"name": "big"}],
        "blocks": {"secret/token": {"value": format!("{CANARY}-block")}},
    }))
}

fn new_ledger() -> Ledger {
    Ledger { digest_key: DIGEST_KEY.to_vec(), ..Ledger::default() }
}

/// Every rendering of a pass.
fn renderings(told: &Offline) -> Vec<String> {
    let look = |full| Look { colour: false, full };
    vec![
        text::plan(&told.report, look(false)),
        text::plan(&told.report, look(true)),
        text::applied(&told.report, look(true)),
        markdown::plan(&told.report),
        github::annotations(&told.report),
        format!("{:#}", told.report.to_json()),
        format!("{:#}", sarif::sarif(told.diagnostics())),
        diagnostics::render(told.diagnostics(), &told.texts, false),
        format!("{:?}", told.decided.planned),
        format!("{:?}", told.decided.desired),
        format!("{:?}", told.report),
    ]
}

/// YAML that reads as exactly this value.
fn yaml(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| format!("{}: {}", quoted(key), yaml(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(",\n"))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(yaml).collect::<Vec<_>>().join(", ")),
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    let mut out = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out + "\""
}

// What may be declared.

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{1,5}",
        1 => "\\PC{1,6}",
        1 => select(vec!["\u{1b}[2J", "x\n::error::y", "```", "|`<b>", "\u{202e}abc", "null", "1e3", "~", "- a", "{ }", "é\u{0}"])
            .prop_map(str::to_owned),
    ]
    .prop_map(|text| text.replace("{{", "{ {"))
}

fn secret() -> impl Strategy<Value = String> {
    select(vec![
        "{{ $SECRET }}",
        "pre {{ $SECRET }} post",
        "{{ prefect.blocks.secret.token.value }}",
        "x{{ prefect.blocks.secret.token.value }}",
    ])
    .prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![4 => word().prop_map(Value::from), 1 => secret().prop_map(Value::from)]
}

fn timetable() -> impl Strategy<Value = Value> {
    let spec = prop_oneof![
        select(vec!["0 5 * * *", "*/7 1-3 * * mon", "0 0 1 1 *"]).prop_map(|cron| json!({"cron": cron})),
        (60..99_999_u32).prop_map(|seconds| json!({"interval": seconds})),
        (60..99_999_u32).prop_map(|seconds| json!({"interval": seconds, "anchor_date": "2026-01-01T00:00:00Z"})),
        select(vec!["FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO"]).prop_map(|rule| json!({"rrule": rule})),
    ];
    let parts = (
        spec,
        prop::option::of(any::<bool>()),
        prop::option::of(select(vec!["UTC", "Europe/Berlin"])),
        prop::option::of(select(vec!["a", "b", "c"])),
        prop::option::of(value()),
    );
    let one = parts.prop_map(|(mut spec, active, timezone, slug, name)| {
        put(&mut spec, "active", active);
        put(&mut spec, "timezone", timezone);
        put(&mut spec, "slug", slug);
        put(&mut spec, "parameters", name.map(|name| json!({"name": name})));
        spec
    });
    prop::collection::vec(one, 0..4).prop_map(|all| {
        // Slugs are unique; so are definitions, which name schedules without one.
        let mut seen = BTreeSet::new();
        let name = |one: &Value| match one["slug"].as_str() {
            Some(slug) => format!("slug {slug}"),
            None => format!("{}{}{}", one["cron"], one["interval"], one["rrule"]),
        };
        Value::Array(all.into_iter().filter(|one| seen.insert(name(one))).collect())
    })
}

fn put(map: &mut Value, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        map[key] = value.into();
    }
}

fn triggers() -> impl Strategy<Value = Value> {
    let one = (select(vec!["one", "two", "three"]), 1..4_u8, any::<bool>(), prop::option::of(value()));
    prop::collection::vec(one, 0..3).prop_map(|all| {
        all.into_iter()
            .map(|(name, threshold, enabled, parameter)| {
                let mut one = json!({"name": name, "threshold": threshold, "enabled": enabled, "expect": ["x.y"],
                    "match": {"prefect.resource.id": "a.*"}});
                put(&mut one, "parameters", parameter.map(|value| json!({"name": value})));
                one
            })
            .collect()
    })
}

fn deployment() -> impl Strategy<Value = Value> {
    let limit = prop_oneof![
        (1..9_u8).prop_map(Value::from),
        (1..9_u8, select(vec!["ENQUEUE", "CANCEL_NEW"]))
            .prop_map(|(limit, strategy)| json!({"limit": limit, "collision_strategy": strategy})),
    ];
    let variables = prop::collection::btree_map(word(), value(), 0..3)
        .prop_flat_map(|env| (Just(env), prop::option::of(value())))
        .prop_map(|(env, image)| {
            let mut all = json!({"env": env});
            put(&mut all, "image", image);
            all
        });
    let pool =
        (select(vec!["default", "big"]), prop::option::of(select(vec!["fast", "slow"])), prop::option::of(variables))
            .prop_map(|(name, queue, variables)| {
                let mut pool = json!({"name": name});
                put(&mut pool, "work_queue_name", queue);
                put(&mut pool, "job_variables", variables);
                pool
            });
    let fields = (
        prop::option::of(value()),
        prop::option::of(prop::collection::vec(value(), 0..3)),
        prop::option::of(any::<bool>()),
        prop::option::of((value(), 0..5_u8).prop_map(|(name, times)| json!({"name": name, "times": times}))),
        prop::option::of(limit),
        prop::option::of(word()),
    );
    (fields, pool, prop::option::of(timetable()), prop::option::of(triggers()), any::<bool>()).prop_map(
        |((description, tags, paused, parameters, limit, version), pool, schedules, triggers, silent)| {
            let mut one = json!({"entrypoint": "flows.py:hello", "work_pool": pool});
            put(&mut one, "description", description);
            put(&mut one, "tags", tags);
            put(&mut one, "paused", paused);
            put(&mut one, "concurrency_limit", limit);
            put(&mut one, "version", version);
            put(&mut one, "schedules", schedules);
            put(&mut one, "triggers", triggers);
            match silent {
                true => one["entrypoint"] = json!("flows.py:silent"),
                false => put(&mut one, "parameters", parameters),
            }
            one
        },
    )
}

/// Objects of other kinds, up to two of each, of the names o0 and o1. Their references are each other's and the
/// deployments' business alike.
fn resources() -> impl Strategy<Value = Value> {
    let whole = prop_oneof![
        3 => value().prop_map(Value::from),
        1 => Just(json!({"a": {"b": [1, null, "{{ $SECRET }}"]}})),
        1 => Just(json!({"from_env": "SECRET"})),
    ];
    let variable = (whole, prop::option::of(prop::collection::vec(word(), 0..3)));
    let variable = variable.prop_map(|(value, tags)| {
        let mut one = json!({"value": value});
        put(&mut one, "tags", tags);
        one
    });
    let limit = (0..9_u8, prop::option::of(any::<bool>()), prop::option::of(0..3_u8));
    let limit = limit.prop_map(|(limit, active, decay)| {
        let mut one = json!({"limit": limit});
        put(&mut one, "active", active);
        put(&mut one, "slot_decay_per_second", decay.map(f64::from));
        one
    });
    let of_tag = (0..9_u8).prop_map(|limit| json!({"limit": limit}));
    let named = |key: &'static str| {
        move |all: Vec<Value>| -> Value {
            let each = all.into_iter().enumerate().map(|(n, mut one)| {
                one[key] = json!(format!("o{n}"));
                one
            });
            each.collect()
        }
    };
    (
        prop::collection::vec(variable, 0..3).prop_map(named("name")),
        prop::collection::vec(limit, 0..3).prop_map(named("name")),
        prop::collection::vec(of_tag, 0..3).prop_map(named("tag")),
    )
        .prop_map(|(variables, limits, of_tags)| {
            json!({"variables": variables, "concurrency_limits": limits, "tag_concurrency_limits": of_tags})
        })
}

/// Up to three deployments of the names 0…, 1…, 2…, each with hostile letters behind the digit.
fn project() -> impl Strategy<Value = Value> {
    let tail = "[a-z `|*@\n\u{1b}\u{202e}]{0,5}";
    let strict = prop::bool::weighted(0.2);
    let parts = (prop::collection::vec((tail, deployment()), 1..4), resources(), any::<bool>(), strict);
    parts.prop_map(|(all, resources, resolve, strict)| {
        let all = all.into_iter().enumerate().map(|(i, (tail, mut one))| {
            one["name"] = json!(format!("{i}{tail}"));
            one
        });
        let pull = json!([{"prefect.deployments.steps.set_working_directory": {"directory": "/srv"}}]);
        json!({"pull": pull, "deployments": all.collect::<Vec<_>>(), "resources": resources, "resolve": resolve, "strict": strict})
    })
}

/// The same deployments, declared otherwise.
fn two_versions() -> impl Strategy<Value = (Value, Value)> {
    (project(), prop::collection::vec(deployment(), 3), resources()).prop_map(|(first, others, resources)| {
        let mut second = first.clone();
        second["resources"] = resources;
        for (one, mut other) in second["deployments"].as_array_mut().unwrap().iter_mut().zip(others) {
            other["name"] = one["name"].clone();
            *one = other;
        }
        (first, second)
    })
}

// What others do to a server.

#[derive(Clone, Debug)]
enum Drift {
    Field(&'static str, Value),
    JobVariable(String),
    Reschedule,
    AddSchedule,
    DropSchedules,
    ShareLimit,
    DeleteDeployment,
    DropAutomation,
    ChangeAutomation,
    ChangeObject,
    DeleteObject,
}

fn drift() -> impl Strategy<Value = Vec<(usize, Drift)>> {
    let field = select(vec![
        ("paused", json!(true)),
        ("tags", json!(["theirs"])),
        ("description", json!("theirs")),
        ("description", json!("None")),
        ("parameters", json!({"times": 77, "theirs": 1})),
        ("version", json!("theirs")),
        ("enforce_parameter_schema", json!(false)),
        ("concurrency_options", json!({"collision_strategy": "ENQUEUE", "grace_period_seconds": 600})),
        ("work_queue_name", json!("theirs")),
        ("entrypoint", json!("theirs.py:f")),
    ]);
    let one = prop_oneof![
        6 => field.prop_map(|(name, value)| Drift::Field(name, value)),
        2 => word().prop_map(Drift::JobVariable),
        1 => Just(Drift::Reschedule),
        1 => Just(Drift::AddSchedule),
        1 => Just(Drift::DropSchedules),
        1 => Just(Drift::ShareLimit),
        1 => Just(Drift::DeleteDeployment),
        1 => Just(Drift::DropAutomation),
        1 => Just(Drift::ChangeAutomation),
        2 => Just(Drift::ChangeObject),
        1 => Just(Drift::DeleteObject),
    ];
    prop::collection::vec((0..3_usize, one), 0..6)
}

fn happen(world: &mut World, drift: &[(usize, Drift)]) {
    for (n, (at, what)) in drift.iter().enumerate() {
        match what {
            Drift::DropAutomation => drop(world.automations.pop()),
            Drift::ChangeAutomation => {
                world.automations.iter_mut().take(1).for_each(|one| one["trigger"]["threshold"] = json!(99));
            }
            Drift::ChangeObject => {
                for row in world.objects.values_mut().skip(*at).take(1) {
                    for field in
                        ["value", "tags", "limit", "active"].iter().filter(|field| n % 2 == 0 || **field == "tags")
                    {
                        let is_there = row.get(*field).is_some();
                        is_there.then(|| row[*field] = if *field == "limit" { json!(77) } else { json!(["theirs"]) });
                    }
                }
            }
            Drift::DeleteObject => {
                let key = world.objects.keys().nth(*at).cloned();
                key.and_then(|key| world.objects.remove(&key));
            }
            Drift::DeleteDeployment => {
                let key = world.deployments.keys().nth(*at).cloned();
                if let Some(answer) = key.and_then(|key| world.deployments.remove(&key)) {
                    // The server deletes its automations with it.
                    world.automations.retain(|one| one["actions"][0]["deployment_id"] != answer["id"]);
                }
            }
            on_one => {
                if let Some(answer) = world.deployments.values_mut().nth(*at) {
                    happen_to(answer, on_one, n);
                }
            }
        }
    }
}

fn happen_to(answer: &mut Value, what: &Drift, n: usize) {
    match what {
        Drift::Field(name, value) => answer[*name] = value.clone(),
        Drift::JobVariable(name) => {
            let variables = answer["job_variables"].as_object().cloned().unwrap_or_default();
            let mut env: Map<String, Value> =
                variables.get("env").and_then(Value::as_object).cloned().unwrap_or_default();
            env.insert(name.clone(), json!("theirs"));
            answer["job_variables"] = Value::Object(variables);
            answer["job_variables"]["env"] = Value::Object(env);
        }
        Drift::Reschedule => {
            for schedule in answer["schedules"].as_array_mut().unwrap().iter_mut().take(1) {
                schedule["schedule"] = json!({"cron": "59 23 * * *", "timezone": "UTC", "day_or": true});
            }
        }
        Drift::AddSchedule => {
            let schedule = json!({"id": format!("theirs-{n}"), "active": true, "slug": null, "parameters": {},
                "schedule": {"cron": format!("{} 3 * * *", n % 60), "timezone": "UTC", "day_or": true}});
            answer["schedules"].as_array_mut().unwrap().push(schedule);
        }
        Drift::DropSchedules => answer["schedules"] = json!([]),
        Drift::ShareLimit => answer["global_concurrency_limit"] = json!({"id": "g", "name": "shared", "limit": 3}),
        Drift::DeleteDeployment
        | Drift::DropAutomation
        | Drift::ChangeAutomation
        | Drift::ChangeObject
        | Drift::DeleteObject => {}
    }
}

/// A world and a ledger after `project` was applied to an empty one.
fn applied(project: &Value) -> (World, Ledger) {
    let (mut world, mut ledger) = (empty_world(), new_ledger());
    let told = planned(project, &world, &ledger);
    assert!(!told.decided.is_invalid(), "{}", diagnostics::render(told.diagnostics(), &told.texts, false));
    world.carry_out(&told.decided.planned, &mut ledger);
    (world, ledger)
}

proptest! {
    #![proptest_config(config(40))]

    #[test]
    fn the_same_inputs_give_the_same_bytes(versions in two_versions(), drift in drift()) {
        let (mut world, ledger) = applied(&versions.0);
        happen(&mut world, &drift);
        let (one, two) = (planned(&versions.1, &world, &ledger), planned(&versions.1, &world, &ledger));
        prop_assert_eq!(renderings(&one), renderings(&two));
    }

    #[test]
    fn the_order_of_declarations_means_nothing(versions in two_versions(), drift in drift()) {
        let (mut world, ledger) = applied(&versions.0);
        happen(&mut world, &drift);
        let mut reversed = versions.1.clone();
        reversed["deployments"].as_array_mut().unwrap().reverse();
        let (one, two) = (planned(&versions.1, &world, &ledger), planned(&reversed, &world, &ledger));
        prop_assert_eq!(&one.decided.planned.writes, &two.decided.planned.writes);
        prop_assert_eq!(one.report.digest, two.report.digest);
    }

    #[test]
    fn after_an_apply_there_is_nothing_to_do(versions in two_versions(), drift in drift(), forgotten in any::<bool>()) {
        let (mut world, mut ledger) = applied(&versions.0);
        prop_assert!(planned(&versions.0, &world, &ledger).decided.planned.plan.is_empty());
        happen(&mut world, &drift);
        if forgotten {
            ledger.owned.clear();
        }
        let told = planned(&versions.1, &world, &ledger);
        prop_assert!(!told.decided.is_invalid());
        world.carry_out(&told.decided.planned, &mut ledger);
        let again = planned(&versions.1, &world, &ledger);
        prop_assert!(again.decided.planned.plan.is_empty(), "{}", text::plan(&again.report, Look { colour: false, full: true }));
        prop_assert!(again.decided.planned.writes.is_empty());
    }

    #[test]
    fn no_rendering_holds_a_secret(versions in two_versions(), drift in drift()) {
        let (world, ledger) = (empty_world(), new_ledger());
        for text in renderings(&planned(&versions.0, &world, &ledger)) {
            prop_assert!(!text.contains(CANARY), "{}", text);
        }
        // What was applied in clear text, and left git or was changed by hand, is no less a secret.
        let (mut world, ledger) = applied(&versions.0);
        happen(&mut world, &drift);
        for text in renderings(&planned(&versions.1, &world, &ledger)) {
            prop_assert!(!text.contains(CANARY), "{}", text);
        }
    }

    #[test]
    fn what_is_needed_comes_first_and_only_ours_is_deleted(versions in two_versions(), drift in drift()) {
        let (mut world, ledger) = applied(&versions.0);
        happen(&mut world, &drift);
        let told = planned(&versions.1, &world, &ledger);
        let plan = &told.decided.planned.plan;
        let changed: BTreeSet<&Key> = plan.changes.iter().map(|change| &change.key).collect();
        for change in &plan.changes {
            for needed in change.after.iter().filter(|key| changed.contains(key)) {
                // Deployments are sent first and awaited, then what hangs on them.
                prop_assert!(needed.kind == Kind::Deployment && change.key.kind != Kind::Deployment);
            }
        }
        for (key, writes) in &told.decided.planned.writes {
            for write in writes {
                if versions.1["strict"] != true {
                    only_ours_is_deleted(key, write, &world, &ledger)?;
                }
            }
        }
    }
}

/// Found by `no_rendering_holds_a_secret`: what the server must be sent again may be a secret that git no longer names.
#[test]
fn parameters_that_a_schedule_keeps_stay_hidden() {
    let project = |cron: &str, parameters: Option<Value>| {
        let mut schedule = json!({"cron": cron});
        put(&mut schedule, "parameters", parameters);
        json!({"deployments": [{"name": "x", "entrypoint": "flows.py:hello", "work_pool": {"name": "default"}, "schedules": [schedule]}]})
    };
    let (world, ledger) = applied(&project("0 5 * * *", Some(json!({"name": "{{ $SECRET }}"}))));
    assert!(format!("{:?}", world.deployments).contains(CANARY));
    let told = planned(&project("0 6 * * *", None), &world, &ledger);
    assert_eq!(told.decided.planned.plan.changes.len(), 1);
    assert!(renderings(&told).iter().all(|text| !text.contains(CANARY)));
}

fn only_ours_is_deleted(key: &Key, write: &Write, world: &World, ledger: &Ledger) -> Result<(), TestCaseError> {
    match write {
        Write::DeleteAutomation { id } | Write::DeleteObject { id } => {
            prop_assert!(ledger.owned.get(key).is_some_and(|owned| owned.id == *id), "{} is not ours", key);
        }
        Write::UpdateDeployment { schedules, .. } => {
            let declared = &ledger.owned[key].declared;
            for write in schedules {
                let ScheduleWrite::Delete { id } = write else { continue };
                let found = world.deployments[key]["schedules"].as_array().unwrap().iter();
                let found = found.clone().find(|one| one["id"] == id.as_str()).unwrap();
                prop_assert!(!id.starts_with("theirs"), "{} was made by hand", found);
                prop_assert!(declared.keys().any(|path| path.starts_with(&Path::of("schedules"))));
            }
        }
        _ => {}
    }
    Ok(())
}

// Hostile input never panics.

fn anything() -> impl Strategy<Value = Value> {
    let known = select(vec![
        "name",
        "entrypoint",
        "deployments",
        "work_pool",
        "job_variables",
        "parameters",
        "schedules",
        "schedule",
        "cron",
        "interval",
        "rrule",
        "slug",
        "replaces",
        "timezone",
        "anchor_date",
        "triggers",
        "match",
        "expect",
        "within",
        "tags",
        "type",
        "concurrency_limit",
        "limit",
        "collision_strategy",
        "pull",
        "build",
        "push",
        "sla",
        "lifecycle",
        "version",
        "description",
        "paused",
        "env",
        "$ref",
        "__prefect_kind",
        "active",
        "ignore_drift",
        "prefect.resource.id",
    ])
    .prop_map(str::to_owned);
    let text = prop_oneof![
        word(),
        secret(),
        known.clone(),
        select(vec![
            "flows.py:hello",
            "flows.py:silent",
            "flows.py:nothing",
            "../x.py:y",
            ":",
            "{{",
            "{{ }}",
            "{{ a.b.c }}",
            "{{ $ }}",
            "{{ prefect.blocks.. }}",
            "{{ prefect.variables.x }}",
            "FREQ=YEARLY;COUNT=999999999",
            "* * * * * * *",
            "PT999999999H",
            "9999-12-31T23:59:59+14:00",
            "-1e999",
            "default",
        ])
        .prop_map(str::to_owned),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        let key = prop_oneof![4 => known.clone(), 1 => word()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..6).prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

/// Reads, plans and renders whatever this is.
fn survive(prefect_yaml: &str) {
    let files = Files::new(prefect_yaml);
    let request = offline::request(&files.path());
    for world in [None, Some(empty_world())] {
        let told = pass(&request, world.as_ref(), &new_ledger());
        assert!(renderings(&told).iter().all(|text| !text.contains('\u{1b}')));
    }
}

proptest! {
    #![proptest_config(config(120))]

    #[test]
    fn any_values_are_survived(all in anything(), one in anything(), list in anything()) {
        survive(&yaml(&all));
        survive(&yaml(&json!({"deployments": all})));
        let mut deployment = json!({"name": "x", "entrypoint": "flows.py:hello", "work_pool": {"name": "default"}});
        for (key, value) in one.as_object().into_iter().flatten() {
            deployment[key] = value.clone();
        }
        for key in ["schedules", "triggers", "parameters", "concurrency_limit", "work_pool", "pull", "build", "sla", "tags"] {
            let mut other = deployment.clone();
            other[key] = list.clone();
            deployment = if key == "work_pool" { deployment } else { other.clone() };
            if key == "work_pool" || key == "tags" {
                survive(&yaml(&json!({"deployments": [other]})));
            }
        }
    }

    #[test]
    fn any_damage_is_survived(project in project(), edits in prop::collection::vec((any::<prop::sample::Index>(), 0..9_usize, word()), 1..6)) {
        let mut text: Vec<char> = yaml(&project).chars().collect();
        for (at, gone, new) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + gone).min(text.len());
            text.splice(at..end, new.chars());
        }
        survive(&text.into_iter().collect::<String>());
    }

    #[test]
    fn keys_and_paths_parse_as_they_print(name in "\\PC{1,12}", segs in prop::collection::vec("\\PC{0,6}", 0..4)) {
        for kind in Kind::ALL {
            let key = Key::new(kind, name.clone());
            prop_assert_eq!(key.to_string().parse::<Key>(), Ok(key));
        }
        let path = segs.iter().enumerate().fold(Path::root(), |path, (i, seg)| if i % 2 == 0 { path.key(seg) } else { path.item(seg) });
        prop_assert_eq!(path.to_string().parse::<Path>(), Ok(path));
    }
}
