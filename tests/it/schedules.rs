//! Schedules, limits and agreements: the same acceptance and the same bodies as the real Prefect.
#![allow(clippy::disallowed_methods, reason = "tests touch the world")]

use std::io::Write;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use reconcile::manifest::node::{Node, Value as Yaml};
use reconcile::manifest::schedules::{Schedule, check, cron, timezone};
use reconcile::manifest::{limits, slas};
use reconcile::model::{Key, Map, Span, Tree};
use reconcile::plan::schedules::new_body;
use serde_json::{Value, json};

use crate::support;
use crate::support::server::Server;

const NOW: &str = "2026-11-21T08:23:29.842445+00:00";

fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

/// Asks the real Prefect once.
pub fn ask(script: &str, request: &Value) -> Value {
    let path = format!("{}/tests/it/python/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut child = Command::new(support::python())
        .arg(path)
        .env("TZ", "UTC")
        .env("PREFECT_LOGGING_LEVEL", "ERROR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the interpreter starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let text = request.to_string();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("all is written");
    assert!(output.status.success(), "{script} failed");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A generator of the same numbers in every run.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    pub fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.roll(all.len())]
    }
}

/// A YAML value from JSON, where `{"$date": …}` and `{"$datetime": …}` are dates.
pub fn node(value: &Value) -> Node {
    let value = match value {
        Value::Null => Yaml::Null,
        Value::Bool(b) => Yaml::Bool(*b),
        Value::Number(n) if n.is_f64() => Yaml::Float(n.as_f64().expect("a float")),
        Value::Number(n) => Yaml::Int(n.clone()),
        Value::String(text) => Yaml::Text(text.clone()),
        Value::Array(items) => Yaml::List(items.iter().map(node).collect()),
        Value::Object(map) => match (map.get("$date"), map.get("$datetime")) {
            (Some(date), _) => Yaml::Date(date.as_str().expect("text").parse().expect("a date")),
            (_, Some(time)) => datetime(time.as_str().expect("text")),
            _ => Yaml::Map(map.iter().map(|(key, value)| (node(&json!(key)), node(value))).collect()),
        },
    };
    Node::new(value, Span::default())
}

fn datetime(text: &str) -> Yaml {
    match text.parse::<Timestamp>() {
        Ok(instant) => {
            let pieces = jiff::fmt::temporal::DateTimeParser::new().parse_pieces(text).expect("pieces");
            let offset = pieces.to_numeric_offset().unwrap_or(jiff::tz::Offset::UTC);
            Yaml::Aware(offset.to_datetime(instant), offset.seconds())
        }
        Err(_) => Yaml::Naive(text.parse().expect("a naive time")),
    }
}

/// The JSON mode of free-form values, as far as these tests have them.
fn free(node: &Node) -> Tree {
    match &node.value {
        Yaml::Map(entries) => Tree::Map(
            entries.iter().map(|(key, value)| (key.as_str().unwrap_or_default().to_owned(), free(value))).collect(),
        ),
        Yaml::List(items) => Tree::List(items.iter().map(free).collect()),
        Yaml::Date(date) => Tree::text(date.to_string()),
        _ => reconcile::manifest::lax::scalar(node).unwrap_or(Tree::Null),
    }
}

fn bodies(item: &Tree) -> Value {
    let Ok(schedule) = Schedule::build(item, now()) else { return Value::Null };
    let anchored = item.get("anchor_date").is_some_and(|anchor| anchor.is_truthy() && *anchor != Tree::text("now"));
    let plain = |tree: Tree| {
        let mut value = tree.revealed(&|_| None).expect("all is known");
        if !anchored && let Some(schedule) = value["schedule"].as_object_mut() {
            schedule.remove("anchor_date");
        }
        value
    };
    json!({"create": plain(schedule.create_body(now())), "update": plain(schedule.set_fields(now()))})
}

