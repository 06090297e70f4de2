//! The schedules of one deployment, one by one and in place: matched by slug, else by definition.

use jiff::Timestamp;
use serde_json::Value;

use crate::manifest::schedules::{Schedule, Spec};
use crate::model::ledger::INTENDED;
use crate::model::plan::FieldChange;
use crate::model::{Map, Path, Tree};

use super::diff::{Sides, digest_of, sealed};
use super::want::{Declared, Deployment, ScheduleWrite};

/// What the schedules of one deployment come to.
#[derive(Debug, Default)]
pub struct Timetable {
    /// What differs.
    pub changes: Vec<FieldChange>,
    /// What is sent.
    pub writes: Vec<ScheduleWrite>,
}

/// What a wanted schedule is called in paths: its slug, else its definition.
pub fn label(schedule: &Schedule) -> String {
    if let Some(slug) = &schedule.slug {
        return slug.clone();
    }
    match &schedule.spec {
        Spec::Cron { cron, .. } => cron.clone(),
        Spec::Interval { length, .. } => every(length.as_secs_f64()),
        Spec::RRule { rrule, .. } => one_line(rrule),
        Spec::Pending(_) => "(known after build)".to_owned(),
    }
}

/// What a schedule of the API is called in paths.
pub(super) fn found_label(found: &Value) -> String {
    let spec = &found["schedule"];
    if let Some(slug) = found["slug"].as_str() {
        slug.to_owned()
    } else if let Some(cron) = spec["cron"].as_str() {
        cron.to_owned()
    } else if let Some(seconds) = spec["interval"].as_f64() {
        every(seconds)
    } else {
        let rule = spec["rrule"].as_str().unwrap_or("?");
        let body = rule.strip_prefix("DTSTART:").and_then(|rest| rest.split_once('\n')).map_or(rule, |(_, body)| body);
        one_line(body)
    }
}

fn every(seconds: f64) -> String {
    format!("every {seconds} s")
}

fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join(" ")
}

/// Compares the schedules of a deployment that exists. `adopting`: we have never applied it, so that its nameless
/// schedules come from whoever deployed it before, and are replaced as `prefect deploy` would.
pub fn diff(wanted: &Deployment, answer: &Value, sides: &Sides<'_>, adopting: bool, now: Timestamp) -> Timetable {
    if wanted.ignore_drift.contains("schedules") {
        return Timetable::default();
    }
    let found: Vec<&Value> = answer["schedules"].as_array().map(|all| all.iter().collect()).unwrap_or_default();
    let nothing = Vec::new();
    let declared = wanted.schedules.as_ref().unwrap_or(&nothing);
    let edited = were_edited(declared, &found, sides);
    let ours = |found: &Value| {
        let nameless = found["slug"].is_null();
        sides.strict
            || (edited && nameless)
            || sides.owned.contains_key(&path(&found_label(found)))
            || (adopting && nameless && !declared.is_empty())
    };
    let mut matching = Matching { found, taken: Vec::new() };
    let mut pairs: Vec<(&Schedule, Option<&Value>)> = Vec::new();
    for schedule in declared {
        pairs.push((schedule, matching.by_name(schedule).or_else(|| matching.by_definition(schedule))));
    }
    // What is left on both sides is one schedule that changed, as far as it is ours to change.
    for (schedule, partner) in pairs.iter_mut().filter(|(_, partner)| partner.is_none()) {
        *partner = matching.leftover(schedule, &ours);
    }
    let mut out = Timetable::default();
    for (schedule, partner) in pairs {
        match partner {
            Some(found) => update(schedule, found, sides, now, &mut out),
            None => add(schedule, now, &mut out),
        }
    }
    for found in matching.rest().filter(|found| ours(found)) {
        delete(found, sides, &mut out);
    }
    out
}

/// Whether the nameless schedules that nobody declared are ours, edited by hand: a schedule without a slug is known by
/// its definition, so that an edit makes a stranger of it. As many strangers as we miss are the ones that we miss.
fn were_edited(declared: &[Schedule], found: &[&Value], sides: &Sides<'_>) -> bool {
    let labels: Vec<Path> = found.iter().map(|found| path(&found_label(found))).collect();
    let slugs: Vec<Path> = declared.iter().filter_map(|wanted| wanted.slug.as_deref().map(path)).collect();
    let all = Path::of("schedules");
    // What was only about to be made may never have been there: nobody misses it.
    let applied = sides.owned.iter().filter(|(_, digest)| *digest != INTENDED).map(|(owned, _)| owned);
    let missing = applied.filter(|owned| {
        owned.starts_with(&all) && owned.0.len() == 2 && !labels.contains(owned) && !slugs.contains(owned)
    });
    let is_stranger = |found: &&&Value| {
        found["slug"].is_null()
            && !sides.owned.contains_key(&path(&found_label(found)))
            && !declared.iter().any(|wanted| wanted.slug.is_none() && wanted.same_definition(found))
    };
    let strangers = found.iter().filter(is_stranger).count();
    strangers > 0 && strangers == missing.count()
}

pub(super) fn path(label: &str) -> Path {
    Path::of("schedules").item(label)
}

