//! A default becomes JSON, as pydantic writes it.

use std::rc::Rc;

use serde_json::{Map, Value as Json};

use super::Reason;
use super::call::data;
use super::class::{Kind, Shape};
use super::machine::Machine;
use super::value::{Args, Instance, Value, same};

/// Why a value has no JSON.
enum No {
    /// Pydantic cannot write it: the default is left out.
    Omitted,
    /// Only Python can tell.
    Unknown(Reason),
}

impl No {
    fn vague(text: impl Into<String>) -> Self {
        No::Unknown(Reason::new(text, None))
    }
}

impl Machine<'_> {
    /// The JSON of a default; `None` if pydantic leaves it out.
    pub fn encode(&mut self, value: &Value) -> Result<Option<Json>, Reason> {
        let sorted = match self.force(value.clone()) {
            Value::Set(items) | Value::FrozenSet(items) => match sorted(&items) {
                Some(items) => Value::List(Rc::new(items)),
                None => return Err(Reason::new("the order of a set is only known when the code runs", None)),
            },
            other => other,
        };
        match self.json(&sorted) {
            Ok(json) => Ok(Some(json)),
            Err(No::Omitted) => Ok(None),
            Err(No::Unknown(reason)) => Err(reason),
        }
    }

    fn json(&mut self, value: &Value) -> Result<Json, No> {
        self.spend(4);
        let value = self.force(value.clone());
        self.deeper(|m| m.json_inner(&value)).unwrap_or_else(|| Err(No::vague("the value nests too deeply")))
    }

    fn json_inner(&mut self, value: &Value) -> Result<Json, No> {
        Ok(match value {
            Value::Unknown(reason) => return Err(No::Unknown((**reason).clone())),
            Value::None => Json::Null,
            Value::Bool(b) => Json::Bool(*b),
            Value::Int(int) => match (i64::try_from(*int), u64::try_from(*int)) {
                (Ok(int), _) => int.into(),
                (_, Ok(int)) => int.into(),
                _ => return Err(No::vague("the number is too large")),
            },
            Value::Float(float) => match serde_json::Number::from_f64(*float) {
                Some(number) => Json::Number(number),
                None => return Err(No::vague("the number is not finite")),
            },
            Value::Str(text) => Json::String(text.to_string()),
            Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Json::String(text.to_owned()),
                Err(_) => return Err(No::Omitted),
            },
            Value::List(items) | Value::Tuple(items) => {
                Json::Array(items.iter().map(|item| self.json(item)).collect::<Result<_, _>>()?)
            }
            Value::Set(items) | Value::FrozenSet(items) => match items.len() {
                0 => Json::Array(Vec::new()),
                1 => Json::Array(vec![self.json(&items[0])?]),
                _ => return Err(No::vague("the order of a set is only known when the code runs")),
            },
            Value::Dict(items) => {
                let mut map = Map::new();
                for (key, value) in items.iter() {
                    let key = match self.force(key.clone()) {
                        Value::Str(key) => key.to_string(),
                        Value::Int(key) => key.to_string(),
                        member @ Value::Member(..) => match self.json(&member)? {
                            Json::String(key) => key,
                            Json::Number(key) if key.is_i64() => key.to_string(),
                            _ => return Err(No::vague("the keys of a dictionary are left to Python")),
                        },
                        _ => return Err(No::vague("the keys of a dictionary are left to Python")),
                    };
                    let value = self.json(value)?;
                    if map.insert(key, value).is_some() {
                        return Err(No::vague("two keys of a dictionary are written alike"));
                    }
                }
                Json::Object(map)
            }
            Value::Data(data) => data.json.clone(),
            Value::Member(class, at) => match self.members(class) {
                Ok(members) => match members.get(*at) {
                    Some((_, value)) => self.json(&value.clone())?,
                    None => return Err(No::vague("there is no such member")),
                },
                Err(()) => return Err(No::vague("the enumeration is left to Python")),
            },
            Value::Instance(instance) => self.instance(&instance.clone())?,
            Value::Opaque(_)
            | Value::Range(..)
            | Value::Ellipsis
            | Value::Function(_)
            | Value::Lambda(..)
            | Value::Class(_) => {
                return Err(No::Omitted);
            }
            Value::Generic(..) | Value::Union(_) | Value::Literal(_) => return Err(No::Omitted),
            Value::Extern(name) if name.starts_with("builtins.") || name.starts_with("typing.") => {
                return Err(No::Omitted);
            }
            Value::Extern(name) => return Err(No::vague(format!("the value of `{name}` is only known to Python"))),
            _ => return Err(No::vague("the value is only known when the code runs")),
        })
    }

    /// An instance of a class of the repository.
    fn instance(&mut self, instance: &Rc<Instance>) -> Result<Json, No> {
        let kind = self.kind(&instance.class).map_err(No::Unknown)?;
        let name = &instance.class.name;
        match kind {
            Kind::Plain => {
                let odd = instance.class.env.borrow().keys().any(|key| {
                    matches!(
                        key.as_str(),
                        "__new__" | "__iter__" | "__getattr__" | "__getattribute__" | "__pydantic_serializer__"
                    )
                });
                match odd || !instance.class.bases.is_empty() {
                    true => Err(No::vague(format!("what `{name}` makes is only known when the code runs"))),
                    false => Err(No::Omitted),
                }
            }
            Kind::Model(shape) if instance.args.pos.is_empty() => self.filled(instance, &shape, true),
            Kind::Dataclass(shape) => {
                // Python keeps pydantic's own object as the default.
                let foreign = |field: &super::class::Field| matches!(&field.default, Some(Value::Made(made)) if &*made.by == "pydantic.Field");
                if !shape.checked && shape.fields.iter().any(foreign) {
                    return Err(No::vague(format!("what `{name}()` makes is left to Python")));
                }
                let by_name = shape.fields.iter().any(|field| field.kw_only);
                if by_name
                    && !instance.args.pos.is_empty()
                    && instance.args.pos.len() > shape.fields.iter().take_while(|f| !f.kw_only).count()
                {
                    return Err(No::vague(format!("what `{name}()` makes is left to Python")));
                }
                self.filled(instance, &shape, shape.checked)
            }
            Kind::NamedTuple(shape) => match self.filled(instance, &shape, false)? {
                Json::Object(map) => Ok(map.into_iter().map(|(_, value)| value).collect()),
                other => Ok(other),
            },
            Kind::Root(shape) if shape.active.is_none() && instance.args.kw.is_empty() => {
                let field = shape.fields.first().cloned();
                match (field, &instance.args.pos[..]) {
                    (Some(field), [value]) => {
                        let (ty, extras) = self
                            .field_of(&field)
                            .map_err(|_| No::vague(format!("what `{name}` holds is left to Python")))?;
                        match self.fits(value, &ty) && extras.limits.is_empty() {
                            true => self.json(value),
                            false => Err(No::vague(format!("what `{name}()` makes is left to Python"))),
                        }
                    }
                    _ => Err(No::vague(format!("what `{name}()` makes is left to Python"))),
                }
            }
            Kind::Model(_) | Kind::Root(_) | Kind::TypedDict(_) | Kind::Enum(_) => {
                Err(No::vague(format!("what `{name}()` makes is left to Python")))
            }
        }
    }

    /// The fields of an instance with their values.
    fn filled(&mut self, instance: &Instance, shape: &Shape, validated: bool) -> Result<Json, No> {
        let name = instance.class.name.clone();
        if let Some(why) = &shape.active {
            return Err(No::vague(format!("`{name}`: {why}")));
        }
        let by_name = matches!(shape.config("populate_by_name"), Some(Value::Bool(true)));
        for (key, value) in &shape.config {
            let harmless = match key.as_str() {
                "title"
                | "json_schema_extra"
                | "arbitrary_types_allowed"
                | "frozen"
                | "populate_by_name"
                | "validate_assignment"
                | "from_attributes"
                | "protected_namespaces" => true,
                "extra" => value.as_str() != Some("allow"),
                _ => false,
            };
            if !harmless {
                return Err(No::vague(format!("the configuration `{key}` of `{name}` is left to Python")));
            }
        }
        let mut map = Map::new();
        let mut used = 0;
        for (at, field) in shape.fields.iter().enumerate() {
            let (ty, extras) =
                self.field_of(field).map_err(|_| No::vague(format!("a field of `{name}` is left to Python")))?;
            if matches!(&ty, Value::Generic(n, _) | Value::Extern(n) if matches!(&**n, "typing.ClassVar" | "dataclasses.KW_ONLY" | "typing.Final"))
            {
                return Err(No::vague(format!("`{}.{}` is left to Python", name, field.name)));
            }
            let alias = extras.alias.clone().unwrap_or_else(|| field.name.clone());
            let given =
                instance.args.get(&alias).or_else(|| instance.args.get(&field.name).filter(|_| by_name || !validated));
            let given = given.or_else(|| instance.args.pos.get(at)).cloned();
            used += usize::from(given.is_some());
            let value = match (given, &extras.default, &extras.factory) {
                (Some(value), _, _) => {
                    let value = self.force(value);
                    if validated && !(self.fits(&value, &ty) && extras.limits.is_empty()) {
                        return Err(No::vague(format!(
                            "what `{}.{}` becomes is only known when the code runs",
                            name, field.name
                        )));
                    }
                    value
                }
                (None, Some(default), _) => default.clone(),
                (None, None, Some(factory)) => {
                    let factory = self.force(factory.clone());
                    self.call_simple(&factory)
                }
                (None, None, None) => return Err(No::vague(format!("`{}.{}` is missing", name, field.name))),
            };
            if extras.hidden {
                return Err(No::vague(format!("`{}.{}` is hidden", name, field.name)));
            }
            let json = self.json(&value)?;
            map.insert(extras.written.unwrap_or_else(|| field.name.clone()), json);
        }
        if used != instance.args.kw.len() + instance.args.pos.len() {
            return Err(No::vague(format!("`{name}` is made with something that is no field of it")));
        }
        Ok(Json::Object(map))
    }

    /// Whether a value is certainly kept as it is by a field of that type.
    fn fits(&mut self, value: &Value, ty: &Value) -> bool {
        let ty = self.force(ty.clone());
        match (value, &ty) {
            (Value::Int(_), Value::Extern(name)) => matches!(&**name, "builtins.int" | "builtins.float"),
            (Value::Float(_), Value::Extern(name)) => &**name == "builtins.float",
            (Value::Str(_), Value::Extern(name)) => &**name == "builtins.str",
            (Value::Bool(_), Value::Extern(name)) => &**name == "builtins.bool",
            (Value::Data(data), Value::Extern(name)) => data.class == &**name,
            (Value::Unknown(_), _) => false,
            (_, Value::Extern(name)) if &**name == "typing.Any" => true,
            (Value::None, Value::None) => true,
            (value, Value::Union(members)) => {
                let scalar = !matches!(value, Value::Int(_))
                    || !members.iter().any(|m| matches!(m, Value::Extern(n) if &**n == "builtins.float"));
                scalar && members.iter().any(|member| self.fits(value, member))
            }
            (Value::Str(_) | Value::Int(_) | Value::Bool(_) | Value::None, Value::Literal(values)) => {
                values.iter().any(|v| same(v, value))
            }
            (Value::List(items), Value::Generic(origin, args))
                if matches!(&**origin, "builtins.list" | "typing.List") =>
            {
                args.len() == 1 && items.iter().all(|item| self.fits(item, &args[0]))
            }
            (Value::Dict(items), Value::Generic(origin, args))
                if matches!(&**origin, "builtins.dict" | "typing.Dict") =>
            {
                args.len() == 2 && items.iter().all(|(k, v)| self.fits(k, &args[0]) && self.fits(v, &args[1]))
            }
            (Value::Member(class, _), Value::Class(wanted)) => Rc::ptr_eq(class, wanted),
            (Value::Instance(instance), Value::Class(wanted)) => Rc::ptr_eq(&instance.class, wanted),
            _ => false,
        }
    }
}