fn declared(declaration: &Value) -> Value {
    let declaration = node(declaration);
    let old = declaration.get("schedule").map(|node| check::schedule(node, &free));
    let list = declaration.get("schedules").map(|node| check::schedules(node, &free));
    if old.iter().chain(&list).any(|checked| !checked.problems.is_empty()) {
        return Value::Null;
    }
    let joined = check::join(old.as_ref().map(|c| &c.value), list.as_ref().map(|c| &c.value));
    let Ok(joined) = joined else { return Value::Null };
    match joined {
        None | Some(Tree::Null) => json!([null]),
        Some(list) => {
            let all: Vec<Value> = list.as_list().expect("a list").iter().map(bodies).collect();
            if all.iter().any(Value::is_null) { Value::Null } else { json!([all]) }
        }
    }
}

/// A list of texts from the file beside this one.
fn corpus(name: &str) -> Vec<String> {
    let all: Value = serde_json::from_str(include_str!("data/schedules.json")).expect("JSON");
    serde_json::from_value(all[name].clone()).expect("a list of texts")
}

fn crons() -> Vec<String> {
    let mut all = corpus("crons");
    let mut dice = Dice(7);
    let atoms: [&str; 40] = [
        "*", "*", "0", "1", "5", "7", "12", "23", "31", "59", "60", "*/5", "*/15", "1-5", "22-4", "5-1", "1-5/2",
        "0-59/7", "3/4", "l", "L", "l5", "2#3", "mon", "FRI", "mon-fri", "sat-tue", "fri#2", "jan", "DEC", "nov-feb",
        "?", "h", "r", "1,2,3", "0,30", "x", "6", "0-6", "1-31",
    ];
    while all.len() < 4000 {
        let fields = [5, 5, 5, 5, 6, 7, 4][dice.roll(7)];
        let field = |dice: &mut Dice| match dice.roll(6) {
            0 => format!("{},{}", dice.pick(&atoms), dice.pick(&atoms)),
            1 => format!("{}-{}", dice.roll(14), dice.roll(14)),
            2 => format!("{}-{}/{}", dice.roll(14), dice.roll(14), dice.roll(9)),
            3 => "*".to_owned(),
            _ => dice.pick(&atoms).to_owned(),
        };
        let parts: Vec<String> = (0..fields).map(|_| field(&mut dice)).collect();
        all.push(parts.join(" "));
    }
    // One wild field among tame ones.
    while all.len() < 7000 {
        let fields = [5, 5, 5, 6, 7][dice.roll(5)];
        let wild = dice.roll(5);
        let parts = (0..fields).map(|i| match (i == wild, i) {
            (true, 4) => {
                let day = |dice: &mut Dice| {
                    dice.pick(&[
                        "0",
                        "1",
                        "2",
                        "6",
                        "7",
                        "mon",
                        "fri",
                        "*",
                        "l1",
                        "l7",
                        "3#1",
                        "1#5",
                        "sun#2",
                        "tue-thu#1",
                    ])
                };
                match dice.roll(3) {
                    0 => day(&mut dice).to_owned(),
                    1 => format!("{},{}", day(&mut dice), day(&mut dice)),
                    _ => format!("{}-{}", dice.roll(9), dice.roll(9)),
                }
            }
            (true, _) => match dice.roll(4) {
                0 => dice.pick(&atoms).to_owned(),
                1 => format!("{}-{}/{}", dice.roll(35), dice.roll(35), dice.roll(20)),
                2 => format!("{}/{},{}", dice.roll(14), dice.roll(14), dice.pick(&atoms)),
                _ => format!("{},{}-{}", dice.roll(62), dice.roll(14), dice.roll(14)),
            },
            (false, 6) => dice.pick(&["*", "2030", "2030-2040"]).to_owned(),
            (false, 2 | 3) => dice.pick(&["*", "1", "*/2", "1-6"]).to_owned(),
            (false, _) => dice.pick(&["*", "0", "*/2", "1-6"]).to_owned(),
        });
        all.push(parts.collect::<Vec<String>>().join(" "));
    }
    all
}

