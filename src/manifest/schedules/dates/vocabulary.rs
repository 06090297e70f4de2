//! Words of free-form dates.

const MONTHS: [&[&str]; 12] = [
    &["jan", "january"],
    &["feb", "february"],
    &["mar", "march"],
    &["apr", "april"],
    &["may"],
    &["jun", "june"],
    &["jul", "july"],
    &["aug", "august"],
    &["sep", "sept", "september"],
    &["oct", "october"],
    &["nov", "november"],
    &["dec", "december"],
];
const WEEKDAYS: [[&str; 2]; 7] = [
    ["mon", "monday"],
    ["tue", "tuesday"],
    ["wed", "wednesday"],
    ["thu", "thursday"],
    ["fri", "friday"],
    ["sat", "saturday"],
    ["sun", "sunday"],
];
const UNITS: [[&str; 3]; 3] = [["h", "hour", "hours"], ["m", "minute", "minutes"], ["s", "second", "seconds"]];
const JUMPS: [&str; 18] =
    [" ", ".", ",", ";", "-", "/", "'", "at", "on", "and", "ad", "m", "t", "of", "st", "nd", "rd", "th"];

/// The number of a month by its name.
pub fn month(token: &str) -> Option<i64> {
    let lower = token.to_lowercase();
    MONTHS.iter().position(|names| names.contains(&lower.as_str())).map(|i| i as i64 + 1)
}

/// The number of a weekday by its name, Monday being 0.
pub fn weekday(token: &str) -> Option<i64> {
    let lower = token.to_lowercase();
    WEEKDAYS.iter().position(|names| names.contains(&lower.as_str())).map(|i| i as i64)
}

/// 0, 1 or 2 for a word that means hours, minutes or seconds.
pub fn unit(token: &str) -> Option<usize> {
    let lower = token.to_lowercase();
    UNITS.iter().position(|names| names.contains(&lower.as_str()))
}

/// Whether it means the afternoon.
pub fn half_day(token: &str) -> Option<bool> {
    match token.to_lowercase().as_str() {
        "am" | "a" => Some(false),
        "pm" | "p" => Some(true),
        _ => None,
    }
}

/// Whether it is a separator or a filler.
pub fn is_jump(token: &str) -> bool {
    JUMPS.contains(&token.to_lowercase().as_str())
}

/// Whether it names UTC.
pub fn is_utc(token: &str) -> bool {
    matches!(token.to_lowercase().as_str(), "utc" | "gmt" | "z")
}
