//! Which cron expressions Prefect accepts: the syntax check of its vendored croniter, without the iteration.
//!
//! Source of the rules: Prefect 3.8.8 `prefect/_vendor/croniter/croniter.py` and `validate_cron_string` in
//! `prefect/_internal/schemas/validators.py`. The text itself is stored as written.

use std::collections::BTreeSet;

use super::words::split_whitespace;

/// Lowest and highest value of each field; the sixth is seconds, the seventh years.
const RANGES: [(u64, u64); 7] = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6), (0, 59), (1970, 2099)];
const NAMES: [&str; 7] = ["minute", "hour", "day of month", "month", "day of week", "second", "year"];
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const DAY: usize = 2;
const MONTH: usize = 3;
const WEEKDAY: usize = 4;

/// Checks an expression; the error is one sentence that names the part at fault.
pub fn check(expression: &str) -> Result<(), String> {
    let lower = expression.to_lowercase();
    let fields = match alias(&lower) {
        Some(fields) => split_whitespace(fields),
        None => split_whitespace(&lower),
    };
    if !(5..=7).contains(&fields.len()) {
        return Err(wrong_count(expression, fields.len()));
    }
    check_fields(expression, &fields)?;
    if fields.iter().any(|field| *field == "r" || *field == "h") {
        return Err(format!("`{expression}` uses `R` or `H`, which Prefect does not support"));
    }
    Ok(())
}

fn alias(lower: &str) -> Option<&'static str> {
    Some(match lower {
        "@midnight" | "@daily" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        "@weekly" => "0 0 * * 0",
        "@monthly" => "0 0 1 * *",
        "@yearly" | "@annually" => "0 0 1 1 *",
        _ => return None,
    })
}

fn wrong_count(expression: &str, count: usize) -> String {
    if expression.starts_with('@') {
        return format!(
            "`{expression}` is not a known shorthand; known are @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually"
        );
    }
    let noun = if count == 1 { "field" } else { "fields" };
    format!("the cron expression `{expression}` has {count} {noun}, not 5 (or 6, the last one being seconds)")
}

/// What one field selects, as far as the last check needs it.
#[derive(Default)]
struct Selected {
    values: BTreeSet<u64>,
    star: bool,
    last_day: bool,
    /// Weekdays given with `#n` or `Ln`.
    nth: BTreeSet<u64>,
}

impl Selected {
    fn len(&self) -> usize {
        self.values.len() + usize::from(self.star) + usize::from(self.last_day)
    }
}

fn check_fields(expression: &str, fields: &[&str]) -> Result<(), String> {
    let mut weekdays = Selected::default();
    for (index, field) in fields.iter().enumerate() {
        for written in unrandom(index, field)? {
            let selected = select(index, &written, fields.len())?;
            if index == WEEKDAY {
                weekdays = selected;
            }
        }
    }
    check_mixture(expression, fields, weekdays)
}

/// `2#1` and plain weekdays cannot stand together, unless together they are the whole week.
fn check_mixture(expression: &str, fields: &[&str], weekdays: Selected) -> Result<(), String> {
    if weekdays.nth.is_empty() {
        return Ok(());
    }
    let whole_week = weekdays.len() == 7;
    let becomes_star = whole_week && fields[DAY].contains('*');
    let plain = weekdays.values.difference(&weekdays.nth).next().is_some();
    if plain && !whole_week && !becomes_star {
        return Err(format!("`{expression}` mixes plain weekdays with `#` or `L` weekdays"));
    }
    Ok(())
}

/// The plain spellings that a random field (`r`, `r(1-5)`, `r/10`) may turn into: its two extremes.
fn unrandom(index: usize, field: &str) -> Result<Vec<String>, String> {
    let Some(random) = Random::parse(field) else { return Ok(vec![field.to_owned()]) };
    if random.hashed {
        return Err(format!("`{field}` uses `H`, which Prefect does not support"));
    }
    let (low, high) = random.range.unwrap_or(RANGES[index]);
    if random.range.is_some() && low >= high {
        return Err(format!("the range of `{field}` ends before it begins"));
    }
    Ok(match random.divisor {
        Some(0) => return Err(format!("`{field}` divides by 0")),
        Some(step) => vec![
            format!("{low}-{high}/{step}"),
            format!("{}-{high}/{step}", low.saturating_add(step).saturating_sub(1)),
        ],
        None => vec![low.to_string(), high.to_string()],
    })
}

/// `h` or `r`, optionally with a range in parentheses and a divisor after a slash.
struct Random {
    hashed: bool,
    range: Option<(u64, u64)>,
    divisor: Option<u64>,
}