fn interval_values() -> Vec<Value> {
    let texts = corpus("intervals");
    let mut all: Vec<Value> = texts.iter().map(|text| json!(text)).collect();
    let numbers = [
        json!(0),
        json!(-1),
        json!(1),
        json!(600),
        json!(true),
        json!(false),
        json!(1.5),
        json!(1.1234567),
        json!(90061.000001),
        json!(1.5e-7),
        json!(5e-7),
        json!(0.1),
        json!(123456.7890125),
        json!(86399.9999999),
        json!(-0.5),
        json!(1e300),
        json!(100_000_000_000_000_000_000u128 as f64),
        json!(86_399_999_999_999i64),
        json!(86_400_000_000_000i64),
        json!(null),
        json!([]),
        json!({}),
        json!({"$date": "2024-01-01"}),
    ];
    all.extend(numbers);
    let mut dice = Dice(11);
    while all.len() < 400 {
        let (a, b, c) = (dice.roll(100), dice.roll(75), dice.roll(1_000_000));
        all.push(match dice.roll(7) {
            0 => json!(format!("PT{a}H{b}.{c}M")),
            1 => json!(format!("P{a}DT{b}.{c}S")),
            2 => json!(format!("{a}:{b}:{}.{c}", dice.roll(70))),
            3 => json!(format!("{a:02}:{b:02}")),
            4 => json!(format!("{a} days, {b:02}:00")),
            5 => json!(c as f64 / 7.0),
            _ => json!(c),
        });
    }
    all
}

fn anchors() -> Vec<String> {
    let mut all = corpus("anchors");
    let mut dice = Dice(13);
    let dates = ["2024-02-29", "20230228", "2023-059", "2023W101", "2021-W53-1", "2024", "2024/05/06", "1999-12"];
    let times = ["", "T10", " 10:30", "T103015", " 10:30:15", "T10:30:15.5", " 9:5", "T1030", "T23:59:59.999999999"];
    let zones = ["", "Z", "+01:00", "-0530", "+14", "-12:00", "+05:45"];
    while all.len() < 420 {
        all.push(format!("{}{}{}", dice.pick(&dates), dice.pick(&times), dice.pick(&zones)));
    }
    all
}

fn rrules() -> Vec<String> {
    let mut all = corpus("rrules");
    all.push(format!("FREQ=DAILY;BYMONTHDAY={}1", "1,".repeat(3230)));
    all.push(format!("FREQ=DAILY;BYMONTHDAY={}1", "1,".repeat(3250)));
    let mut dice = Dice(17);
    let freqs = ["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"];
    let parts = [
        "INTERVAL=2",
        "INTERVAL=15",
        "COUNT=10",
        "BYHOUR=9,17",
        "BYHOUR=3",
        "BYMINUTE=0,30",
        "BYMINUTE=29",
        "BYSECOND=0",
        "BYDAY=MO,WE",
        "BYDAY=-1FR",
        "BYMONTH=1,6",
        "BYMONTHDAY=-1",
        "BYSETPOS=1",
        "WKST=SU",
        "UNTIL=20301231",
        "UNTIL=20301231T235959Z",
        "UNTIL=MAY2031",
        "BYYEARDAY=100",
        "BYSECOND=30,59",
        "BYHOUR=24",
    ];
    while all.len() < 700 {
        let mut text = format!("FREQ={}", dice.pick(&freqs));
        for _ in 0..dice.roll(4) {
            text.push(';');
            text.push_str(dice.pick(&parts));
        }
        if dice.roll(4) == 0 {
            let start = dice.pick(&["20240229T083000", "20240229T083000Z", "20240229", "2024-02-29 08:30"]);
            text = format!("DTSTART:{start}\nRRULE:{text}");
        }
        all.push(text);
    }
    let dates = [
        "JANUARY",
        "5",
        "05",
        "2030",
        "12",
        "31",
        "MON",
        "TUESDAY",
        "10",
        "PM",
        "AM",
        "T",
        "Z",
        "UTC",
        "EST",
        "+0300",
        "+03:00",
        "-5",
        ":30",
        ".5",
        "-",
        "/",
        ".",
        ",",
        "H",
        "M",
        "SECONDS",
        "ST",
        "OF",
        "10:15",
        "235959",
        "20300105",
        "203001051015",
        "99",
    ];
    while all.len() < 2500 {
        let count = 1 + dice.roll(5);
        let date: Vec<&str> = (0..count).map(|_| dice.pick(&dates)).collect();
        all.push(format!("FREQ=DAILY;UNTIL={}", date.concat()));
    }
    all
}