/// Which schedules of the API have found their partner.
struct Matching<'a> {
    found: Vec<&'a Value>,
    taken: Vec<usize>,
}

impl<'a> Matching<'a> {
    fn take(&mut self, test: impl Fn(&Value) -> bool) -> Option<&'a Value> {
        let at = (0..self.found.len()).find(|i| !self.taken.contains(i) && test(self.found[*i]))?;
        self.taken.push(at);
        Some(self.found[at])
    }

    fn by_name(&mut self, schedule: &Schedule) -> Option<&'a Value> {
        let slug = schedule.slug.as_deref()?;
        self.take(|found| found["slug"] == slug)
            .or_else(|| schedule.replaces.as_deref().and_then(|old| self.take(|found| found["slug"] == old)))
    }

    fn by_definition(&mut self, schedule: &Schedule) -> Option<&'a Value> {
        self.take(|found| found["slug"].is_null() && schedule.same_definition(found))
    }

    fn leftover(&mut self, schedule: &Schedule, ours: &impl Fn(&Value) -> bool) -> Option<&'a Value> {
        // A schedule with a name never takes over one with another name.
        let nameless = schedule.slug.is_none();
        self.take(|found| found["slug"].is_null() && nameless && ours(found))
    }

    fn rest(self) -> impl Iterator<Item = &'a Value> {
        let taken = self.taken;
        self.found.into_iter().enumerate().filter(move |(i, _)| !taken.contains(i)).map(|(_, found)| found)
    }
}

/// A new schedule as it is sent. The slug that it had before says nothing then, and servers before 3.6.20 refuse a
/// body that holds it.
pub fn new_body(schedule: &Schedule, now: Timestamp) -> Tree {
    let mut body = schedule.create_body(now);
    if let Tree::Map(body) = &mut body {
        body.shift_remove("replaces");
    }
    body
}

fn add(schedule: &Schedule, now: Timestamp, out: &mut Timetable) {
    let body = new_body(schedule, now);
    out.changes.push(FieldChange {
        path: path(&label(schedule)),
        before: None,
        after: Some(schedule.set_fields(Timestamp::UNIX_EPOCH)),
    });
    out.writes.push(ScheduleWrite::Add(body));
}

fn update(schedule: &Schedule, found: &Value, sides: &Sides<'_>, now: Timestamp, out: &mut Timetable) {
    let differences = schedule.differences(found);
    if differences.is_empty() {
        return;
    }
    let at = path(&found_label(found));
    let redefined = differences.iter().any(|(path, _, _)| path.starts_with(&Path::of("schedule")));
    for (below, before, after) in differences {
        // `schedules[daily].cron` says all that `schedules[daily].schedule.cron` would.
        let below =
            if below.0.len() > 1 && below.starts_with(&Path::of("schedule")) { &below.0[1..] } else { &below.0 };
        let path = Path(at.0.iter().chain(below).cloned().collect());
        let before = before.map(|before| match after.as_ref().is_some_and(Tree::has_secret) {
            true => sealed(&before),
            false => sides.shown(&at, before, None),
        });
        out.changes.push(FieldChange { path, before, after });
    }
    let kept = sides.shown(&at, Tree::from(&found["parameters"]), None);
    let id = found["id"].as_str().unwrap_or_default().to_owned();
    out.writes.push(ScheduleWrite::Update { id, body: body(schedule, found, kept, redefined, now) });
}

/// The server resets the parameters of a schedule that it is sent without them, and keeps all else that is left out.
fn body(schedule: &Schedule, found: &Value, parameters: Tree, redefined: bool, now: Timestamp) -> Tree {
    let Tree::Map(mut body) = schedule.set_fields(now) else { return Tree::Map(Map::new()) };
    body.shift_remove("replaces");
    body.entry("parameters".to_owned()).or_insert(parameters);
    if !redefined {
        body.shift_remove("schedule");
    } else if let Some(Tree::Map(spec)) = body.get_mut("schedule")
        && spec.contains_key("interval")
        && !spec.contains_key("anchor_date")
        && found["schedule"]["anchor_date"].is_string()
    {
        // An anchor that nobody declared stays, so that the phase of the interval does not move with every change.
        spec.insert("anchor_date".to_owned(), Tree::from(&found["schedule"]["anchor_date"]));
    }
    Tree::Map(body)
}

fn delete(found: &Value, sides: &Sides<'_>, out: &mut Timetable) {
    let id = found["id"].as_str().unwrap_or_default().to_owned();
    let path = path(&found_label(found));
    let before = sides.shown(&path, Tree::from(&found["schedule"]), None);
    out.changes.push(FieldChange { path, before: Some(before), after: None });
    out.writes.push(ScheduleWrite::Delete { id });
}

/// The declared schedules, for the ledger.
pub fn declared(wanted: &Deployment, digest_key: &[u8]) -> Declared {
    wanted.schedules.iter().flatten().map(|schedule| recorded(schedule, digest_key)).collect()
}

/// What the ledger says of one schedule.
pub(super) fn recorded(schedule: &Schedule, digest_key: &[u8]) -> (Path, String) {
    let digest = digest_of(&schedule.set_fields(Timestamp::UNIX_EPOCH), digest_key).unwrap_or_default();
    (path(&label(schedule)), digest)
}
