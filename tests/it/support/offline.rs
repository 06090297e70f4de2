//! `World` and `Case`: a pass without a server. What the API would answer is written down, and what it would make of a
//! plan is worked out by [`World::carry_out`].

use std::collections::BTreeMap;
use std::path::Path as Dir;

use jiff::Timestamp;
use reconcile::diagnostic::Diagnostic;
use reconcile::manifest::select::Selection;
use reconcile::model::ledger::{Ledger, Owned};
use reconcile::model::secret::keyed_digest;
use reconcile::model::{Key, Kind, Secret, Tree};
use reconcile::plan::Planned;
use reconcile::plan::want::{Observed, ScheduleWrite, Write};
use reconcile::reconcile::gather::{Asked, nothing_asked};
use reconcile::reconcile::read::{Reading, read};
use reconcile::reconcile::{Decided, Pass, Request, builds};
use reconcile::report::{ApiFacts, Report, Requests};
use reconcile::resource::deployment::create_body;
use serde_json::{Map, Value, json};

/// The time of every offline pass.
pub fn now() -> Timestamp {
    "2026-01-15T12:00:00Z".parse().unwrap()
}

/// The key of every offline ledger's digests.
pub const DIGEST_KEY: &[u8] = b"the key of offline ledgers";

/// A request for a directory, with nothing in its environment.
pub fn request(dir: &Dir) -> Request {
    Request {
        path: dir.to_owned(),
        project: None,
        at: None,
        cloned: false,
        pinned: false,
        submodules: false,
        guarded: false,
        changed_since: None,
        prefect_file: None,
        env_name: None,
        selection: Selection::default(),
        resolve_secrets: false,
        python: None,
        fallback_python: None,
        environment: BTreeMap::new(),
        caution: reconcile::reconcile::Caution::default(),
        default_pool: None,
        owning: Default::default(),
        files_only: false,
        stop: tokio_util::sync::CancellationToken::new(),
        commit: Default::default(),
        say: Box::new(|_| ()),
    }
}

/// What a server holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct World {
    /// As the API answers, by key.
    pub deployments: BTreeMap<Key, Value>,
    /// Objects of the other kinds, as the API answers, by key.
    pub objects: BTreeMap<Key, Value>,
    /// As the API answers.
    pub automations: Vec<Value>,
    /// As the API answers, by name.
    pub pools: BTreeMap<String, Value>,
    /// Values by name.
    pub variables: BTreeMap<String, Value>,
    /// Data by `type/name`.
    pub blocks: BTreeMap<String, Value>,
    made: usize,
}

impl World {
    /// Reads `server.json`: what it leaves out of an object is as on a server that was told nothing of it.
    pub fn read(file: &Value) -> World {
        let list = |key: &str| file[key].as_array().cloned().unwrap_or_default();
        let map = |key: &str| file[key].as_object().cloned().unwrap_or_default().into_iter().collect();
        let pools = match file.get("work_pools") {
            Some(pools) => pools.as_array().unwrap().iter().map(pool).collect(),
            None => BTreeMap::from([pool(&json!({"name": "default"}))]),
        };
        World {
            objects: BTreeMap::new(),
            deployments: list("deployments").iter().map(deployment).collect(),
            automations: list("automations"),
            pools,
            variables: map("variables"),
            blocks: map("blocks"),
            made: 0,
        }
    }

    /// What the reading half of a pass would learn from it.
    pub fn answers(&self, request: &Request, reading: &Reading, ledger: Ledger) -> Asked {
        let mut asked = nothing_asked(request, reading);
        asked.ledger = ledger;
        asked.version = Some("3.8.8".to_owned());
        let facts = &mut asked.facts;
        facts.pools = Some(self.pools.clone());
        facts.variables = self.variables.iter().map(|(name, value)| (name.clone(), Tree::from(value))).collect();
        facts.blocks.by_id.clear();
        facts.blocks.by_name = self
            .blocks
            .iter()
            .map(|(path, data)| {
                let (slug, name) = path.split_once('/').unwrap();
                ((slug.to_owned(), name.to_owned()), Tree::Secret(Secret::new(data.clone())))
            })
            .collect();
        asked
    }