/// The items of a set in pydantic's order.
fn sorted(items: &[Value]) -> Option<Vec<Value>> {
    let mut unique: Vec<Value> = Vec::new();
    if items.len() > 2000 {
        return None;
    }
    for item in items {
        if !unique.iter().any(|known| same(known, item)) {
            unique.push(item.clone());
        }
    }
    if unique.len() < 2 {
        return Some(unique);
    }
    ordered(unique)
}

/// Whole numbers or texts in their order.
pub(super) fn ordered(mut items: Vec<Value>) -> Option<Vec<Value>> {
    if items.iter().all(|item| matches!(item, Value::Int(_))) {
        items.sort_by_key(|item| if let Value::Int(int) = item { *int } else { 0 });
        return Some(items);
    }
    if items.iter().all(|item| matches!(item, Value::Str(_))) {
        items.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
        return Some(items);
    }
    None
}

/// A date, time, duration or time zone.
pub(super) fn temporal(name: &str, args: &Args) -> Option<Value> {
    match name {
        "datetime.date" => {
            let [y, m, d] = numbers(args, &["year", "month", "day"], 3)?;
            Some(data("datetime.date", date(y, m, d)?))
        }
        "datetime.datetime" => {
            let zone = zone(args, 7)?;
            let [y, mo, d, h, mi, s, us] =
                numbers(args, &["year", "month", "day", "hour", "minute", "second", "microsecond"], 3)?;
            Some(data("datetime.datetime", format!("{}T{}{zone}", date(y, mo, d)?, clock(h, mi, s, us)?)))
        }
        "datetime.time" => {
            let zone = zone(args, 4)?;
            let [h, mi, s, us] = numbers(args, &["hour", "minute", "second", "microsecond"], 0)?;
            Some(data("datetime.time", format!("{}{zone}", clock(h, mi, s, us)?)))
        }
        "datetime.timedelta" => {
            let [d, s, us, ms, mi, h, w] =
                numbers(args, &["days", "seconds", "microseconds", "milliseconds", "minutes", "hours", "weeks"], 0)?;
            let small = |n: i128| n.unsigned_abs() < 1_000_000_000;
            if ![d, s, us, ms, mi, h, w].into_iter().all(small) {
                return None;
            }
            let seconds = ((w * 7 + d) * 24 + h) * 3600 + mi * 60 + s;
            Some(data("datetime.timedelta", duration(seconds * 1_000_000 + ms * 1000 + us)))
        }
        _ => None,
    }
}

