//! The status page in a real browser: it follows the loop, needs nothing else, and everybody can read and use it.
//!
//! `RECONCILE_TEST_PICTURES` names a directory for pictures of it.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::response::Html;
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use reconcile::report::{overview, page};
use serde_json::{Value, json};

use crate::serve::{Served, declared, project};
use crate::support::Server;
use crate::support::browser::Browser;
use crate::support::proxy::{Proxy, Verdict};
use crate::support::skip::skipped;

const DESKTOP: (u32, u32) = (1280, 900);
const PHONE: (u32, u32) = (390, 844);

fn browser() -> Option<Browser> {
    let browser = Browser::start();
    if browser.is_none() {
        skipped("this machine has no browser, of Debian's `chromium`");
    }
    browser
}

/// A picture of the page, if somebody wants to see it.
fn keep(browser: &mut Browser, name: &str) {
    if let Some(dir) = std::env::var_os("RECONCILE_TEST_PICTURES") {
        browser.picture(&PathBuf::from(dir).join(format!("{name}.png")));
    }
}

fn says(words: &str) -> String {
    format!("document.getElementById('live').textContent.includes({})", json!(words))
}

#[test]
fn it_follows_every_pass_and_keeps_the_place_of_its_reader() {
    let Some(mut browser) = browser() else { return };
    let project = project("page-live");
    let served = Served::start(&project, &["--drift-interval", "0"]);
    let address = format!("http://{}/", served.address);
    browser.looks(DESKTOP, "light");
    browser.open(&address);
    browser.until("document.querySelector('.state').textContent === 'in sync'");
    browser.until("document.getElementById('told').textContent === 'This page follows every pass. Now: in sync.'");
    assert_eq!(browser.is("document.title"), "✓ page-live · reconcile");
    browser.is("window.first = true, document.querySelector('[data-key^=changed] summary').focus()");
    browser.press(" ", 32);
    assert_eq!(browser.is("document.activeElement.parentElement.open"), true);

    project.write("prefect.yaml", &declared("second"));
    browser.until(&says("second"));
    let http = Server::shared().http();
    let id = http.get("/deployments/name/page-live/a")["id"].as_str().unwrap().to_owned();
    http.patch(&format!("/deployments/{id}"), json!({"description": "by hand"}));
    browser
        .is("window.old = document.querySelector('h1'), document.querySelector('[data-key^=objects] summary').focus()");
    browser.press(" ", 32);
    served.watcher.signal("-HUP");
    browser.until(&says("Somebody changed it on the API."));
    let place = "document.activeElement.matches('summary') && document.activeElement.parentElement.open";
    assert_eq!(browser.is(&format!("!old.isConnected && {place}")), true, "what had the focus and was open still is");
    keep(&mut browser, "live-drift");

    project.write("prefect.yaml", "deployments:\n- name: a\n  entrypoint: [\n");
    browser.until("document.querySelector('.state').textContent === 'invalid files'");
    browser.until("document.title.startsWith('!') && document.querySelector('link').href.includes('cf222e')");
    let place = r"/prefect\.yaml:\d+:\d+/.test(document.getElementById('problems').parentElement.textContent)";
    assert_eq!(browser.is(place), true, "the problem has a place");
    assert_eq!(browser.is(&says("page-live/a")), true, "the objects are still told");
    assert_eq!(served.act("/suspend"), 202);
    browser.until(&says("no pass is made until it is resumed"));
    keep(&mut browser, "live-invalid");
    assert_eq!(browser.is("window.first"), true, "it was never loaded again");

    // The same without scripts, but for what follows it.
    let with = browser.is("document.getElementById('live').textContent");
    browser.scripts(false);
    browser.open(&address);
    assert_eq!(browser.is("document.getElementById('live').textContent"), with);
    assert_eq!(browser.is("document.querySelectorAll('details').length > 1"), true);
    let told = browser.is("document.getElementById('told').textContent");
    assert_eq!(told, "This page shows how things stood when it was loaded.");
    browser.scripts(true);
    browser.open(&address);
    browser.until("document.getElementById('told').textContent.startsWith('This page follows')");

    assert_eq!(browser.complaints(), [""; 0]);
    let requests = browser.requests();
    assert!(requests.iter().all(|to| to.starts_with(&address) || to.starts_with("data:")), "{requests:?}");
    assert!(requests.iter().any(|to| to.ends_with("/events")), "{requests:?}");
    served.watcher.stop().exits(0);
    browser.until("document.getElementById('told').textContent.includes('may be old')");
}