    /// What a pass would read of it to compare with.
    pub fn observed(&self) -> Observed {
        let flow = |answer: &Value| answer["flow_id"].as_str().unwrap().to_owned();
        Observed {
            deployments: self.deployments.clone(),
            flows: self
                .deployments
                .values()
                .map(|answer| (flow(answer).split_off("flow-".len()), flow(answer)))
                .collect(),
            automations: self.automations.clone(),
            objects: self.objects.clone(),
            ..Observed::default()
        }
    }

    /// What a server makes of a plan, and what the ledger says afterwards.
    pub fn carry_out(&mut self, planned: &Planned, ledger: &mut Ledger) {
        ledger.generation += 1;
        planned.gone.iter().for_each(|gone| drop(ledger.owned.remove(gone)));
        let (first, then): (Vec<_>, Vec<_>) = planned.writes.iter().partition(|(key, _)| key.kind == Kind::Deployment);
        for (key, writes) in first.into_iter().chain(then) {
            let mut id = planned.ids.get(key).cloned();
            for write in writes {
                id = self.write(key, write, id);
            }
            match id {
                Some(id) => {
                    let declared = planned.declared.get(key).cloned().unwrap_or_default();
                    ledger.owned.insert(key.clone(), Owned { id, declared, keep: false })
                }
                None => ledger.owned.remove(key),
            };
        }
    }

    fn write(&mut self, key: &Key, write: &Write, id: Option<String>) -> Option<String> {
        match write {
            Write::CreateDeployment { flow, name, fields, schedules } => {
                let fields: Map<String, Value> = fields.iter().map(|(k, v)| (k.clone(), self.lower(v))).collect();
                let schedules = schedules.iter().map(|schedule| self.lower(schedule)).collect();
                let body = create_body(name, &format!("flow-{flow}"), &fields, schedules);
                let id = self.new_id("deployment");
                let mut answer =
                    json!({"id": id, "flow_id": body["flow_id"], "name": name, "labels": {}, "schedules": []});
                set_fields(&mut answer, body.as_object().unwrap());
                for schedule in body["schedules"].as_array().unwrap() {
                    let made = self.schedule(schedule);
                    answer["schedules"].as_array_mut().unwrap().push(made);
                }
                self.deployments.insert(key.clone(), answer);
                Some(id)
            }
            Write::UpdateDeployment { patch, schedules, .. } => {
                let patch: Map<String, Value> = patch.iter().map(|(k, v)| (k.clone(), self.lower(v))).collect();
                let mut answer = self.deployments.remove(key).expect("it exists");
                set_fields(&mut answer, &patch);
                self.timetable(&mut answer, schedules);
                self.deployments.insert(key.clone(), answer);
                id
            }
            Write::DeleteDeployment { key, .. } => {
                self.deployments.remove(key);
                id
            }
            Write::CreateAutomation(made) => {
                let id = self.new_id("automation");
                let mut body = self.automation(made);
                body["id"] = json!(id);
                self.automations.push(body);
                Some(id)
            }
            Write::ReplaceAutomation { id, made } => {
                let mut body = self.automation(made);
                body["id"] = json!(id);
                let at = self.automations.iter().position(|found| found["id"] == id.as_str()).expect("it exists");
                self.automations[at] = body;
                Some(id.clone())
            }
            Write::DeleteAutomation { id } => {
                self.automations.retain(|found| found["id"] != id.as_str());
                None
            }
            Write::CreateObject { body } => {
                let id = self.new_id("object");
                let mut row = self.lower(body);
                row["id"] = json!(id);
                for field in reconcile::resource::rules(key.kind).fields {
                    let missing = row.get(field.name).is_none();
                    missing.then(|| row[field.name] = field.default_value());
                }
                self.objects.insert(key.clone(), row);
                Some(id)
            }
            Write::UpdateObject { id, patch } => {
                let patch = self.lower(patch);
                let row = self.objects.get_mut(key).expect("it exists");
                patch.as_object().unwrap().iter().for_each(|(field, value)| row[field] = value.clone());
                Some(id.clone())
            }
            Write::DeleteObject { id } => {
                self.deployments.remove(key);
                self.objects.remove(key);
                self.automations.retain(|found| found["id"] != id.as_str());
                None
            }
            Write::ApplySlas { .. } => id.or_else(|| self.id_of(key)),
            Write::Adopt { id } => Some(id.clone()),
        }
    }

