//! Which number of a date is the year, the month and the day.

use jiff::civil::Date;

use super::lex::{Decimal, whole};

/// What a number may be known to be.
#[derive(Clone, Copy, PartialEq)]
pub enum Part {
    /// A year.
    Year,
    /// A month.
    Month,
}

/// Year, month and day in the order in which they came; a year or month may be known by its form.
#[derive(Default)]
pub struct Ymd {
    /// As they came.
    pub values: Vec<i64>,
    year: Option<usize>,
    month: Option<usize>,
    /// Whether some number was too long for two digits.
    pub century: bool,
}

impl Ymd {
    /// Adds a token of digits.
    pub fn push_text(&mut self, text: &str, part: Option<Part>) -> Option<()> {
        let mut part = part;
        if text.len() > 2 && whole(text).is_some() {
            part = self.long(part)?;
        }
        self.push(whole(text)?, part)
    }

    /// Adds a number.
    pub fn push_value(&mut self, value: Decimal, part: Option<Part>) -> Option<()> {
        let part = if value.exceeds(100) { self.long(part)? } else { part };
        self.push(value.whole, part)
    }

    /// More than two digits can only be a year.
    fn long(&mut self, part: Option<Part>) -> Option<Option<Part>> {
        self.century = true;
        matches!(part, None | Some(Part::Year)).then_some(Some(Part::Year))
    }

    /// Adds a whole number; `None` if there is one of its kind already.
    pub fn push(&mut self, value: i64, part: Option<Part>) -> Option<()> {
        self.values.push(value);
        let slot = match part {
            None => return Some(()),
            Some(Part::Year) => &mut self.year,
            Some(Part::Month) => &mut self.month,
        };
        if slot.is_some() {
            return None;
        }
        *slot = Some(self.values.len() - 1);
        Some(())
    }

    /// Whether a number is possible as a day of what is known so far.
    pub fn could_be_day(&self, value: Decimal) -> Option<bool> {
        let last = match (self.month, self.year) {
            (None, _) => 31,
            (Some(month), None) => days_in_month(2000, *self.values.get(month)?)?,
            (Some(month), Some(year)) => days_in_month(*self.values.get(year)?, *self.values.get(month)?)?,
        };
        Some(value.whole >= 1 && !value.exceeds(last))
    }

    /// Year, month, day.
    pub fn resolve(&self) -> Option<[Option<i64>; 3]> {
        let v = &self.values;
        let known = [self.year, self.month];
        let count = known.iter().flatten().count();
        if (v.len() == count && count > 0) || (v.len() == 3 && count == 2) {
            let missing = (0..3).find(|i| !known.contains(&Some(*i)));
            let slot = |k: Option<usize>| match k {
                Some(i) => v.get(i).copied(),
                None if v.len() == 3 => missing.and_then(|i| v.get(i).copied()),
                None => None,
            };
            return Some([slot(self.year), slot(self.month), slot(None)]);
        }
        let (y, m, d) = match (v.as_slice(), self.month) {
            ([], _) => (None, None, None),
            ([a], None) => Self::year_or_day(*a, None),
            ([a], Some(_)) => (None, Some(*a), None),
            ([a, b], Some(0)) => Self::year_or_day(*b, Some(*a)),
            ([a, b], Some(_)) => Self::year_or_day(*a, Some(*b)),
            ([a, b], None) if *a > 31 => (Some(*a), Some(*b), None),
            ([a, b], None) if *b > 31 => (Some(*b), Some(*a), None),
            ([a, b], None) => (None, Some(*a), Some(*b)),
            ([a, b, c], Some(0)) if *b > 31 => (Some(*b), Some(*a), Some(*c)),
            ([a, b, c], Some(0)) => (Some(*c), Some(*a), Some(*b)),
            ([a, b, c], Some(1)) if *a > 31 => (Some(*a), Some(*b), Some(*c)),
            ([a, b, c], Some(1)) => (Some(*c), Some(*b), Some(*a)),
            ([a, b, c], Some(_)) if *b > 31 => (Some(*b), Some(*c), Some(*a)),
            ([a, b, c], Some(_)) => (Some(*a), Some(*c), Some(*b)),
            ([a, b, c], None) if *a > 31 || self.year == Some(0) => (Some(*a), Some(*b), Some(*c)),
            ([a, b, c], None) if *a > 12 => (Some(*c), Some(*b), Some(*a)),
            ([a, b, c], None) => (Some(*c), Some(*a), Some(*b)),
            _ => return None,
        };
        Some([y, m, d])
    }

    fn year_or_day(value: i64, month: Option<i64>) -> (Option<i64>, Option<i64>, Option<i64>) {
        if value > 31 { (Some(value), month, None) } else { (None, month, Some(value)) }
    }
}

/// The length of a month of the years 1 to 9999.
pub fn days_in_month(year: i64, month: i64) -> Option<i64> {
    let date = Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, 1).ok()?;
    (year >= 1).then(|| i64::from(date.days_in_month()))
}
