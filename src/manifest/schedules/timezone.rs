//! Which names are time zones: the IANA database that is built in, case-sensitively.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jiff::tz::TimeZoneDatabase;

static NAMES: LazyLock<BTreeSet<String>> =
    LazyLock::new(|| TimeZoneDatabase::bundled().available().map(|name| name.as_str().to_owned()).collect());

/// Whether Prefect knows the zone. `Factory` is in Python's own list but not in pytz's, which rules use.
pub fn is_known(name: &str, for_rrule: bool) -> bool {
    match name {
        "Factory" => !for_rrule,
        _ => NAMES.contains(name),
    }
}

/// Every name, for suggestions.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(String::as_str)
}

/// The name that differs only in case, or one nearly like it.
pub fn suggestion(name: &str) -> Option<&'static str> {
    names().find(|known| known.eq_ignore_ascii_case(name)).or_else(|| crate::diagnostic::nearest(name, names()))
}