    fn timetable(&mut self, answer: &mut Value, writes: &[ScheduleWrite]) {
        let list = answer["schedules"].as_array_mut().unwrap();
        for write in writes {
            match write {
                ScheduleWrite::Delete { id } => list.retain(|found| found["id"] != id.as_str()),
                ScheduleWrite::Update { id, body } => {
                    let body = self.lower(body);
                    let found = list.iter_mut().find(|found| found["id"] == id.as_str()).expect("it exists");
                    found["parameters"] = json!({}); // reset when it is left out
                    for (key, value) in body.as_object().unwrap() {
                        found[key] = value.clone();
                    }
                    found["schedule"] = full_spec(&found["schedule"]);
                }
                ScheduleWrite::Add(body) => {
                    let made = self.schedule(&self.lower(body));
                    list.push(made);
                }
            }
        }
        let mut slugs: Vec<&Value> = list.iter().map(|one| &one["slug"]).filter(|slug| !slug.is_null()).collect();
        slugs.sort_by_key(|slug| slug.to_string());
        let before = slugs.len();
        slugs.dedup();
        assert_eq!(slugs.len(), before, "the server refuses schedules of one slug");
    }

    fn schedule(&mut self, body: &Value) -> Value {
        let mut made = body.clone();
        made.as_object_mut().unwrap().shift_remove("replaces");
        made["id"] = json!(self.new_id("schedule"));
        made["schedule"] = full_spec(&made["schedule"]);
        made
    }

    fn automation(&self, made: &reconcile::manifest::triggers::Automation) -> Value {
        let mut body = self.lower(&made.complete(&self.id_of(&made.owner).expect("its deployment is there")));
        body.as_object_mut().unwrap().shift_remove("owner_resource"); // is never answered
        body
    }

    fn id_of(&self, key: &Key) -> Option<String> {
        self.deployments.get(key).map(|answer| answer["id"].as_str().unwrap().to_owned())
    }

    fn lower(&self, tree: &Tree) -> Value {
        tree.revealed(&|key| self.id_of(key)).expect("all is known when it is applied")
    }

    fn new_id(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}-{}", self.made)
    }
}

/// What the server does with the fields of a create or an update.
fn set_fields(answer: &mut Value, fields: &Map<String, Value>) {
    for (name, value) in fields {
        match name.as_str() {
            "version_info" | "schedules" | "name" | "flow_id" => {}
            "concurrency_limit" if value.is_null() => answer["global_concurrency_limit"] = Value::Null,
            "concurrency_limit" => {
                let name = format!("deployment:{}", answer["id"].as_str().unwrap());
                answer["global_concurrency_limit"] = json!({"id": "limit", "name": name, "limit": value});
            }
            "work_pool_name" => {
                answer["work_pool_name"] = value.clone();
                let queue = fields.get("work_queue_name").filter(|queue| !queue.is_null());
                answer["work_queue_name"] = queue.cloned().unwrap_or_else(|| json!("default"));
            }
            "work_queue_name" if fields.contains_key("work_pool_name") => {}
            "work_queue_name" => panic!("a queue without its pool is not understood"),
            name => answer[name] = value.clone(),
        }
    }
}

/// A schedule's definition with the server's defaults.
fn full_spec(spec: &Value) -> Value {
    let mut full = spec.clone();
    let map = full.as_object_mut().unwrap();
    if map.contains_key("cron") {
        map.entry("day_or").or_insert(json!(true));
    }
    if map.contains_key("interval") {
        map.entry("anchor_date").or_insert(json!("2026-01-15T12:00:00Z"));
    }
    map.entry("timezone").or_insert(Value::Null);
    full
}