fn zones() -> Vec<&'static str> {
    vec![
        "europe/berlin",
        "Europe/Berlin ",
        "EST",
        "EST5EDT",
        "GMT+3",
        "Etc/GMT+3",
        "utc",
        "Z",
        "+01:00",
        "Nowhere",
        "posix/UTC",
        "",
        "Europe",
    ]
}

fn items() -> Vec<Value> {
    let mut all: Vec<Value> = anchors().into_iter().map(|text| json!({"interval": 60, "anchor_date": text})).collect();
    for (i, text) in rrules().into_iter().enumerate() {
        let mut item = json!({"rrule": text});
        if i % 3 == 0 {
            item["timezone"] = json!(["America/New_York", "UTC", "Asia/Kolkata", "nowhere"][i / 3 % 4]);
        }
        all.push(item);
    }
    let cron = |extra: Value| {
        let mut item = json!({"cron": "0 9 * * *"});
        for (key, value) in extra.as_object().expect("a mapping") {
            item[key] = value.clone();
        }
        item
    };
    let flags = [
        json!(true),
        json!(false),
        json!(null),
        json!("yes"),
        json!("OFF"),
        json!("T"),
        json!("x"),
        json!(""),
        json!(1),
        json!(0.0),
        json!(2),
        json!([]),
        json!(" true"),
    ];
    for flag in &flags {
        all.push(cron(json!({"active": flag})));
        all.push(cron(json!({"day_or": flag})));
    }
    for zone in zones() {
        all.push(cron(json!({"timezone": zone})));
        all.push(json!({"interval": 60, "timezone": zone}));
        all.push(json!({"rrule": "FREQ=DAILY", "timezone": zone}));
    }
    let parameters = [json!({}), json!({"a": {"b": [1, null]}}), json!(null), json!("x"), json!([1]), json!("")];
    all.extend(parameters.map(|value| cron(json!({"parameters": value}))));
    let names = [json!("a"), json!(""), json!(null), json!(5)];
    for name in names {
        all.push(cron(json!({"slug": name, "replaces": "old"})));
        all.push(cron(json!({"replaces": name})));
        all.push(cron(json!({"timezone": name})));
        all.push(json!({"interval": 60, "anchor_date": name}));
    }
    all.extend([
        json!({}),
        json!({"cron": ""}),
        json!({"cron": "", "interval": 60}),
        json!({"cron": 5}),
        json!({"rrule": 5}),
        json!({"cron": "x"}),
        json!({"interval": 0}),
        json!({"interval": 0, "rrule": "FREQ=DAILY"}),
        json!({"interval": -1}),
        json!({"interval": true}),
        json!({"interval": 1.25}),
        json!({"interval": "PT10M"}),
        json!({"interval": "PT0S"}),
        json!({"interval": 100_000_000_000_000i64}),
        json!({"cron": "0 9 * * *", "unknown": 1}),
        json!({"schedule": {"cron": "0 9 * * *"}}),
        json!({"interval": 60, "active": false, "slug": "s", "parameters": {"x": 1}}),
    ]);
    all
}

