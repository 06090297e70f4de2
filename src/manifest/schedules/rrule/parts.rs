//! One recurrence rule: its `NAME=VALUE` parts and what they must not be together.

use jiff::civil::{Date, DateTime};

use crate::manifest::schedules::dates;
use crate::manifest::schedules::words::is_space;

/// The `DTSTART` of a rule.
pub type Start = Option<dates::Parsed>;

/// In dateutil's order.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub enum Freq {
    /// `YEARLY`
    Yearly,
    /// `MONTHLY`
    Monthly,
    /// `WEEKLY`
    Weekly,
    /// `DAILY`
    Daily,
    /// `HOURLY`
    Hourly,
    /// `MINUTELY`
    Minutely,
    /// `SECONDLY`
    Secondly,
}

/// What Prefect looks at in a single rule.
pub struct Rule {
    /// The unit.
    pub freq: Freq,
    /// Units from one occurrence to the next.
    pub interval: i128,
    /// Whether it ends after some number of occurrences.
    pub count: bool,
}

/// The parts of a rule as they come.
#[derive(Default)]
pub struct Parts {
    freq: Option<Freq>,
    interval: Option<i128>,
    count: bool,
    until: Option<dates::Parsed>,
    positions: Option<Vec<i128>>,
    hours: Option<Vec<i128>>,
    minutes: Option<Vec<i128>>,
    seconds: Option<Vec<i128>>,
}

impl Parts {
    /// Takes `NAME=VALUE`; missing parts of dates come from `today`.
    pub fn set(&mut self, name: &str, value: &str, today: Date) -> Result<(), String> {
        let invalid = || format!("`{value}` is not possible for {name}");
        match name {
            "FREQ" => self.freq = Some(freq(value).ok_or_else(invalid)?),
            "INTERVAL" => self.interval = Some(integer(value).ok_or_else(invalid)?),
            "COUNT" => self.count = integer(value).map(|_| true).ok_or_else(invalid)?,
            "UNTIL" => self.until = Some(dates::parse(value, today).ok_or_else(invalid)?),
            "WKST" => drop(weekday(value).ok_or_else(invalid)?),
            "BYDAY" | "BYWEEKDAY" => weekdays(value).ok_or_else(invalid)?,
            "BYSETPOS" => self.positions = Some(integers(value).ok_or_else(invalid)?),
            "BYHOUR" => self.hours = Some(integers(value).ok_or_else(invalid)?),
            "BYMINUTE" => self.minutes = Some(integers(value).ok_or_else(invalid)?),
            "BYSECOND" => self.seconds = Some(integers(value).ok_or_else(invalid)?),
            "BYMONTH" | "BYMONTHDAY" | "BYYEARDAY" | "BYEASTER" | "BYWEEKNO" => {
                drop(integers(value).ok_or_else(invalid)?);
            }
            _ => return Err(format!("`{name}` is not a part of a rule")),
        }
        Ok(())
    }

    /// The rule, counted from `start` or else from `now`.
    pub fn build(self, start: Start, now: DateTime) -> Result<Rule, String> {
        let freq = self.freq.ok_or("it has no FREQ")?;
        let interval = self.interval.unwrap_or(1);
        if let (Some(start), Some(until)) = (start, self.until)
            && start.aware != until.aware
        {
            return Err("UNTIL and DTSTART must both have a time zone, or neither".to_owned());
        }
        if self.positions.iter().flatten().any(|p| *p == 0 || p.abs() > 366) {
            return Err("BYSETPOS must be between 1 and 366 or between -366 and -1".to_owned());
        }
        let from = start.map_or(now, |start| start.local);
        let clock = [
            (Freq::Hourly, "BYHOUR", &self.hours, from.hour(), 24),
            (Freq::Minutely, "BYMINUTE", &self.minutes, from.minute(), 60),
            (Freq::Secondly, "BYSECOND", &self.seconds, from.second(), 60),
        ];
        for (own, name, values, start, base) in clock {
            let Some(values) = values else { continue };
            if freq == own && !values.iter().any(|value| is_reached(*value, start.into(), interval, base)) {
                return Err(format!("with that INTERVAL no value of {name} is ever reached"));
            }
            if freq < Freq::Hourly && values.iter().any(|value| !(0..base).contains(value)) {
                return Err(format!("{name} must be between 0 and {}", base - 1));
            }
        }
        Ok(Rule { freq, interval, count: self.count })
    }
}

/// Whether steps of `interval` from `start` ever meet `value` on a dial of `base`.
fn is_reached(value: i128, start: i128, interval: i128, base: i128) -> bool {
    let (mut a, mut b) = (interval.saturating_abs(), base);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    value.saturating_sub(start).rem_euclid(a) == 0
}

fn freq(text: &str) -> Option<Freq> {
    Some(match text {
        "YEARLY" => Freq::Yearly,
        "MONTHLY" => Freq::Monthly,
        "WEEKLY" => Freq::Weekly,
        "DAILY" => Freq::Daily,
        "HOURLY" => Freq::Hourly,
        "MINUTELY" => Freq::Minutely,
        "SECONDLY" => Freq::Secondly,
        _ => return None,
    })
}

/// Python's `int()` of a text; what does not fit saturates.
fn integer(text: &str) -> Option<i128> {
    let text = text.trim_matches(is_space);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let plain = digits.replace('_', "");
    let well_placed = !digits.starts_with('_') && !digits.ends_with('_') && !digits.contains("__");
    if !well_placed || plain.is_empty() || !plain.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Far from the edge, so that later sums and products stay in range.
    let value = plain.parse().unwrap_or(i128::MAX).min(i128::from(u64::MAX));
    Some(if text.starts_with('-') { -value } else { value })
}

fn integers(text: &str) -> Option<Vec<i128>> {
    text.split(',').map(integer).collect()
}

fn weekday(text: &str) -> Option<()> {
    matches!(text, "MO" | "TU" | "WE" | "TH" | "FR" | "SA" | "SU").then_some(())
}

/// `MO`, `+1MO`, `MO(+1)`, in a list.
fn weekdays(text: &str) -> Option<()> {
    text.split(',').try_for_each(|item| {
        let (day, number) = match item.split_once('(') {
            Some((day, rest)) => {
                let inside = rest.split('(').next().unwrap_or_default();
                let mut inside = inside.chars();
                inside.next_back();
                (day, Some(inside.as_str()))
            }
            None => {
                let day = item.trim_start_matches(['+', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
                let number = &item[..item.len() - day.len()];
                (day, Some(number).filter(|number| !number.is_empty()))
            }
        };
        weekday(day)?;
        match number.map(integer) {
            None => Some(()),
            Some(number) => number.filter(|n| *n != 0).map(drop),
        }
    })
}