impl Random {
    fn parse(field: &str) -> Option<Random> {
        let hashed = field.starts_with('h');
        let mut rest = field.strip_prefix(['h', 'r'])?;
        let mut range = None;
        if let Some(inner) = rest.strip_prefix('(') {
            let (inside, after) = inner.split_once(')')?;
            let (low, high) = inside.split_once('-')?;
            range = Some((number(low)?, number(high)?));
            rest = after;
        }
        let divisor = match rest.strip_prefix('/') {
            Some(digits) => Some(number(digits)?),
            None if rest.is_empty() => None,
            None => return None,
        };
        Some(Random { hashed, range, divisor })
    }
}

/// Reads one field: a list of values, ranges, steps and, for days, the special forms.
fn select(index: usize, field: &str, count: usize) -> Result<Selected, String> {
    let mut selected = Selected::default();
    if field.contains('?') {
        if field != "?" {
            return Err(format!("`?` cannot stand with other characters, as in `{field}`"));
        }
        if index != DAY && index != WEEKDAY {
            return Err(format!("`?` is only allowed for day of month and day of week, not for {}", NAMES[index]));
        }
        selected.star = true;
        return Ok(selected);
    }
    for part in field.split(',') {
        select_part(index, part, count, &mut selected)?;
    }
    Ok(selected)
}

fn select_part(index: usize, part: &str, count: usize, selected: &mut Selected) -> Result<(), String> {
    let (text, nth) = match index {
        WEEKDAY => special_weekday(part)?,
        _ => (part, Nth::None),
    };
    let (low_bound, high_bound) = RANGES[index];
    let spelled = match text.strip_prefix("*/") {
        Some(step) if !step.is_empty() => format!("{low_bound}-{high_bound}/{step}"),
        _ => text.to_owned(),
    };
    if let Some(range) = Range::parse(&spelled) {
        return select_range(index, &range, count, nth, selected);
    }
    let spelled = match text.rsplit_once('/') {
        Some((start, step)) if !start.is_empty() && !step.is_empty() => format!("{start}-{high_bound}/{step}"),
        _ => text.to_owned(),
    };
    if let Some(range) = Range::parse(&spelled) {
        return select_range(index, &range, count, nth, selected);
    }
    select_one(index, &spelled, text, count, nth, selected)
}

/// `start-end` with an optional `/step`, each part still as text.
struct Range<'a> {
    low: &'a str,
    high: &'a str,
    step: u64,
}

impl Range<'_> {
    fn parse(text: &str) -> Option<Range<'_>> {
        let (low, rest) = text.split_once('-')?;
        let (high, step) = match rest.split_once('/') {
            Some((high, digits)) => (high, number(digits)?),
            None => (rest, 1),
        };
        let fits = !low.is_empty() && !high.is_empty() && !high.contains('-');
        fits.then_some(Range { low, high, step })
    }
}

fn select_range(
    index: usize,
    range: &Range<'_>,
    count: usize,
    nth: Nth,
    selected: &mut Selected,
) -> Result<(), String> {
    let high = if index == DAY && range.high == "l" { "31" } else { range.high };
    let low = alias_value(index, bound(index, range.low)?, count);
    let high = alias_value(index, bound(index, high)?, count);
    let (bottom, top) = RANGES[index];
    if low.max(high) > top {
        return Err(out_of_range(index, &format!("{}-{}", range.low, range.high)));
    }
    if range.step == 0 {
        return Err(format!("a step of 0 in the {} field", NAMES[index]));
    }
    let all: Vec<u64> = if low > high {
        wrapped(low, high, bottom, top, range.step)
    } else if low == high {
        steps(bottom, top, range.step)
    } else {
        steps(low, high, range.step)
    };
    for value in all {
        // Values of a range are read again one by one, so that day 0 is found out here.
        add_value(index, value, &range_text(range), count, nth, selected)?;
    }
    Ok(())
}

fn range_text(range: &Range<'_>) -> String {
    format!("{}-{}", range.low, range.high)
}

fn steps(from: u64, to: u64, step: u64) -> Vec<u64> {
    let step = usize::try_from(step).unwrap_or(usize::MAX);
    (from..=to).step_by(step).collect()
}

/// `22-4`: from `low` to the top, then from the bottom to `high`, the step running on across the edge.
fn wrapped(low: u64, high: u64, bottom: u64, top: u64, step: u64) -> Vec<u64> {
    let mut all = steps(low, top, step);
    let last = all.last().copied().unwrap_or(low);
    let passed = top - last;
    let position = last.saturating_sub(bottom);
    let length = top - bottom + 1;
    let skip = if position.saturating_add(step) > length && passed < step { step - passed } else { 0 };
    let start = bottom.saturating_add(skip);
    if start <= high {
        all.extend(steps(start, high, step));
    }
    all
}