fn declarations() -> Vec<Value> {
    let date = json!({"$date": "2024-01-01"});
    let list = |item: Value| json!({"schedules": [item]});
    let mut all: Vec<Value> = interval_values().into_iter().map(|value| list(json!({"interval": value}))).collect();
    for time in [
        "2024-01-01T10:00:00",
        "2024-01-01T10:00:00+02:00",
        "2024-01-01T10:00:00.25-05:30",
        "2024-01-01T10:00:00+00:00",
    ] {
        all.push(list(json!({"interval": "PT1H", "anchor_date": {"$datetime": time}, "timezone": "Asia/Tokyo"})));
    }
    for extra in ["active", "parameters", "slug", "replaces", "day_or", "cron"] {
        all.push(list(json!({"interval": 60, "anchor_date": date, extra: if extra == "parameters" { json!({}) } else { json!(null) }})));
    }
    for anchor in [
        json!(1_700_000_000),
        json!(1_700_000_000_000i64),
        json!(1.5),
        json!(-5),
        json!(true),
        json!([]),
        json!("2024"),
        json!(null),
        json!(0),
    ] {
        all.push(list(json!({"interval": 60, "anchor_date": anchor})));
        all.push(list(json!({"cron": "0 9 * * *", "anchor_date": anchor})));
    }
    let scalars = [
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(2),
        json!(1.0),
        json!("x"),
        json!("yes"),
        json!([]),
        json!({}),
        date.clone(),
        json!({"a": date}),
    ];
    for key in [
        "cron",
        "interval",
        "rrule",
        "timezone",
        "anchor_date",
        "active",
        "parameters",
        "slug",
        "replaces",
        "day_or",
        "max_scheduled_runs",
        "corn",
    ] {
        for value in &scalars {
            all.push(list(json!({"cron": "0 9 * * *", key: value})));
            all.push(list(json!({"interval": 60, key: value})));
        }
    }
    all.extend([
        list(json!({})),
        list(json!({"timezone": "UTC"})),
        list(json!({"cron": "* * * * *", "rrule": "FREQ=DAILY"})),
        list(json!("x")),
        list(json!(null)),
        list(json!({"schedule": {"cron": "* * * * *"}})),
        list(json!({"schedule": {}})),
        json!({"schedules": null}),
        json!({"schedules": []}),
        json!({"schedules": {}}),
        json!({"schedules": {"cron": "* * * * *"}}),
        json!({"schedules": "x"}),
        json!({"schedule": {"cron": "* * * * *"}}),
        json!({"schedule": {}}),
        json!({"schedule": null}),
        json!({"schedule": []}),
        json!({"schedule": "x"}),
        json!({"schedule": {"cron": "* * * * *"}, "schedules": []}),
        json!({"schedule": {}, "schedules": null}),
        json!({"schedule": {"cron": "* * * * *"}, "schedules": null}),
        json!({"schedule": null, "schedules": [{"interval": 5}]}),
        json!({"schedule": {"interval": 60, "anchor_date": date}}),
        json!({"schedule": {"slug": "x"}}),
        json!({}),
        list(json!({"interval": 0, "anchor_date": date})),
        list(json!({"interval": 60, "anchor_date": date, "timezone": "x"})),
        list(json!({"interval": 60, "anchor_date": date, "timezone": ""})),
        list(json!({"interval": 60, "anchor_date": date, "timezone": null})),
        list(json!({"anchor_date": date})),
        list(json!({"interval": null, "anchor_date": date})),
        list(json!({"interval": 60, "anchor_date": date, "timezone": "Europe/Berlin"})),
    ]);
    all
}

fn limit_values() -> Vec<Value> {
    let numbers = [
        json!(null),
        json!(1),
        json!(3),
        json!(3.0),
        json!(3.5),
        json!(true),
        json!(" 3 "),
        json!("3"),
        json!("3.0"),
        json!("3."),
        json!("1_0"),
        json!("_1"),
        json!("+3"),
        json!("03"),
        json!("3.5"),
        json!("x"),
        json!(""),
        json!([]),
        json!("0x1"),
        json!("1e3"),
        json!("{{ x }}"),
        json!({"$date": "2024-01-01"}),
        json!("1__0"),
        json!("3.00_0"),
        json!("- 3"),
        json!(" +1_0.00 "),
    ];
    let mut all: Vec<Value> = numbers.to_vec();
    for number in numbers {
        all.push(json!({"limit": number, "collision_strategy": "ENQUEUE"}));
    }
    for strategy in [json!("ENQUEUE"), json!("CANCEL_NEW"), json!("enqueue"), json!(null), json!(1), json!("x")] {
        all.push(json!({"limit": 2, "collision_strategy": strategy}));
        all.push(json!({"limit": 2, "collision_strategy": strategy, "grace_period_seconds": 60, "extra": 1}));
    }
    for grace in [json!(60), json!(86400), json!(600), json!(null), json!("600"), json!("x"), json!(1.5)] {
        all.push(json!({"limit": 2, "collision_strategy": "ENQUEUE", "grace_period_seconds": grace}));
    }
    all.extend([json!({}), json!({"limit": 2}), json!({"collision_strategy": "ENQUEUE"})]);
    all
}