#[test]
fn what_is_not_in_leads_to_what_is_wrong() {
    let Some(mut browser) = browser() else { return };
    let declared = |description: &str| {
        let one = |name: &str, description: &str, hour: u32| {
            format!(
                "- name: {name}\n  entrypoint: flow.py:f\n  description: {description}\n  work_pool: {{name: served}}\n  \
                 schedules: [{{cron: \"0 {hour} * * *\", slug: daily}}]\n"
            )
        };
        let all = [one("hourly", "first", 1), one("morning", description, 7), one("nightly", description, 22)];
        format!("deployments:\n{}", all.concat())
    };
    let proxy = Proxy::in_front_of(&Server::shared().url);
    let project = project("warehouse").api(&proxy.url).file("prefect.yaml", &declared("Loads what came in at night"));
    project.write(
        "team.reconcile.yaml",
        "variables:\n- { name: warehouse_team, value: data }\n- { name: warehouse_limit, value: 20 }\n",
    );
    let project = project.git_init(None);
    let served = Served::start(&project, &[]);
    browser.looks((1000, 1150), "light");
    browser.open(&format!("http://{}/", served.address));
    browser.until("document.querySelector('.state').textContent === 'in sync'");
    let id = Server::shared().http().get("/deployments/name/warehouse/nightly")["id"].as_str().unwrap().to_owned();
    // After the refusal everything is slow, so that the next try does not follow at once.
    let refused = AtomicBool::new(false);
    proxy.rule(move |request| match request.method == "PATCH" && request.path.contains(&id) {
        true => {
            refused.store(true, Ordering::SeqCst);
            Verdict::Answer(422, json!({"detail": "the flow run limit of this account is used up"}).to_string())
        }
        false if refused.load(Ordering::SeqCst) => Verdict::Slow(Duration::from_secs(1)),
        false => Verdict::Pass,
    });
    assert_eq!(served.act("/suspend"), 202);
    project.write("prefect.yaml", &declared("Loads what came in since yesterday"));
    project.git_commit("another description");
    assert_eq!(served.act("/resume"), 202);
    browser.until("document.querySelector('.state').matches('.bad')");
    browser.is("document.querySelector('[data-key=\"objects deployment\"]').open = true");
    keep(&mut browser, "partly");
    let link = "document.querySelector('[data-key=\"objects deployment\"] tbody tr td a')";
    assert_eq!(browser.is(&format!("{link}.textContent")), "failed", "what failed comes first");
    let told = browser.is(&format!("document.querySelector({link}.hash).textContent"));
    let told = told.as_str().unwrap();
    for words in ["deployment warehouse/nightly", "prefect.yaml:12", "description", "since yesterday", "used up"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    // Then nothing stands in the way.
    proxy.rule(|_| Verdict::Pass);
    browser.until("document.querySelector('.state').textContent === 'in sync'");
    assert_eq!(browser.is("document.querySelectorAll('#live :not(td).bad').length"), 0, "what failed is history");
}

#[test]
fn everybody_can_read_it() {
    let Some(mut browser) = browser() else { return };
    let address = serve();
    for (name, html) in pages() {
        let navigation = html.contains("<nav").then_some("navigation");
        let mut tables = Vec::new();
        for (size, width) in [(DESKTOP, "desktop"), (PHONE, "phone")] {
            for scheme in ["light", "dark"] {
                browser.looks(size, scheme);
                browser.open(&format!("{address}/{name}"));
                keep(&mut browser, &format!("{name}-{width}-{scheme}"));
                browser.is("document.querySelectorAll('details').forEach((one) => { one.open = true; })");
                let found = browser.is(include_str!("page.js"));
                assert_eq!(found["wrong"], json!([]), "{name}, {width}, {scheme}: {found:#}");
                let roles = roles(&mut browser);
                for role in ["main", "contentinfo", "region", "heading", "link"].into_iter().chain(navigation) {
                    assert!(roles.iter().any(|(found, _)| found == role), "{name}: no {role}: {roles:?}");
                }
                tables.push(roles.iter().filter(|(role, _)| role == "table" || role == "columnheader").count());
            }
        }
        assert!(tables.iter().all(|n| n == &tables[0]), "{name}: tables are tables in every width: {tables:?}");
    }
    assert_eq!(browser.complaints(), [""; 0]);
}

/// The roles and names of all nodes, after whoever can have the focus was seen to have a name.
fn roles(browser: &mut Browser) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for node in browser.nodes() {
        let text = |key: &str| node[key]["value"].as_str().unwrap_or_default().to_owned();
        let (role, name) = (text("role"), text("name"));
        let properties = node["properties"].as_array().into_iter().flatten();
        let focusable = properties.clone().any(|one| one["name"] == "focusable" && one["value"]["value"] == true);
        assert!(!focusable || !name.trim().is_empty(), "a control without a name: {node:#}");
        all.push((role, name));
    }
    all
}