/// A deployment as the API answers, from what `server.json` says of it.
fn deployment(said: &Value) -> (Key, Value) {
    let (flow, name) = (said["flow"].as_str().unwrap(), said["name"].as_str().unwrap());
    let key = Key::deployment(flow, name);
    let mut answer: Value = serde_json::from_str(include_str!("../../cases/deployment.json")).unwrap();
    answer["id"] = json!(default_id(&key));
    answer["flow_id"] = json!(format!("flow-{flow}"));
    for (field, value) in said.as_object().unwrap().iter().filter(|(field, _)| *field != "flow") {
        answer[field] = value.clone();
    }
    for (n, schedule) in answer["schedules"].as_array_mut().unwrap().iter_mut().enumerate() {
        let mut full = json!({"id": format!("schedule-{}", n + 1), "active": true, "max_scheduled_runs": null,
            "max_active_runs": null, "catchup": false, "parameters": {}, "slug": null, "schedule": {}});
        for (field, value) in schedule.as_object().unwrap() {
            full[field] = value.clone();
        }
        full["schedule"] = full_spec(&full["schedule"]);
        *schedule = full;
    }
    (key, answer)
}

fn pool(said: &Value) -> (String, Value) {
    let string = json!({"type": "string"});
    let mut answer = json!({"type": "process", "base_job_template": {
        "job_configuration": {"command": "{{ command }}", "env": "{{ env }}", "image": "{{ image }}"},
        "variables": {"type": "object", "properties": {
            "command": string, "image": string, "cpu": {"type": "integer"},
            "env": {"type": "object", "additionalProperties": string},
            "labels": {"type": "object", "additionalProperties": string},
        }},
    }});
    for (field, value) in said.as_object().unwrap() {
        answer[field] = value.clone();
    }
    (said["name"].as_str().unwrap().to_owned(), answer)
}

fn default_id(key: &Key) -> String {
    format!("id of {key}")
}

/// Reads `ledger.json`: `{"owned": {"deployment hello/a": {"tags": ["x"], "schedules[daily]": true}}}`, each path with
/// the value that it had when it was last applied, `"sealed"` for a secret. An automation's path is empty.
pub fn ledger(file: &Value) -> Ledger {
    let mut ledger = Ledger { digest_key: DIGEST_KEY.to_vec(), generation: 1, ..Ledger::default() };
    ledger.commit = file["commit"].as_str().map(str::to_owned);
    for (key, declared) in file["owned"].as_object().into_iter().flatten() {
        let key: Key = key.parse().unwrap();
        let mut owned = Owned { id: default_id(&key), ..Owned::default() };
        for (path, value) in declared.as_object().unwrap() {
            match path.as_str() {
                "id" => owned.id = value.as_str().unwrap().to_owned(),
                path => {
                    let sealed = if value == "sealed" { "sealed:" } else { "" };
                    let digest = format!("{sealed}{}", keyed_digest(DIGEST_KEY, value));
                    std::sync::Arc::make_mut(&mut owned.declared).insert(path.parse().unwrap(), digest);
                }
            }
        }
        ledger.owned.insert(key, owned);
    }
    ledger
}

/// What an offline pass came to.
pub struct Offline {
    /// The files' texts, for diagnostics.
    pub texts: reconcile::report::diagnostics::Texts,
    /// What should be, what is, and what is to be done.
    pub decided: Decided,
    /// All of it, told.
    pub report: Report,
}

impl Offline {
    /// The problems and remarks.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.report.diagnostics
    }
}

/// Makes one pass. Without a world there is no API.
pub fn pass(request: &Request, world: Option<&World>, ledger: &Ledger) -> Offline {
    pass_over(request, world, ledger, read(request).expect("a directory that can be read"))
}

/// Makes one pass over a reading.
pub fn pass_over(request: &Request, world: Option<&World>, ledger: &Ledger, reading: Reading) -> Offline {
    let asked = match world {
        Some(world) => world.answers(request, &reading, ledger.clone()),
        None => Asked { ledger: ledger.clone(), ..nothing_asked(request, &reading) },
    };
    let texts = reading.texts.clone();
    let pass = Pass::from_parts(request, None, reading, asked, now());
    let (desired, diagnostics) = pass.desire(&builds::remembered(&pass));
    let decided = pass.compare(desired, world.map(World::observed).unwrap_or_default(), diagnostics);
    let mut report = pass.report(&decided, Default::default());
    report.seconds = 0.2;
    if world.is_some() {
        report.api = Some(ApiFacts { url: "http://127.0.0.1:4200/api".to_owned(), version: "3.8.8".to_owned() });
        report.requests = Requests { read: 6, write: 0 };
    }
    Offline { texts, decided, report }
}