fn sla_values() -> Vec<Value> {
    let mut all = vec![
        json!(null),
        json!([]),
        json!({}),
        json!("x"),
        json!([5]),
        json!([{}]),
        json!([{"name": "a"}]),
        json!([{"duration": 5}]),
    ];
    for kind in ["duration", "within", "stale_after"] {
        for value in [
            json!(60),
            json!("60"),
            json!(1.5),
            json!(60.0),
            json!(true),
            json!("PT1H"),
            json!("01:00"),
            json!(null),
            json!([]),
            json!("x"),
        ] {
            all.push(json!([{"name": "a", kind: value}]));
            all.push(json!([{"name": "a", kind: value, "severity": "high", "enabled": "no", "extra": 5}]));
        }
    }
    for (key, value) in [
        ("severity", json!("x")),
        ("severity", json!(null)),
        ("severity", json!("critical")),
        ("enabled", json!(null)),
        ("enabled", json!("x")),
        ("name", json!(5)),
        ("name", json!(null)),
        ("name", json!("")),
    ] {
        let mut item = json!({"name": "a", "duration": 60});
        item[key] = value;
        all.push(json!([item]));
    }
    all.extend([
        json!([{"name": "a", "duration": 60, "within": 60}]),
        json!([{"name": "a", "duration": "x", "within": 60}]),
        json!([{"name": "a", "within": 60, "stale_after": 60}]),
        json!([{"name": "a", "duration": 60}, {"name": "b", "stale_after": "PT1H"}]),
    ]);
    all
}

fn sla_bodies(value: &Value) -> Value {
    let (list, problems) = slas::check(&node(value));
    if problems.iter().any(|problem| problem.code.starts_with('E')) {
        return Value::Null;
    }
    if list.is_null() {
        return json!([null]);
    }
    let owner = "prefect.deployment.00000000-0000-0000-0000-000000000001";
    let built = slas::build(&list, &Key::deployment("f", "d")).expect("what was checked builds");
    let items = built.body.into_iter().map(|item| {
        let mut map: Map = item.as_map().expect("a mapping").clone();
        map.insert("owner_resource".to_owned(), Tree::text(owner));
        Tree::Map(map).revealed(&|_| None).expect("all is known")
    });
    json!([items.collect::<Vec<_>>()])
}