/// Whole numbers by position or name; the first `needed` must be there, and nothing else but a time zone.
fn numbers<const N: usize>(args: &Args, names: &[&str; N], needed: usize) -> Option<[i128; N]> {
    let mut out = [0; N];
    for (at, name) in names.iter().enumerate() {
        out[at] = match args.arg(at, name) {
            Some(Value::Int(int)) => *int,
            None if at >= needed => 0,
            _ => return None,
        };
    }
    let known = |key: &str| names.contains(&key) || key == "tzinfo";
    (args.kw.iter().all(|(key, _)| known(key)) && args.pos.len() <= N + 1).then_some(out)
}

/// The suffix of a time zone: only UTC and none are known.
fn zone(args: &Args, at: usize) -> Option<&'static str> {
    match args.arg(at, "tzinfo") {
        None | Some(Value::None) => Some(""),
        Some(Value::Extern(name)) if matches!(&**name, "datetime.timezone.utc" | "datetime.UTC") => Some("Z"),
        _ => None,
    }
}

fn date(year: i128, month: i128, day: i128) -> Option<String> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i128::from(leap),
        _ => return None,
    };
    ((1..=9999).contains(&year) && (1..=days).contains(&day)).then(|| format!("{year:04}-{month:02}-{day:02}"))
}