fn select_one(
    index: usize,
    spelled: &str,
    written: &str,
    count: usize,
    nth: Nth,
    selected: &mut Selected,
) -> Result<(), String> {
    if spelled.starts_with('-') {
        return Err(format!("`{written}` is negative in the {} field", NAMES[index]));
    }
    if spelled == "*" {
        selected.star = true;
        return Ok(());
    }
    if index == DAY && spelled == "l" {
        selected.last_day = true;
        return Ok(());
    }
    let value = match number(spelled) {
        Some(value) => value,
        None => named(index, spelled).ok_or_else(|| unknown(index, written))?,
    };
    add_value(index, value, written, count, nth, selected)
}

fn add_value(
    index: usize,
    value: u64,
    written: &str,
    count: usize,
    nth: Nth,
    selected: &mut Selected,
) -> Result<(), String> {
    let value = alias_value(index, value, count);
    let (bottom, top) = RANGES[index];
    if !(bottom..=top).contains(&value) {
        return Err(out_of_range(index, written));
    }
    selected.values.insert(value);
    if nth != Nth::None {
        selected.nth.insert(value);
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Nth {
    None,
    /// `2#3` or `L5`.
    Some,
}

/// Splits `mon-fri#2` and `l5` into their weekday part and the fact that they are special.
fn special_weekday(part: &str) -> Result<(&str, Nth), String> {
    if let Some(day) = part.strip_prefix('l')
        && number(day).is_some()
    {
        return Ok((day, Nth::Some));
    }
    let Some((days, nth)) = part.split_once('#') else { return Ok((part, Nth::None)) };
    let word = !days.is_empty() && days.chars().all(|c| c.is_alphanumeric() || c == '_');
    if number(nth).is_none() || !(word || is_name_range(days)) {
        return Ok((part, Nth::None));
    }
    match number(nth) {
        Some(1..=5) => Ok((days, Nth::Some)),
        _ => Err(format!("`{part}` asks for weekday number {nth} of a month; 1 to 5 are possible")),
    }
}

fn is_name_range(text: &str) -> bool {
    text.split_once('-')
        .is_some_and(|(a, b)| (DAYS.contains(&a) && DAYS.contains(&b)) || (MONTHS.contains(&a) && MONTHS.contains(&b)))
}

fn bound(index: usize, text: &str) -> Result<u64, String> {
    number(text).or_else(|| named(index, text)).ok_or_else(|| unknown(index, text))
}

fn named(index: usize, text: &str) -> Option<u64> {
    match index {
        MONTH => MONTHS.iter().position(|name| *name == text).map(|i| i as u64 + 1),
        WEEKDAY => DAYS.iter().position(|name| *name == text).map(|i| i as u64),
        _ => None,
    }
}

/// Sunday may be 7, and with six fields day 0 is day 1: where croniter lets it.
fn alias_value(index: usize, value: u64, count: usize) -> u64 {
    match (index, value, count) {
        (WEEKDAY, 7, 5) => 0,
        (DAY, 0, 6) => 1,
        _ => value,
    }
}

/// Digits only; what does not fit is the largest number, which no field allows.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

fn out_of_range(index: usize, written: &str) -> String {
    let (bottom, top) = RANGES[index];
    format!("`{written}` is outside {bottom}-{top} in the {} field", NAMES[index])
}

fn unknown(index: usize, written: &str) -> String {
    format!("`{written}` means nothing in the {} field", NAMES[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_prefect_documents() {
        for good in [
            "0 9 * * *",
            "*/5 * * * *",
            "0 0 * * MON-FRI",
            "0 0 L * *",
            "0 0 * * 5#2",
            "0 0 * * L5",
            "0 0 ? * 1",
            "0 22-4 * * *",
            "0 0 * * 7",
            "0 0 31 2 *",
            "@daily",
            "@Yearly",
            "0 0 1 JAN *",
            "5/15 * * * *",
            "0 0 * * * */15",
            "0 0 * * mon-fri#2",
            "0 0 * apr-jan/3 *",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn names_what_is_wrong() {
        for (bad, part) in [
            ("60 * * * *", "outside 0-59 in the minute field"),
            ("0 24 * * *", "hour field"),
            ("* * *", "has 3 fields"),
            ("@reboot", "shorthand"),
            ("H * * * *", "`H`"),
            ("r * * * *", "`R`"),
            ("0 0 15W * *", "means nothing in the day of month field"),
            ("*/0 * * * *", "step of 0"),
            ("? * * * *", "`?`"),
            ("0 0 * * 1#6", "number 6"),
            ("0 0 * * 1,2#2", "mixes"),
            ("0 0 0 * *", "outside 1-31"),
        ] {
            let message = check(bad).expect_err(bad);
            assert!(message.contains(part), "{bad}: {message}");
        }
    }
}