fn report(what: &str, wrong: Vec<String>, of: usize) {
    assert!(wrong.is_empty(), "{what}: {} of {of} differ from Prefect:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn schedules_are_read_as_prefect_reads_them() {
    let (crons, items, declarations) = (crons(), items(), declarations());
    let (limit_values, sla_values) = (limit_values(), sla_values());
    let answer = ask(
        "schedules.py",
        &json!({"now": NOW, "crons": crons, "items": items, "declarations": declarations, "timezones": zones(),
            "limits": limit_values, "slas": sla_values}),
    );
    let mut all = Vec::new();
    let mut compare = |what: &str, input: &dyn std::fmt::Display, ours: Value, theirs: &Value| {
        if Tree::from(&ours) != Tree::from(theirs) {
            all.push(format!("{what} {input}\n  ours   {ours}\n  theirs {theirs}"));
        }
    };
    for (i, text) in crons.iter().enumerate() {
        // What a random field becomes is not known beforehand; only whole ones are refused in any case.
        if text.contains("r(") || text.contains("r/") {
            continue;
        }
        compare("cron", text, json!(cron::check(text).is_ok()), &answer["crons"][i]);
    }
    for (i, item) in items.iter().enumerate() {
        compare("item", item, bodies(&Tree::from(item)), &answer["items"][i]);
    }
    for (i, declaration) in declarations.iter().enumerate() {
        compare("declaration", declaration, declared(declaration), &answer["declarations"][i]);
    }
    for (zone, known) in answer["timezones"].as_object().expect("a mapping") {
        // `localtime` is a file of some machines.
        if zone != "localtime" && !zone.is_empty() {
            let ours = json!([timezone::is_known(zone, false), timezone::is_known(zone, true)]);
            compare("time zone", zone, ours, known);
        }
    }
    for (i, value) in limit_values.iter().enumerate() {
        let (limit, _) = limits::read(&node(value));
        let ours = limit.map_or(Value::Null, |limit| {
            json!([limit.limit, limit.options.map(|map| Tree::Map(map).revealed(&|_| None))])
        });
        compare("limit", value, ours, &answer["limits"][i]);
    }
    for (i, value) in sla_values.iter().enumerate() {
        compare("sla", value, sla_bodies(value), &answer["slas"][i]);
    }
    let accepted = |key: &str| {
        answer[key].as_array().expect("a list").iter().filter(|a| **a != json!(false) && !a.is_null()).count()
    };
    for key in ["crons", "items", "declarations", "limits", "slas"] {
        println!("{key}: {} accepted of {}", accepted(key), answer[key].as_array().expect("a list").len());
        assert!(accepted(key) > 20, "too few of {key} are valid to tell anything");
    }
    let count = crons.len() + items.len() + declarations.len() + limit_values.len() + sla_values.len();
    report("schedules", all, count);
}

/// Everything that comes back from a real server is what was declared.
#[test]
fn a_server_returns_what_was_declared() {
    let http = Server::shared().http();
    let items = server_items();
    let flow = http.post("/flows/", json!({"name": "schedules-round-trip"}));
    let built: Vec<Schedule> = items
        .iter()
        .map(|item| Schedule::build(&Tree::from(item), Timestamp::now()).unwrap_or_else(|p| panic!("{item}: {p:?}")))
        .collect();
    let plain = |tree: Tree| tree.revealed(&|_| None).expect("all is known");
    for (i, schedule) in built.iter().enumerate() {
        let schedules = json!([plain(new_body(schedule, Timestamp::now()))]);
        let body = json!({"name": format!("d{i}"), "flow_id": flow["id"], "schedules": schedules});
        let deployment = http.post("/deployments/", body);
        let found = http.get(&format!("/deployments/{}", deployment["id"].as_str().expect("an id")));
        assert!(schedule.same_definition(&found["schedules"][0]), "{}: {}", items[i], found["schedules"][0]);
        assert_eq!(schedule.differences(&found["schedules"][0]), vec![], "{}", items[i]);
        let others =
            built.iter().enumerate().filter(|(j, other)| *j != i && other.same_definition(&found["schedules"][0]));
        for (j, _) in others {
            assert!(is_twin(&items[i], &items[j]), "{} looks like {}", items[i], items[j]);
        }
        // The other way of writing: an update with only what is set.
        let path = format!("/deployments/{}", deployment["id"].as_str().expect("an id"));
        http.patch(&path, json!({"schedules": [plain(schedule.set_fields(Timestamp::now()))]}));
        let found = http.get(&path);
        assert_eq!(schedule.differences(&found["schedules"][0]), vec![], "after an update: {}", items[i]);
        http.delete(&path);
    }
}

/// Whether two items are due at the same times: intervals without an anchor fit every anchor.
fn is_twin(a: &Value, b: &Value) -> bool {
    let key = |item: &Value| {
        (item["cron"].clone(), item["interval"].clone(), item["rrule"].clone(), item["timezone"].clone())
    };
    key(a) == key(b) || (a["interval"].is_null() == b["interval"].is_null() && !a["interval"].is_null())
}

fn server_items() -> Vec<Value> {
    let mut all = vec![
        json!({"cron": "0 9 * * *", "slug": "nightly", "parameters": {"a": {"b": [1, 2.0, null]}}, "active": false}),
        json!({"cron": "0 9 * * *", "day_or": "no"}),
        json!({"rrule": "{\"rrule\": \"FREQ=WEEKLY;BYDAY=MO\", \"timezone\": \"Europe/Berlin\"}"}),
        json!({"interval": 600, "anchor_date": "now"}),
        json!({"interval": 600, "anchor_date": "10:00"}),
    ];
    let crons = [
        "@daily",
        "*/5 * * * *",
        "0 0 L * *",
        "0 0 * * 5#2",
        "0 0 * * L5",
        "0 22-4 * * *",
        "0 0 31 2 *",
        "0 0 * * MON-FRI",
        "0  0 *   * *",
        "0 0 * * * */15",
        "5/15 * * * *",
        "0 0 ? * 1",
        "0 0 1 JAN *",
        "0 0 * * 7",
        "0 0 * * sun",
        "0 12 1,15 * *",
        "0 0 1 1 * 0 2030",
        "0 0 * apr-jan/3 *",
        "0-30/10 8-18 * * 1-5",
        "@Weekly",
    ];
    let zones = [None, Some("UTC"), Some("America/New_York"), Some("Etc/GMT+3")];
    let zoned = |mut item: Value, i: usize| {
        if let Some(zone) = zones[i % zones.len()] {
            item["timezone"] = json!(zone);
        }
        item
    };
    all.extend(crons.iter().enumerate().map(|(i, cron)| zoned(json!({"cron": cron}), i)));
    let anchors = [
        "2024",
        "2024-01-01 10:00",
        "2024-01-01T10:00:00-05:00",
        "2024-01-01T10:00:00.123456+05:30",
        "2024-W05-3",
        "20240101T0100Z",
        "1999-12-31",
        "2030-01-01",
        "2024-01-01T10:00:00.000001Z",
    ];
    all.extend(
        anchors.iter().enumerate().map(|(i, anchor)| zoned(json!({"interval": 3600 + i, "anchor_date": anchor}), i)),
    );
    let intervals = [
        json!("PT10M"),
        json!(1),
        json!(0.5),
        json!(1.1234567),
        json!("P1W"),
        json!("2 days, 01:00:00"),
        json!("1d"),
        json!(90061.000001),
        json!(31536000),
    ];
    all.extend(intervals.iter().enumerate().map(|(i, interval)| zoned(json!({"interval": interval}), i)));
    let rules = [
        "FREQ=DAILY;BYHOUR=3",
        "RRULE:FREQ=MINUTELY;INTERVAL=7",
        "FREQ=SECONDLY;INTERVAL=45",
        "FREQ=DAILY;COUNT=5",
        "FREQ=WEEKLY;BYDAY=MO,WE,-1FR",
        "DTSTART:20240101T000000\nRRULE:FREQ=DAILY",
        "DTSTART;TZID=Europe/Berlin:20240101T000000\nRRULE:FREQ=DAILY",
        "RRULE:FREQ=DAILY\nEXDATE:20240101T000000",
        "RRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY",
        "RDATE:20300101T000000",
        "freq=monthly;bymonthday=-1",
        "FREQ=DAILY;UNTIL=20301231T000000",
        "FREQ=DAILY;UNTIL=20301231T000000Z",
        "FREQ=MINUTELY;COUNT=5",
        "FREQ=YEARLY;BYEASTER=0",
        "FREQ=HOURLY;INTERVAL=5;BYHOUR=3",
        "FREQ=DAILY;BYHOUR=9;BYMINUTE=0,30",
    ];
    all.extend(rules.iter().enumerate().map(|(i, rule)| zoned(json!({"rrule": rule}), i)));
    assert!(all.len() >= 60, "{}", all.len());
    all
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_makes_a_panic(text in "\\PC{0,40}", dense in "[0-9PTDHMSWZ:;,=.+\\-/ ()#*a-lA-Z{}\"]{0,60}", number in proptest::prelude::any::<f64>()) {
        for text in [text, dense] {
            for key in ["cron", "interval", "rrule", "timezone", "anchor_date", "active", "day_or", "slug"] {
                let mut item = json!({"interval": 60, key: text});
                let _ = bodies(&Tree::from(&item));
                item[key] = json!(number);
                let _ = bodies(&Tree::from(&item));
                let _ = check::schedules(&node(&json!([item])), &free);
            }
            let _ = bodies(&json!({"rrule": text}).into());
            let _ = bodies(&json!({"rrule": format!("DTSTART:{text}\nRRULE:FREQ=DAILY;UNTIL={text}")}).into());
            let _ = bodies(&json!({"cron": text}).into());
            let _ = limits::read(&node(&json!(text)));
        }
    }
}