fn clock(hour: i128, minute: i128, second: i128, micro: i128) -> Option<String> {
    let fine = (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second)
        && (0..1_000_000).contains(&micro);
    let fraction = if micro == 0 { String::new() } else { format!(".{micro:06}") };
    fine.then(|| format!("{hour:02}:{minute:02}:{second:02}{fraction}"))
}

/// ISO 8601 with years of 365 days.
fn duration(micros: i128) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let (whole, micro) = (micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000);
    let (days, rest) = (whole / 86_400, whole % 86_400);
    let part = |n: u128, unit: &str| if n == 0 { String::new() } else { format!("{n}{unit}") };
    let fraction = if micro == 0 { String::new() } else { format!(".{micro:06}").trim_end_matches('0').to_owned() };
    let seconds = if rest % 60 == 0 && micro == 0 { String::new() } else { format!("{}{fraction}S", rest % 60) };
    let time = format!("{}{}{seconds}", part(rest / 3600, "H"), part(rest / 60 % 60, "M"));
    let day = format!("{}{}", part(days / 365, "Y"), part(days % 365, "D"));
    match (day.is_empty(), time.is_empty()) {
        (true, true) => "PT0S".to_owned(),
        (_, true) => format!("{sign}P{day}"),
        _ => format!("{sign}P{day}T{time}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_pydantic_writes_them() {
        let second = 1_000_000;
        assert_eq!(duration(0), "PT0S");
        assert_eq!(duration(5400 * second), "PT1H30M");
        assert_eq!(duration(400 * 86_400 * second), "P1Y35D");
        assert_eq!(duration(-5 * second), "-PT5S");
        assert_eq!(duration(1_500_000), "PT1.5S");
        assert_eq!(duration(366 * 86_400 * second + 3600 * second), "P1Y1DT1H");
    }
}
