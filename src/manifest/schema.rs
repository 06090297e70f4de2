//! JSON Schemas of the files that people write, for editors: stricter than the readers, since a key that is unknown is
//! an error here. The key tables are those of the readers; a test holds the two together.

use serde_json::{Value, json};

use super::limits::STRATEGIES;
use super::prefect_yaml::VERSION_TYPES;
use super::project::DEFAULT_INCLUDE;

pub use super::resources::schema::resources;

/// The dialect of all of them.
pub const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Somewhere in the text, a template.
const TEMPLATE: &str = r"\{\{.*\}\}";

/// What every schema begins with.
pub fn head(file: &str, title: &str, description: &str) -> Value {
    json!({
        "$schema": DIALECT,
        "$id": format!("urn:reconcile:{file}"),
        "title": title,
        "description": description,
    })
}

pub(super) fn told(mut schema: Value, description: &str) -> Value {
    schema["description"] = json!(description);
    schema
}

pub(super) fn object(properties: Value) -> Value {
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

pub(super) fn texts() -> Value {
    json!({ "type": "array", "items": { "type": "string" } })
}

pub(super) fn or_null(mut schema: Value) -> Value {
    let kind = schema["type"].take();
    schema["type"] = json!([kind, "null"]);
    schema
}

pub(super) fn template() -> Value {
    json!({ "type": "string", "pattern": TEMPLATE })
}

/// What a file says, or a template that comes to it.
fn or_template(schema: Value) -> Value {
    json!({ "anyOf": [schema, template()] })
}

/// The schema of `prefect.yaml`.
pub fn prefect() -> Value {
    let mut schema = head(
        "prefect.schema.json",
        "prefect.yaml",
        "Deployments of Prefect 3, as `prefect deploy` and `reconcile` read them.",
    );
    schema["type"] = json!("object");
    schema["properties"] = json!({
        "prefect-version": told(or_null(text()), "The version of Prefect that the file was written for. Means nothing to a deploy."),
        "prefect_version": told(or_null(text()), "The same in another spelling."),
        "name": told(or_null(text()), "The project's name. Means nothing to a deploy."),
        "description": told(json!({}), "Words. Mean nothing to a deploy."),
        "required_inputs": told(json!({}), "Of recipes. Means nothing to a deploy."),
        "definitions": told(json!({}), "A place for YAML anchors."),
        "build": told(reference("steps"), "Steps that run when deploying, before the push steps; of every deployment that has none of its own."),
        "push": told(reference("steps"), "Steps that run when deploying, after the build steps."),
        "pull": told(reference("steps"), "Steps that a worker runs before each run, to get the flow's code."),
        "deployments": { "type": "array", "items": reference("deployment"), "description": "The deployments." },
    });
    schema["additionalProperties"] = json!(false);
    schema["$defs"] = json!({
        "deployment": deployment(),
        "work_pool": work_pool(),
        "concurrency_limit": concurrency_limit(),
        "schedule": schedule(),
        "trigger": trigger(true),
        "inner_trigger": trigger(false),
        "labels": labels(),
        "sla": sla(),
        "steps": steps(),
        "step": step(),
        "lifecycle": lifecycle(),
    });
    schema
}

pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn deployment() -> Value {
    let mut schema = object(json!({
        "name": told(text(), "Its name. With the flow's name it names the deployment; another name is another deployment."),
        "version": told(or_null(text()), "Its version. Without one: that of the commit, else that of the flow."),
        "version_type": told(
            json!({ "anyOf": [{ "enum": VERSION_TYPES }, { "type": "null" }, template()] }),
            "Where the version comes from.",
        ),
        "tags": told(
            or_template(json!({ "type": "array", "items": { "type": ["string", "number", "boolean"], "minLength": 1 } })),
            "Its tags, also those of its runs.",
        ),
        "description": told(or_null(text()), "What people read. Without one: the flow's docstring."),
        "schedule": {
            "anyOf": [reference("schedule"), { "type": "null" }, { "type": "object", "maxProperties": 0 }],
            "description": "One schedule; the old spelling of `schedules`.",
            "deprecated": true,
        },
        "schedules": {
            "type": ["array", "null"], "items": reference("schedule"),
            "description": "When runs are due. `[]` for never; without the key, schedules are left as they are.",
        },
        "paused": told(or_null(json!({ "type": "boolean" })), "Whether its schedules are at rest. Without the key it is left as it is."),
        "concurrency_limit": told(reference("concurrency_limit"), "How many of its runs may be under way at once."),
        "flow_name": told(or_null(text()), "Means nothing to a deploy with an entrypoint."),
        "entrypoint": told(or_null(text()), "Where the flow is: `path/to/file.py:function`, from this file's directory."),
        "parameters": { "type": "object", "description": "Parameters of its runs." },
        "enforce_parameter_schema": told(
            or_null(json!({ "type": "boolean" })),
            "Whether runs whose parameters do not fit the flow are refused; true by default.",
        ),
        "work_pool": told(reference("work_pool"), "Where its runs are submitted to."),
        "triggers": {
            "type": ["array", "null"], "items": reference("trigger"),
            "description": "Events that start a run; each becomes an automation.",
        },
        "sla": {
            "anyOf": [
                { "type": "array", "items": { "anyOf": [reference("sla"), template()] } }, reference("sla"), { "type": "null" },
            ],
            "description": "Service level agreements. Prefect Cloud only.",
        },
        "build": told(reference("steps"), "Its own build steps. `[]` for none."),
        "push": told(reference("steps"), "Its own push steps. `[]` for none."),
        "pull": told(reference("steps"), "Its own pull steps. `[]` for none."),
        "lifecycle": told(reference("lifecycle"), "How reconcile treats it. Prefect ignores this key."),
    }));
    schema["required"] = json!(["name"]);
    schema
}

fn work_pool() -> Value {
    object(json!({
        "name": told(or_null(text()), "The pool. Without one: PREFECT_DEFAULT_WORK_POOL_NAME."),
        "work_queue_name": told(or_null(text()), "A queue of the pool; made if there is none."),
        "job_variables": { "type": "object", "description": "What differs from the pool's base job template." },
    }))
}

fn concurrency_limit() -> Value {
    let number = json!({ "type": "integer", "minimum": 1 });
    let mut full = object(json!({
        "limit": told(json!({ "type": ["integer", "null"], "minimum": 1 }), "How many."),
        "collision_strategy": {
            "anyOf": [{ "enum": STRATEGIES }, template()],
            "description": "What happens to a run over the limit: it waits, or it is cancelled.",
        },
        "grace_period_seconds": {
            "type": ["integer", "null"], "minimum": 60, "maximum": 86_400,
            "description": "How long a run may take to start before its place is given away.",
        },
    }));
    full["required"] = json!(["collision_strategy"]);
    json!({ "anyOf": [number, full, { "type": "null" }] })
}

fn schedule() -> Value {
    let mut schema = object(json!({
        "cron": told(or_null(text()), "A cron expression, such as `0 9 * * 1-5`."),
        "interval": told(
            json!({ "type": ["number", "string", "null"], "exclusiveMinimum": 0 }),
            "The distance between runs: seconds, `HH:MM:SS`, or ISO 8601 such as `PT1H`.",
        ),
        "rrule": told(or_null(text()), "An RRULE of RFC 5545, such as `FREQ=DAILY;BYHOUR=9`."),
        "timezone": told(or_null(text()), "Where its hours are hours, such as `Europe/Paris`; UTC by default."),
        "anchor_date": told(or_null(text()), "The point in time that an interval is counted from. Quote it."),
        "active": told(json!({ "anyOf": [{ "type": ["boolean", "null"] }, template()] }), "Whether it is active; true by default."),
        "parameters": told(json!({ "type": ["object", "null"] }), "Parameters of its runs, over those of the deployment."),
        "slug": told(or_null(text()), "Its name within the deployment; schedules with a name are changed in place."),
        "replaces": told(or_null(text()), "The slug that it had before."),
        "day_or": told(
            json!({ "anyOf": [{ "type": ["boolean", "null"] }, template()] }),
            "Whether day of month and day of week of a cron expression are alternatives; true by default.",
        ),
    }));
    let only = |key: &str| json!({ "required": [key], "properties": { key: { "not": { "type": "null" } } } });
    schema["oneOf"] = json!([only("cron"), only("interval"), only("rrule")]);
    schema
}

pub(super) fn trigger(outer: bool) -> Value {
    let seconds = || json!({ "type": ["number", "string"] });
    let mut properties = json!({
        "type": told(
            json!({ "anyOf": [{ "enum": ["event", "metric", "compound", "sequence"] }, template()] }),
            "Which form it is; usually told by its other keys.",
        ),
        "match": told(reference("labels"), "Labels of the resource that an event is about."),
        "match_related": {
            "anyOf": [reference("labels"), { "type": "array", "items": reference("labels") }],
            "description": "Labels of resources related to the event.",
        },
        "after": told(or_template(texts()), "Events that must have been seen first."),
        "expect": told(or_template(texts()), "Events that it waits for; `*` at the end matches any."),
        "for_each": told(or_template(texts()), "Labels for whose values it is counted separately."),
        "posture": told(
            json!({ "anyOf": [{ "enum": ["Reactive", "Proactive", "Metric"] }, template()] }),
            "Whether the presence or the absence of events counts, or a metric.",
        ),
        "threshold": told(json!({ "anyOf": [{ "type": "integer" }, template()] }), "How many events."),
        "within": told(json!({ "type": ["number", "string", "null"] }), "Within which time, in seconds or ISO 8601."),
        "metric": told(json!({ "type": "object" }), "The metric and its limit. Prefect Cloud only."),
        "triggers": {
            "type": "array", "items": reference("inner_trigger"),
            "description": "Inner triggers, of which all, any or some must fire.",
        },
        "require": {
            "anyOf": [{ "enum": ["any", "all"] }, { "type": "integer", "minimum": 1 }, template()],
            "description": "How many of the inner triggers must fire; without it they form a sequence.",
        },
    });
    if outer {
        properties["name"] = told(or_null(text()), "The automation's name.");
        properties["description"] = told(text(), "What people read of the automation.");
        properties["enabled"] =
            told(json!({ "anyOf": [{ "type": "boolean" }, template()] }), "Whether it is at work; true by default.");
        properties["parameters"] = told(
            json!({ "type": ["object", "null"] }),
            "Parameters of the run; may hold Jinja such as `{{ event.id }}`.",
        );
        properties["job_variables"] = told(json!({ "type": ["object", "null"] }), "Job variables of the run.");
        properties["schedule_after"] = told(seconds(), "How long after the trigger the run starts.");
    } else {
        properties["id"] = told(text(), "Its id.");
    }
    object(properties)
}

pub(super) fn labels() -> Value {
    or_template(json!({
        "type": "object",
        "additionalProperties": { "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] },
    }))
}

fn sla() -> Value {
    object(json!({
        "name": told(text(), "Its name."),
        "severity": told(text(), "minor, low, moderate, high or critical."),
        "enabled": told(json!({ "anyOf": [{ "type": ["boolean", "null"] }, template()] }), "Whether it counts."),
        "duration": told(json!({ "type": ["number", "string"] }), "How many seconds a run may take."),
        "within": told(json!({ "type": ["number", "string"] }), "Within how many seconds runs must follow each other."),
        "stale_after": told(json!({ "type": ["number", "string"] }), "After how many seconds without a run it is violated."),
    }))
}

fn steps() -> Value {
    json!({
        "anyOf": [
            { "type": "array", "items": reference("step") },
            reference("step"),
            { "type": "null" },
        ],
    })
}

fn step() -> Value {
    json!({
        "type": "object",
        "maxProperties": 1,
        "description": "One step: its dotted name, and its inputs below it. `requires` among them names a package, `id` \
                        makes its outputs `{{ id.output }}`.",
        "additionalProperties": { "type": ["object", "null"] },
    })
}

pub(super) fn lifecycle() -> Value {
    object(json!({
        "prune": told(json!({ "type": "boolean" }), "false: it is never deleted when it leaves git."),
        "ignore_drift": told(texts(), "Fields whose drift is nobody's business, such as `paused`."),
        "adopt": told(json!({ "type": "boolean" }), "Whether it is taken over when it exists already."),
        "replaces": told(text(), "The name that it had before."),
    }))
}

/// The schema of `reconcile.yaml`.
pub fn project() -> Value {
    let mut schema = head(
        "project.schema.json",
        "reconcile.yaml",
        "Settings of one repository (or one directory of it) that reconcile keeps a Prefect API equal to.",
    );
    let flag = |description: &str| told(json!({ "type": "boolean" }), description);
    let env = json!({ "type": "array", "items": { "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" } });
    schema["type"] = json!(["object", "null"]);
    schema["properties"] = json!({
        "name": told(json!({ "type": "string", "minLength": 1 }), "The scope: the name under which objects on the API are owned."),
        "include": { "type": "array", "items": { "type": "string" }, "default": DEFAULT_INCLUDE, "description": "Patterns of the files to read." },
        "exclude": told(texts(), "Patterns of files and directories to leave out."),
        "prune": flag("Whether what left git is deleted; only what this scope owns."),
        "max_delete": {
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": r"^\s*(100|[1-9]?[0-9])\s*%\s*$" },
                { "type": "string", "pattern": r"^\s*[0-9]+\s*$" },
            ],
            "description": "How many deletions happen unasked: a number of objects, or a share such as 25%.",
        },
        "environments": {
            "type": ["object", "null"],
            "additionalProperties": { "anyOf": [environment(), { "type": "null" }] },
            "description": "What differs per environment: `reconcile --env NAME`.",
        },
        "ignore_drift": {
            "type": "array",
            "items": { "anyOf": [
                { "type": "string", "pattern": "^[a-z_]+/.+:.+$" },
                { "type": "object", "additionalProperties": { "anyOf": [text(), texts()] } },
            ] },
            "description": "Differences that nobody wants to hear of: `deployment/*/*: paused`.",
        },
        "strict": flag("Whether every field is owned, declared or not."),
        "ledger": flag("Whether a ledger is kept on the API; without it nothing is pruned or reset."),
        "events": flag("Whether a pass that changed something is an event on the API, for automations."),
        "python": told(text(), "The interpreter that is asked about flows and foreign steps: a path, or a name on PATH."),
        "step_env": told(env.clone(), "Environment variables that build steps and the Python helper may see."),
        "show_env": told(env, "Environment variables whose values may be shown in plans."),
        "secret_dirs": told(texts(), "Directories outside the repository that secrets may be read from."),
        "root_relative": told(texts(), "Patterns of the prefect.yaml files whose relative paths start at the root."),
        "default_pull": { "enum": ["directory", "git"], "description": "The pull step of a deployment that has none." },
        "build_cache": { "enum": ["changed", "always", "never"], "description": "When build steps run again." },
        "vars": told(json!({ "type": ["object", "null"] }), "What `{{ vars.x }}` stands for in every file."),
        "drift_interval": {
            "type": ["string", "integer"],
            "minimum": 0,
            "description": "How long a pass may rest on an earlier full comparison while nothing moves on the API: `10m`, or seconds.",
        },
    });
    schema["additionalProperties"] = json!(false);
    schema
}

fn environment() -> Value {
    let mut api = object(json!({
        "url": { "type": "string", "pattern": "^https?://", "description": "The URL, up to and with `/api`." },
        "profile": told(text(), "A profile of `profiles.toml`."),
    }));
    api["not"] = json!({ "required": ["url", "profile"] });
    object(json!({
        "api": told(api, "Which API it is."),
        "vars": told(json!({ "type": ["object", "null"] }), "Values over those of the project."),
        "overlays": told(texts(), "Patterns of further files that are laid over the others."),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::prefect_yaml::{DECLARATION_KEYS, LIFECYCLE_KEYS, QUIET_ROOT_KEYS, ROOT_KEYS, WORK_POOL_KEYS};
    use crate::manifest::project::reader as project_reader;
    use crate::manifest::{limits, schedules::check, slas, triggers};

    fn keys(schema: &Value, path: &str) -> Vec<String> {
        let properties = schema.pointer(path).unwrap_or_else(|| panic!("{path}"))["properties"].as_object();
        let mut keys: Vec<String> = properties.expect("a mapping").keys().cloned().collect();
        keys.sort();
        keys
    }

    fn sorted<'a>(tables: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let mut all: Vec<String> = tables.into_iter().map(str::to_owned).collect();
        all.sort();
        all
    }

    #[test]
    fn the_schemas_know_the_keys_that_the_readers_know() {
        let prefect = prefect();
        assert_eq!(keys(&prefect, ""), sorted(ROOT_KEYS.into_iter().chain(QUIET_ROOT_KEYS)));
        assert_eq!(keys(&prefect, "/$defs/deployment"), sorted(DECLARATION_KEYS.into_iter().chain(["lifecycle"])));
        assert_eq!(keys(&prefect, "/$defs/work_pool"), sorted(WORK_POOL_KEYS));
        assert_eq!(keys(&prefect, "/$defs/lifecycle"), sorted(LIFECYCLE_KEYS));
        assert_eq!(keys(&prefect, "/$defs/schedule"), sorted(check::KEYS));
        assert_eq!(keys(&prefect, "/$defs/sla"), sorted(slas::KEYS));
        assert_eq!(keys(&prefect, "/$defs/concurrency_limit/anyOf/1"), sorted(limits::KEYS));
        let inner = triggers::read::ALL_KEYS.into_iter().chain(["type"]);
        assert_eq!(keys(&prefect, "/$defs/trigger"), sorted(inner.chain(triggers::OUTER_KEYS)));
        let project = project();
        assert_eq!(keys(&project, ""), sorted(project_reader::KEYS));
        let environment = "/properties/environments/additionalProperties/anyOf/0";
        assert_eq!(keys(&project, environment), sorted(project_reader::ENVIRONMENT_KEYS));
        assert_eq!(keys(&project, &format!("{environment}/properties/api")), sorted(project_reader::API_KEYS));
    }
}
