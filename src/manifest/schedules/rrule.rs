//! Recurrence rules: which texts Prefect accepts, and the `DTSTART` line it puts before them.
//!
//! Source of the rules: python-dateutil 2.9 `rrulestr` and the constructor of its `rrule`; `validate_rrule_string`
//! and `normalize_rrule_string` of Prefect 3.8.8 `prefect/_internal/schemas/validators.py`.

mod parts;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use self::parts::{Freq, Parts, Rule, Start};
use super::words::split_whitespace;
use super::{dates, timezone};

/// The longest rule that Prefect takes, in characters.
const MAX_LENGTH: usize = 6500;
/// The start of rules that name none.
const DEFAULT_START: DateTime = DateTime::constant(2020, 1, 1, 0, 0, 0, 0);

/// Checks a rule; the error is one sentence.
pub fn check(text: &str, now: Timestamp) -> Result<(), String> {
    let context = Context { now: TimeZone::UTC.to_datetime(now), start: None };
    context.parse(text).map_err(|why| format!("`{}` is not a recurrence rule: {why}", shortened(text)))?;
    let length = text.chars().count();
    if length > MAX_LENGTH {
        return Err(format!("the recurrence rule has {length} characters, more than {MAX_LENGTH}"));
    }
    Ok(())
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The rule as Prefect sends it: with a `DTSTART` line, unless it has one. Prefect checks it once more in that form.
///
/// Rules by the second or minute without a count start at the latest moment before `now` that keeps their phase, in
/// wall clock time of the schedule's zone; all others on 1 January 2020.
pub fn with_start(text: &str, zone: &str, now: Timestamp) -> Result<String, String> {
    if text.to_uppercase().contains("DTSTART") {
        return Ok(text.to_owned());
    }
    let context = Context { now: TimeZone::UTC.to_datetime(now), start: Some(DEFAULT_START) };
    let start = match context.parse(text) {
        // Prefect leaves alone what does not fit its own default start.
        Err(_) => return Ok(text.to_owned()),
        Ok(Some(rule)) => recent_start(&rule, zone, now)?,
        Ok(None) => DEFAULT_START,
    };
    Ok(format!("DTSTART:{}\n{text}", start.strftime("%Y%m%dT%H%M%S")))
}

fn recent_start(rule: &Rule, zone: &str, now: Timestamp) -> Result<DateTime, String> {
    let unit = match rule.freq {
        Freq::Secondly => 1,
        Freq::Minutely => 60,
        Freq::Yearly | Freq::Monthly | Freq::Weekly | Freq::Daily | Freq::Hourly => return Ok(DEFAULT_START),
    };
    if rule.count {
        return Ok(DEFAULT_START);
    }
    let zone = TimeZoneDatabase::bundled().get(zone).unwrap_or(TimeZone::UTC);
    let elapsed = zone.to_datetime(now).duration_since(DEFAULT_START).as_micros();
    if elapsed <= 0 {
        return Ok(DEFAULT_START);
    }
    let period = rule.interval.saturating_mul(unit * 1_000_000);
    if period == 0 {
        return Err("a rule by the second or minute cannot have INTERVAL=0".to_owned());
    }
    // Rounded down, like Python's `//`, also for a negative period.
    let (whole, rest) = (elapsed / period, elapsed % period);
    let periods = if rest != 0 && period < 0 { whole - 1 } else { whole };
    let passed = periods.saturating_mul(period) / 1_000_000;
    let too_far = || "the rule's INTERVAL is out of range".to_owned();
    let passed = i64::try_from(passed).map_err(|_| too_far())?;
    DEFAULT_START.checked_add(jiff::SignedDuration::from_secs(passed)).map_err(|_| too_far())
}

/// Whether the server's text is the declared one, with or without the line that [`with_start`] adds.
pub fn is_same(declared: &str, found: &str) -> bool {
    if declared == found {
        return true;
    }
    let Some((line, rest)) = found.split_once('\n') else { return false };
    let digits = line.strip_prefix("DTSTART:").unwrap_or_default();
    rest == declared && digits.len() == "20200101T000000".len() && !declared.to_uppercase().contains("DTSTART")
}

/// What a text is read against.
struct Context {
    /// The current wall clock time, for rules and dates that leave parts out.
    now: DateTime,
    /// The start of rules without `DTSTART`; else it is now.
    start: Option<DateTime>,
}

impl Context {
    /// A single rule, or `None` for a set of rules and dates.
    fn parse(&self, text: &str) -> Result<Option<Rule>, String> {
        let upper = text.to_uppercase();
        let lines = split_whitespace(&upper);
        let default = self.start.map(|local| dates::Parsed { local, aware: false });
        match lines.as_slice() {
            [] => Err("it is empty".to_owned()),
            [line] if !upper.contains(':') || upper.starts_with("RRULE:") => self.rule(line, default).map(Some),
            lines => self.lines(lines, &zone_names(text), default),
        }
    }

    fn lines(&self, lines: &[&str], zones: &[String], default: Start) -> Result<Option<Rule>, String> {
        let mut start = default;
        let (mut rules, mut set) = (Vec::new(), false);
        let mut excluded = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':').unwrap_or(("RRULE", line));
            let mut params = name.split(';');
            let name = params.next().unwrap_or_default();
            match name {
                "RRULE" | "EXRULE" => {
                    if let Some(param) = params.next() {
                        return Err(format!("{name} takes no parameter `{param}`"));
                    }
                    if name == "RRULE" { rules.push(value) } else { excluded.push(value) }
                }
                "RDATE" => {
                    if let Some(param) = params.find(|param| *param != "VALUE=DATE-TIME") {
                        return Err(format!("RDATE takes no parameter `{param}`"));
                    }
                    set = true;
                    for date in value.split(',') {
                        self.date(date)?;
                    }
                }
                "EXDATE" => {
                    set = true;
                    self.dates(value, params, zones)?;
                }
                "DTSTART" => {
                    let dates = self.dates(value, params, zones)?;
                    let [date] = dates.as_slice() else { return Err(format!("DTSTART has several values: {value}")) };
                    start = Some(*date);
                }
                other => return Err(format!("`{other}` is not a property of a rule")),
            }
        }
        let set = set || !excluded.is_empty() || rules.len() > 1;
        let mut single = None;
        for value in rules.iter().chain(&excluded) {
            single = Some(self.rule(value, start)?);
        }
        match single {
            _ if set => Ok(None),
            None => Err("it has no RRULE".to_owned()),
            single => Ok(single),
        }
    }

    fn date(&self, text: &str) -> Result<dates::Parsed, String> {
        dates::parse(text, self.now.date()).ok_or_else(|| format!("`{text}` is not a date"))
    }

    fn dates<'p>(
        &self,
        value: &str,
        params: impl Iterator<Item = &'p str>,
        zones: &[String],
    ) -> Result<Vec<dates::Parsed>, String> {
        let (mut zoned, mut value_seen) = (false, false);
        for param in params {
            if param.starts_with("TZID=") {
                let wanted = param.rsplit("TZID=").next().unwrap_or_default();
                // The names are looked up as written, not in capitals; the last one of a spelling counts.
                if let Some(name) = zones.iter().rev().find(|name| name.to_uppercase() == wanted) {
                    zoned = is_zone(name);
                }
            } else if !matches!(param, "VALUE=DATE-TIME" | "VALUE=DATE") || value_seen {
                return Err(format!("the parameter `{param}` is not possible here"));
            } else {
                value_seen = true;
            }
        }
        let mut all = Vec::new();
        for text in value.split(',') {
            let mut date = self.date(text)?;
            if zoned && date.aware {
                return Err(format!("`{text}` has a time zone besides TZID"));
            }
            date.aware |= zoned;
            all.push(date);
        }
        Ok(all)
    }

    fn rule(&self, line: &str, start: Start) -> Result<Rule, String> {
        let value = match line.split_once(':') {
            Some(("RRULE", value)) if !value.contains(':') => value,
            Some(_) => return Err("a `:` is only possible after RRULE".to_owned()),
            None => line,
        };
        let mut parts = Parts::default();
        for pair in value.split(';') {
            match pair.split_once('=') {
                Some((name, value)) if !value.contains('=') => parts.set(name, value, self.now.date())?,
                _ => return Err(format!("`{pair}` is not of the form NAME=VALUE")),
            }
        }
        parts.build(start, self.now)
    }
}