#[test]
fn the_keyboard_reaches_everything_in_order() {
    let Some(mut browser) = browser() else { return };
    let address = serve();
    browser.looks(DESKTOP, "light");
    browser.open(&format!("{address}/errors"));
    browser.until("document.getElementById('told').textContent.startsWith('This page follows')");
    browser
        .is("window.places = [...document.querySelectorAll('a, summary')].filter((one) => one.checkVisibility()), 0");
    let places = browser.is("places.length").as_u64().unwrap();
    assert!(places > 8, "{places}");
    for n in 0..places {
        browser.press("Tab", 9);
        let seen = browser.is(
            "(() => { const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
               return { n: places.indexOf(one), ring: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
                        inside: box.top >= 0 && box.bottom <= innerHeight, what: one.outerHTML.slice(0, 99) }; })()",
        );
        assert_eq!((&seen["n"], &seen["ring"], &seen["inside"]), (&json!(n), &json!(true), &json!(true)), "{seen:#}");
    }
    browser.is("document.querySelector('#objects').parentElement.querySelector('summary').focus()");
    for open in [true, false] {
        browser.press(" ", 32);
        assert_eq!(browser.is("document.activeElement.parentElement.open"), open);
    }
}

/// Serves every sample under its name, as a loop would; the address.
fn serve() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let silent = async || Sse::new(futures_util::stream::pending::<Result<Event, Infallible>>());
    let mut router = axum::Router::new().route("/events", get(silent));
    for (name, html) in pages() {
        let page = ([(CONTENT_SECURITY_POLICY, page::policy())], Html(html));
        router = router.route(&format!("/{name}"), get(async move || page));
    }
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
    });
    address
}

/// The pages of all samples, and the one that lists them as environments.
fn pages() -> Vec<(&'static str, String)> {
    let environments = [
        ("test", drift()),
        ("production-of-a-rather-long-name-in-eu-west-1", errors()),
        ("staging", many()),
        ("new", beginning()),
    ];
    let environments = environments.map(|(name, status)| (name.to_owned(), status));
    let mut pages = samples().map(|(name, status)| (name, page::status(&status))).to_vec();
    let mut one_of_many = many();
    one_of_many["overview"] = json!("../../");
    pages.push(("one-of-many", page::status(&one_of_many)));
    pages.push(("environments", overview::overview(&environments)));
    pages
}