/// What follows `TZID=` up to a colon, as written.
fn zone_names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("TZID=") {
        match after.split_once(':') {
            Some((name, after_name)) if !name.is_empty() => {
                names.push(name.to_owned());
                rest = after_name;
            }
            _ => rest = after,
        }
    }
    names
}

/// Whether dateutil finds a zone of that name; besides the database it knows POSIX forms such as `EST5EDT4`.
fn is_zone(name: &str) -> bool {
    let posix = name.len() >= 4
        && name.bytes().take(3).all(|b| b.is_ascii_alphabetic())
        && name.bytes().any(|b| b.is_ascii_digit())
        && !name.contains('/');
    timezone::is_known(name, false) || matches!(name, "UTC" | "GMT") || posix
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T01:56:30Z".parse().expect("a time")
    }

    #[test]
    fn accepts_and_refuses_as_dateutil() {
        for good in [
            "FREQ=DAILY;BYHOUR=3",
            "RRULE:FREQ=WEEKLY;BYDAY=MO,WE(-1),+1FR",
            "DTSTART:20240101T000000\nRRULE:FREQ=DAILY",
            "DTSTART;TZID=Europe/Berlin:20240101T000000 RRULE:FREQ=DAILY;UNTIL=20250101T000000Z",
            "freq=daily",
            "RRULE:FREQ=DAILY EXDATE:20240102T000000,20240103T000000",
            "FREQ=DAILY;INTERVAL=0",
            "RDATE:20240101",
        ] {
            assert_eq!(check(good, now()), Ok(()), "{good}");
        }
        for (bad, part) in [
            ("", "empty"),
            ("FREQ=FORTNIGHTLY", "FORTNIGHTLY"),
            ("FREQ=DAILY;BYHOUR=24", "BYHOUR must be"),
            ("FREQ=DAILY;BYSETPOS=0", "BYSETPOS"),
            ("FREQ=DAILY;", "NAME=VALUE"),
            ("INTERVAL=2", "no FREQ"),
            ("DTSTART:20240101", "no RRULE"),
            ("DTSTART:20240101T000000\nRRULE:FREQ=DAILY;UNTIL=20250101T000000Z", "time zone"),
        ] {
            let message = check(bad, now()).expect_err(bad);
            assert!(message.contains(part), "{bad}: {message}");
        }
        assert!(check(&format!("FREQ=DAILY;BYMONTHDAY={}1", "1,".repeat(4000)), now()).is_err());
    }

    #[test]
    fn the_start_line_is_prefects() {
        let started = |text: &str, zone: &str| with_start(text, zone, now()).expect(text);
        assert_eq!(started("FREQ=DAILY;BYHOUR=3", "UTC"), "DTSTART:20200101T000000\nFREQ=DAILY;BYHOUR=3");
        assert_eq!(
            started("RRULE:FREQ=MINUTELY;INTERVAL=7", "UTC"),
            "DTSTART:20261121T015100\nRRULE:FREQ=MINUTELY;INTERVAL=7"
        );
        assert_eq!(started("dtstart:20200101 rrule:freq=daily", "UTC"), "dtstart:20200101 rrule:freq=daily");
        assert_eq!(started("FREQ=DAILY;UNTIL=20300101T000000Z", "UTC"), "FREQ=DAILY;UNTIL=20300101T000000Z");
        assert!(started("FREQ=SECONDLY", "America/New_York").starts_with("DTSTART:20261120T205630"));
        assert!(with_start("FREQ=MINUTELY;INTERVAL=0", "UTC", now()).is_err());
    }

    #[test]
    fn the_start_line_does_not_make_a_difference() {
        assert!(is_same("FREQ=DAILY", "DTSTART:20200101T000000\nFREQ=DAILY"));
        assert!(!is_same("FREQ=DAILY", "DTSTART:20200101T000000\nFREQ=WEEKLY"));
        assert!(is_same("DTSTART:20240101T000000\nFREQ=DAILY", "DTSTART:20240101T000000\nFREQ=DAILY"));
    }
}