/// Statuses of every look: a beginning, many objects, errors, drift in a suspended scope.
fn samples() -> [(&'static str, Value); 4] {
    [("beginning", beginning()), ("many", many()), ("errors", errors()), ("drift", drift())]
}

fn beginning() -> Value {
    json!({"version": "1.2.3", "started": "2026-11-21T15:00:00Z", "state": "starting", "suspended": false})
}

fn pass(minute: usize, state: &str, summary: &str) -> Value {
    let commit = "3f2c1a97d0f1e2b3c4d5e6f708192a3b4c5d6e7f";
    let commit = if state == "failed" { Value::Null } else { json!(commit) };
    json!({"at": format!("2026-11-21T15:{minute:02}:01Z"), "seconds": 0.412, "state": state, "commit": commit, "summary": summary})
}

fn status(state: &str, history: Vec<Value>) -> Value {
    json!({
        "version": "1.2.3", "started": "2026-11-21T15:00:00Z", "state": state, "suspended": false, "error": null,
        "report": {
            "scope": "shop", "source": {"branch": "main", "commit": "3f2c1a97d0f1e2b3c4d5e6f708192a3b4c5d6e7f", "dirty": false},
            "api": {"url": "https://prefect.example.org/api", "version": "3.8.8"}, "held": [], "diagnostics": [],
        },
        "history": history,
    })
}

fn object(kind: &str, name: &str, state: &str, line: usize) -> Value {
    let changed = if line.is_multiple_of(3) { json!("2026-11-21T15:04:01Z") } else { Value::Null };
    json!({"kind": kind, "name": name, "state": state, "file": "etl/prefect.yaml", "line": line, "changed": changed})
}

fn change(kind: &str, name: &str, action: &str, reason: &str, result: &str) -> Value {
    json!({
        "kind": kind, "name": name, "action": action, "reason": reason, "result": result,
        "origin": {"file": "etl/prefect.yaml", "line": 12}, "impact": [], "fields": [
            {"path": "description", "before": "Loads what came in during the night", "after": "Loads what came in since yesterday"},
            {"path": "schedules[working-days].cron", "before": "0 7 * * mon-fri", "after": "30 8 * * mon-fri"},
            {"path": "job_variables.env.TOKEN", "before": {"sensitive": true}, "after": {"sensitive": true}},
        ],
    })
}

fn many() -> Value {
    let idle = (0..50).map(|n| pass(59 - n, "in_sync", "Plan: nothing to do, 1,230 unchanged.   6 reads, 0.1 s"));
    let mut status = status("in_sync", idle.collect());
    let flow = |n: usize| format!("etl-{}/a-rather-long-name-of-a-deployment-{n}", n % 50);
    let deployments = (0..1200).map(|n| object("deployment", &flow(n), "in_sync", n + 3));
    let pools = (0..30).map(|n| object("work_pool", &format!("pool-{n}"), "in_sync", n + 3));
    status["objects"] = json!({"at": "2026-11-21T15:59:01Z", "all": deployments.chain(pools).collect::<Vec<_>>()});
    let changes: Vec<Value> = (0..230).map(|n| change("deployment", &flow(n), "update", "git", "done")).collect();
    status["changed"] = json!({"at": "2026-11-21T15:04:01Z", "report": {"changes": changes}});
    status
}

fn errors() -> Value {
    let history = vec![
        pass(9, "failed", "the API at https://prefect.example.org/api cannot be reached: Connection refused"),
        pass(8, "partly", "Partly applied: 2 applied, 2 failed, 1 held, 40 unchanged.   9 reads, 12 writes, 1.4 s"),
        pass(7, "invalid", "Invalid: 2 errors; nothing was written."),
        pass(6, "in_sync", "Plan: nothing to do, 44 unchanged.   6 reads, 0.1 s"),
    ];
    let mut status = status("failed", history);
    status["error"] = json!({
        "message": "the API at https://prefect.example.org/api cannot be reached: Connection refused",
        "help": "look whether it runs, and whether `PREFECT_API_URL` is right",
    });
    status["report"]["diagnostics"] = json!([
        {"severity": "error", "code": "E0103", "message": "`entrypiont` is no key of a deployment", "file": "etl/prefect.yaml",
         "line": 31, "column": 3, "help": "did you mean `entrypoint`?"},
        {"severity": "warning", "code": "W0190", "message": "the trigger has a key that is not known, `expcet`",
         "file": "a/very/long/path/to/somewhere/deep/in/the/repository/with/many/directories/prefect.yaml", "line": 7, "column": 5, "help": null},
    ]);
    status["report"]["held"] = json!([{"kind": "work_pool", "name": "old", "action": "delete", "result": "held",
        "reason": "3 deployments still use it: it goes when they are gone, or with `--max-delete`"}]);
    let long = format!("{}\n{}", "x".repeat(300), "a line with spaces that has to be broken somewhere ".repeat(6));
    let mut failed = change("deployment", "etl/nightly", "update", "git", "failed");
    failed["error"] = json!("HTTP 422: parameters: `rows` is not of the type integer");
    failed["fields"][0]["after"] = json!(long);
    let mut changes = vec![change("deployment", "etl/morning", "update", "git", "done"), failed];
    changes.push(json!({"kind": "automation", "name": "etl/nightly/alarm", "action": "create", "reason": "git", "result": "skipped",
        "error": "deployment etl/nightly failed", "impact": ["24 planned runs move; next at 2026-11-22T08:30:00Z"], "fields": []}));
    status["changed"] = json!({"at": "2026-11-21T15:08:01Z", "report": {"changes": changes}});
    let all = [
        object("work_pool", "k8s", "in_sync", 3),
        json!({"kind": "work_pool", "name": "old", "state": "held", "file": null, "line": null, "changed": null}),
        object("deployment", "etl/morning", "in_sync", 12),
        object("deployment", "etl/nightly", "failed", 31),
        object("automation", "etl/nightly/alarm", "skipped", 40),
    ];
    status["objects"] = json!({"at": "2026-11-21T15:08:01Z", "all": all});
    status
}

fn drift() -> Value {
    let history = vec![
        pass(9, "in_sync", "Applied: 1 applied, 11 unchanged.   9 reads, 3 writes, 0.6 s"),
        pass(8, "in_sync", "Plan: nothing to do, 12 unchanged.   6 reads, 0.1 s"),
    ];
    let mut status = status("in_sync", history);
    (status["suspended"], status["suspended_since"]) = (json!(true), json!("2026-11-21T15:09:30Z"));
    status["report"]["source"]["dirty"] = json!(true);
    let changes = [change("deployment", "etl/morning", "update", "drift", "done")];
    status["changed"] = json!({"at": "2026-11-21T15:09:01Z", "report": {"changes": changes}});
    let all: Vec<Value> = (0..12).map(|n| object("deployment", &format!("etl/part-{n}"), "in_sync", 12 + n)).collect();
    status["objects"] = json!({"at": "2026-11-21T15:09:01Z", "all": all});
    status
}
