//! Calls of what is known: constructors of the standard library, of pydantic, and `flow` itself.

use std::rc::Rc;

use ruff_text_size::TextRange;
use serde_json::Value as Json;

use super::Reason;
use super::eval::{make_union, only_wraps, wrapped};
use super::machine::{Eval, Frame, Machine};
use super::simple;
use super::value::{Alias, Annotation, Args, Data, Flow, Instance, Made, Value};
use crate::diagnostic::Diagnostic;

/// What `flow(...)` takes (Prefect 3.8.8 `flows.py`).
const FLOW_KEYS: &[&str] = &[
    "name",
    "version",
    "flow_run_name",
    "retries",
    "retry_delay_seconds",
    "task_runner",
    "description",
    "timeout_seconds",
    "validate_parameters",
    "persist_result",
    "result_storage",
    "result_serializer",
    "cache_result_in_memory",
    "log_prints",
    "on_completion",
    "on_failure",
    "on_cancellation",
    "on_crashed",
    "on_running",
];

impl Machine<'_> {
    /// A decorator around a definition.
    pub fn decorate(&mut self, frame: &Frame, decorator: Value, value: Value, at: &ruff_python_ast::Decorator) -> Eval {
        let decorator = self.force(decorator);
        let vague = |m: &Self, text: String| Ok(m.unknown(frame.module, at.range, text));
        match (&decorator, &value) {
            (Value::Extern(name), _) if &**name == "builtins.staticmethod" => Ok(Value::Static(Rc::new(value))),
            (Value::Extern(name), _) if &**name == "builtins.classmethod" => Ok(Value::ClassMethod(Rc::new(value))),
            (Value::Unknown(_), _) => Ok(decorator),
            (Value::Function(wrapper), Value::Function(inner)) if only_wraps(&wrapper.def) => {
                Ok(Value::Function(Rc::new(wrapped(inner, wrapper.module))))
            }
            (Value::Extern(name), _) if &**name == "prefect.flow" => {
                self.call(frame, decorator, Args { pos: vec![value], kw: Vec::new() }, at.range)
            }
            (Value::FlowMaker(_), _) => {
                self.call(frame, decorator, Args { pos: vec![value], kw: Vec::new() }, at.range)
            }
            (Value::Extern(name), _) if &**name == "abc.abstractmethod" => Ok(value),
            (Value::Extern(name), Value::Function(_) | Value::Static(_) | Value::ClassMethod(_) | Value::Opaque(_))
                if frame.class.is_some() && (is_method_decorator(name) || makes(name)) =>
            {
                Ok(Value::Opaque(name.clone()))
            }
            (Value::Made(made), Value::Function(_) | Value::Static(_) | Value::ClassMethod(_) | Value::Opaque(_))
                if frame.class.is_some() =>
            {
                let harmless = match made.args.get("mode") {
                    None => true,
                    Some(Value::Str(mode)) => matches!(&**mode, "before" | "after" | "wrap"),
                    Some(_) => false,
                };
                let typed = made.args.get("json_schema_input_type").is_some();
                let serializes = made.by.contains("serializer");
                Ok(Value::Opaque(if (harmless && !typed) || serializes {
                    made.by.clone()
                } else {
                    "pydantic.plain".into()
                }))
            }
            (Value::Extern(name), _) => {
                vague(self, format!("what the decorator `{name}` makes is only known when the code runs"))
            }
            _ => vague(self, "what the decorator makes is only known when the code runs".to_owned()),
        }
    }

    /// `function(arguments)`.
    pub fn call(&mut self, frame: &Frame, function: Value, mut args: Args, range: TextRange) -> Eval {
        for arg in args.pos.iter_mut().chain(args.kw.iter_mut().map(|(_, value)| value)) {
            if matches!(arg, Value::Import(_)) {
                *arg = self.force(arg.clone());
            }
        }
        let vague = |m: &Self, text: String| Ok(m.unknown(frame.module, range, text));
        match function {
            Value::Unknown(reason) => Ok(Value::Unknown(reason)),
            Value::Extern(name) => self.call_extern(frame, &name, args, range),
            Value::Class(class) => Ok(match self.members(&class) {
                Ok(members) => match (args.pos.first(), args.pos.len() + args.kw.len()) {
                    (Some(wanted), 1) => {
                        match members.iter().position(|(_, value)| super::value::same(value, wanted)) {
                            Some(at) => Value::Member(class, at),
                            None => return vague(self, "there may be no such member".to_owned()),
                        }
                    }
                    _ => return vague(self, "the enumeration is made when the code runs".to_owned()),
                },
                Err(_) => Value::Instance(Rc::new(Instance { class, args })),
            }),
            Value::FlowMaker(made) => {
                let mut all = args.clone();
                all.kw.extend(made.args.kw.iter().filter(|(key, _)| args.get(key).is_none()).cloned());
                self.flow(frame, all, range)
            }
            Value::Function(wrapper) => match args.pos.first() {
                Some(Value::Lazy(_) | Value::Function(_))
                    if args.pos.len() == 1 && args.kw.is_empty() && only_wraps(&wrapper.def) =>
                {
                    match self.force(args.pos[0].clone()) {
                        Value::Function(inner) => Ok(Value::Function(Rc::new(wrapped(&inner, wrapper.module)))),
                        _ => vague(self, "the function is only known when the code runs".to_owned()),
                    }
                }
                _ if let Some(value) = self.deeper(|m| m.returned(&wrapper, &args)).flatten() => Ok(value),
                _ => vague(self, format!("`{}()` is only known when the code runs", wrapper.def.name)),
            },
            Value::NewType(_) if args.kw.is_empty() && args.pos.len() == 1 => Ok(args.pos.remove(0)),
            Value::Bound(bound) => self.call_bound(frame, &bound.0, &bound.1, args, range),
            _ => vague(self, "the call is only known when the code runs".to_owned()),
        }
    }

    fn call_bound(&mut self, frame: &Frame, value: &Value, method: &str, args: Args, range: TextRange) -> Eval {
        let plain = args.pos.is_empty() && args.kw.is_empty();
        Ok(match (value, method) {
            (Value::Flow(flow), "with_options") => return self.with_options(frame, &flow.clone(), args, range),
            (Value::Dict(items), "keys") if plain => {
                Value::Items(Rc::new(items.iter().map(|(key, _)| key.clone()).collect()))
            }
            (Value::Dict(items), "values") if plain => {
                Value::Items(Rc::new(items.iter().map(|(_, value)| value.clone()).collect()))
            }
            (Value::Dict(items), "items") if plain => Value::Items(Rc::new(
                items.iter().map(|(key, value)| Value::Tuple(Rc::new(vec![key.clone(), value.clone()]))).collect(),
            )),
            (Value::Dict(items), "copy") if plain => Value::Dict(items.clone()),
            (Value::Str(text), "lower") if plain && text.is_ascii() => Value::str(text.to_ascii_lowercase()),
            (Value::Str(text), "upper") if plain && text.is_ascii() => Value::str(text.to_ascii_uppercase()),
            (Value::Str(text), "strip") if plain => Value::str(text.trim()),
            (Value::Str(text), "replace") => match (args.pos.first(), args.pos.get(1), args.pos.len()) {
                (Some(Value::Str(from)), Some(Value::Str(to)), 2) if text.len() * to.len().max(1) < 100_000 => {
                    Value::str(text.replace(&**from, to))
                }
                _ => self.unknown(frame.module, range, "the text is only known when the code runs"),
            },
            (Value::Str(text), "join") => match args.pos.first() {
                Some(Value::List(items) | Value::Tuple(items))
                    if items.iter().map(|i| i.as_str().map_or(1 << 30, |s| s.len() + text.len())).sum::<usize>()
                        < 100_000 =>
                {
                    let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                    Value::str(items.join(text))
                }
                _ => self.unknown(frame.module, range, "the text is only known when the code runs"),
            },
            _ => self.unknown(frame.module, range, format!("`.{method}()` is only known when the code runs")),
        })
    }

    fn call_extern(&mut self, frame: &Frame, name: &Rc<str>, args: Args, range: TextRange) -> Eval {
        let vague = |m: &Self, text: String| Ok(m.unknown(frame.module, range, text));
        let only = (args.kw.is_empty() && args.pos.len() == 1).then(|| args.pos[0].clone());
        let none = args.kw.is_empty() && args.pos.is_empty();
        Ok(match &**name {
            "prefect.flow" => return self.flow(frame, args, range),
            "prefect.Flow" | "prefect.flows.Flow" if !args.pos.is_empty() => return self.flow(frame, args, range),
            "builtins.max" | "builtins.min" if args.kw.is_empty() && args.pos.len() > 1 => {
                let numbers: Option<Vec<i128>> =
                    args.pos.iter().map(|v| if let Value::Int(i) = v { Some(*i) } else { None }).collect();
                let best =
                    numbers.and_then(|n| if name.ends_with("max") { n.into_iter().max() } else { n.into_iter().min() });
                match best {
                    Some(best) => Value::Int(best),
                    None => return vague(self, "the number is only known when the code runs".to_owned()),
                }
            }
            "functools.partial" if matches!(args.pos.first(), Some(Value::Extern(f)) if &**f == "prefect.flow") => {
                Value::FlowMaker(Rc::new(Made { by: name.clone(), args: Args { pos: Vec::new(), kw: args.kw } }))
            }
            "typing.cast" if args.pos.len() == 2 => args.pos[1].clone(),
            "typing.NewType" => match args.arg(1, "tp") {
                Some(inner) => Value::NewType(Rc::new(inner.clone())),
                None => return vague(self, "the type is only known when the code runs".to_owned()),
            },
            "typing.TypeVar" => {
                let constraints = args.pos.iter().skip(1).cloned().collect();
                match args.kw.iter().all(|(key, _)| matches!(key.as_str(), "bound" | "covariant" | "contravariant")) {
                    true => Value::TypeVar(args.get("bound").cloned().map(Rc::new), Rc::new(constraints)),
                    false => return vague(self, "type variables with defaults are left to Python".to_owned()),
                }
            }
            "typing_extensions.TypeAliasType" => {
                match (args.arg(0, "name"), args.arg(1, "value"), args.get("type_params")) {
                    (Some(Value::Str(name)), Some(value), None) => Value::Alias(Rc::new(Alias {
                        name: name.to_string(),
                        module: frame.module,
                        value: Annotation::Now(value.clone()),
                    })),
                    _ => return vague(self, "the alias is only known when the code runs".to_owned()),
                }
            }
            "enum.auto" if none => Value::Opaque(name.clone()),
            "builtins.object" if none => Value::Opaque(name.clone()),
            "builtins.range" if args.kw.is_empty() => match args.pos[..] {
                [Value::Int(to)] => Value::Range(0, to, 1),
                [Value::Int(from), Value::Int(to)] => Value::Range(from, to, 1),
                [Value::Int(from), Value::Int(to), Value::Int(step)] if step != 0 => Value::Range(from, to, step),
                _ => Value::Opaque(name.clone()),
            },
            "builtins.sorted" if only.is_some() => match only.and_then(|value| self.items_of(&value)) {
                Some(items) => match super::encode::ordered(items) {
                    Some(items) => Value::List(Rc::new(items)),
                    None => return vague(self, "the order is only known when the code runs".to_owned()),
                },
                None => return vague(self, "the collection is only known when the code runs".to_owned()),
            },
            "collections.namedtuple"
            | "typing.NamedTuple"
            | "typing_extensions.TypedDict"
            | "enum.Enum"
            | "enum.IntEnum" => match self.made_class(frame, name, &args, range) {
                Some(class) => class,
                None => return vague(self, format!("`{name}()` is only known when the code runs")),
            },
            "contextlib.suppress" => Value::Opaque(name.clone()),
            "logging.getLogger" | "prefect.get_run_logger" | "prefect.logging.get_logger" => {
                Value::Opaque("logging.Logger".into())
            }
            "builtins.list" | "builtins.tuple" | "builtins.set" | "builtins.frozenset" => {
                let items = match &only {
                    None if none => Some(Rc::default()),
                    Some(Value::List(v) | Value::Tuple(v) | Value::Set(v) | Value::FrozenSet(v)) => Some(v.clone()),
                    Some(other) => self.items_of(other).map(Rc::new),
                    None => None,
                };
                match (items, &**name) {
                    (Some(items), "builtins.list") => Value::List(items),
                    (Some(items), "builtins.tuple") => Value::Tuple(items),
                    (Some(items), "builtins.set") => Value::Set(items),
                    (Some(items), _) => Value::FrozenSet(items),
                    (None, _) => return vague(self, "the collection is only known when the code runs".to_owned()),
                }
            }
            "builtins.dict" if args.pos.is_empty() => {
                Value::Dict(Rc::new(args.kw.into_iter().map(|(key, value)| (Value::str(key), value)).collect()))
            }
            "builtins.str" => match only {
                None if none => Value::str(""),
                Some(Value::Str(text)) => Value::Str(text),
                Some(Value::Int(int)) => Value::str(int.to_string()),
                Some(Value::Data(data)) if data.class == "pathlib.Path" => {
                    Value::str(data.json.as_str().unwrap_or_default())
                }
                _ => return vague(self, "the text is only known when the code runs".to_owned()),
            },
            "builtins.int" => match only {
                None if none => Value::Int(0),
                Some(Value::Int(int)) => Value::Int(int),
                Some(Value::Str(text)) if text.parse::<i64>().is_ok() && !text.starts_with('+') => {
                    Value::Int(text.parse::<i64>().unwrap_or_default().into())
                }
                _ => return vague(self, "the number is only known when the code runs".to_owned()),
            },
            "builtins.float" => match only {
                None if none => Value::Float(0.0),
                Some(Value::Float(x)) => Value::Float(x),
                Some(Value::Int(i)) if i.unsigned_abs() < 1 << 53 => Value::Float(i as f64),
                Some(Value::Str(text)) => match text.trim() {
                    "inf" | "+inf" | "Infinity" => Value::Float(f64::INFINITY),
                    "-inf" => Value::Float(f64::NEG_INFINITY),
                    "nan" => Value::Float(f64::NAN),
                    _ => return vague(self, "the number is only known when the code runs".to_owned()),
                },
                _ => return vague(self, "the number is only known when the code runs".to_owned()),
            },
            "builtins.bool" if only.is_some() => match only.as_ref().and_then(Value::truth) {
                Some(truth) => Value::Bool(truth),
                None => return vague(self, "it is only known when the code runs".to_owned()),
            },
            "builtins.len" => match only {
                Some(Value::List(v) | Value::Tuple(v)) => Value::Int(v.len() as i128),
                Some(Value::Str(s)) => Value::Int(s.chars().count() as i128),
                _ => return vague(self, "the length is only known when the code runs".to_owned()),
            },
            "pathlib.Path" | "pathlib.PurePosixPath" | "pathlib.PosixPath" => match only {
                None if none => path("."),
                Some(Value::Str(text)) => path(&text),
                _ => return vague(self, "the path is only known when the code runs".to_owned()),
            },
            "uuid.UUID" => {
                match args.arg(0, "hex").and_then(Value::as_str).and_then(|text| uuid::Uuid::try_parse(text).ok()) {
                    Some(uuid) if args.pos.len() + args.kw.len() == 1 => data("uuid.UUID", uuid.to_string()),
                    _ => return vague(self, "the UUID is only known when the code runs".to_owned()),
                }
            }
            "decimal.Decimal" => match only {
                Some(Value::Int(int)) => data("decimal.Decimal", int.to_string()),
                Some(Value::Str(text)) if plain_decimal(&text) => data("decimal.Decimal", text.to_string()),
                _ => return vague(self, "the number is only known when the code runs".to_owned()),
            },
            "pydantic.SecretStr" => match only {
                Some(Value::Str(text)) => {
                    data("pydantic.SecretStr", if text.is_empty() { "" } else { "**********" }.to_owned())
                }
                _ => return vague(self, "the secret is only known when the code runs".to_owned()),
            },
            "datetime.date" | "datetime.datetime" | "datetime.time" | "datetime.timedelta" | "datetime.timezone" => {
                match super::encode::temporal(name, &args) {
                    Some(value) => value,
                    None => return vague(self, "the time is only known when the code runs".to_owned()),
                }
            }
            "typing.Optional" | "typing.Union" => make_union(args.pos),
            "pydantic.ByteSize" => match only {
                Some(Value::Int(int)) => Value::Int(int),
                _ => return vague(self, "the size is only known when the code runs".to_owned()),
            },
            known if makes(known) => Value::Made(Rc::new(Made { by: name.clone(), args })),
            "os.getenv" => return vague(self, "it reads the environment".to_owned()),
            known if simple::is_core(known) && known.starts_with("builtins.") => {
                return vague(self, format!("`{}()` is only known when the code runs", &known[9..]));
            }
            other => return vague(self, format!("`{other}()` is only known when the code runs")),
        })
    }

    /// `flow(fn, ...)` or `flow(...)`.
    fn flow(&mut self, frame: &Frame, args: Args, range: TextRange) -> Eval {
        let Some(function) = args.pos.first().cloned() else {
            return Ok(Value::FlowMaker(Rc::new(Made { by: "prefect.flow".into(), args })));
        };
        let function = match self.force(function) {
            Value::Static(inner) | Value::ClassMethod(inner) => (*inner).clone(),
            other => other,
        };
        let function = match function {
            Value::Function(function) => function,
            Value::None => {
                return Ok(Value::FlowMaker(Rc::new(Made {
                    by: "prefect.flow".into(),
                    args: Args { pos: vec![], kw: args.kw },
                })));
            }
            Value::Unknown(reason) => return Ok(Value::Unknown(reason)),
            _ => {
                return Ok(self.unknown(
                    frame.module,
                    range,
                    "the function of the flow is only known when the code runs",
                ));
            }
        };
        let doubt = (args.pos.len() > 1).then(|| "`flow` takes one function and keywords".to_owned()).or_else(|| {
            args.kw
                .iter()
                .find(|(k, _)| !FLOW_KEYS.contains(&k.as_str()))
                .map(|(k, _)| format!("`flow` takes no `{k}=`"))
        });
        let base = Flow {
            name: function.def.name.replace('_', "-"),
            function,
            description: None,
            version: None,
            doubt: doubt.map(|text| Reason::new(text, Some(self.origin(frame.module, range)))),
            faults: Vec::new(),
        };
        Ok(self.configured(frame, base, &args, range))
    }

    fn with_options(&mut self, frame: &Frame, flow: &Flow, args: Args, range: TextRange) -> Eval {
        let mut doubt = flow.doubt.clone();
        if !args.pos.is_empty() || args.kw.iter().any(|(key, _)| !FLOW_KEYS.contains(&key.as_str())) {
            doubt = Some(Reason::new("`with_options` takes keywords only", Some(self.origin(frame.module, range))));
        }
        if flow.function.method && flow.function.doc.is_none() {
            let text = "the docstring may be inherited";
            doubt = Some(Reason::new(text, Some(self.origin(frame.module, range))));
        }
        let base = Flow {
            function: flow.function.clone(),
            name: flow.name.clone(),
            description: flow.description.clone(),
            version: flow.version.clone(),
            doubt,
            faults: flow.faults.clone(),
        };
        Ok(self.configured(frame, base, &args, range))
    }

    /// A flow with name, description and version as the arguments say.
    fn configured(&mut self, frame: &Frame, mut flow: Flow, args: &Args, range: TextRange) -> Value {
        for key in ["name", "description", "version"] {
            let text = match args.get(key) {
                None | Some(Value::None) => continue,
                Some(Value::Str(text)) => text.to_string(),
                Some(Value::Unknown(reason)) => {
                    let text = format!("`{key}=` is only known when the code runs: {}", reason.text);
                    flow.doubt.get_or_insert(Reason::new(
                        text,
                        reason.origin.clone().or(Some(self.origin(frame.module, range))),
                    ));
                    continue;
                }
                Some(_) => {
                    let text = format!("`{key}=` is no text");
                    flow.doubt.get_or_insert(Reason::new(text, Some(self.origin(frame.module, range))));
                    continue;
                }
            };
            match (key, text.is_empty()) {
                (_, true) => {}
                ("name", _) => flow.name = text,
                ("description", _) => flow.description = Some(text),
                _ => flow.version = Some(text),
            }
        }
        if flow.name.contains(['/', '%', '&', '>', '<']) {
            let origin = self.origin(frame.module, range);
            flow.faults.push(
                Diagnostic::error(
                    "E0205",
                    format!("the flow name `{}` holds a character that Prefect forbids", flow.name),
                )
                .at(origin, "named here")
                .help("leave out `/`, `%`, `&`, `>` and `<`"),
            );
        }
        Value::Flow(Rc::new(flow))
    }
}

/// Decorators that make something of a method which is no field.
fn is_method_decorator(name: &str) -> bool {
    matches!(
        name,
        "builtins.property"
            | "functools.cached_property"
            | "functools.lru_cache"
            | "functools.cache"
            | "enum.property"
            | "typing.override"
            | "typing.no_type_check"
            | "functools.singledispatchmethod"
    )
}

/// Constructors whose arguments are kept for later.
fn makes(name: &str) -> bool {
    let (module, last) = simple::split(name);
    match module {
        "annotated_types" => {
            matches!(last, "Gt" | "Ge" | "Lt" | "Le" | "MinLen" | "MaxLen" | "Len" | "Interval" | "MultipleOf")
        }
        "dataclasses" => matches!(last, "field" | "dataclass"),
        "pydantic.dataclasses" => last == "dataclass",
        "pydantic" => {
            matches!(
                last,
                "Field"
                    | "ConfigDict"
                    | "StringConstraints"
                    | "PrivateAttr"
                    | "AfterValidator"
                    | "BeforeValidator"
                    | "WrapValidator"
                    | "PlainSerializer"
                    | "WrapSerializer"
                    | "Strict"
                    | "field_validator"
                    | "model_validator"
                    | "field_serializer"
                    | "model_serializer"
                    | "conint"
                    | "confloat"
                    | "constr"
                    | "conlist"
                    | "conset"
                    | "confrozenset"
                    | "conbytes"
                    | "condecimal"
                    | "validator"
                    | "root_validator"
                    | "computed_field"
            )
        }
        "typing_extensions" => last == "Doc",
        _ => false,
    }
}

/// A standard object.
pub(super) fn data(class: &'static str, json: String) -> Value {
    Value::Data(Rc::new(Data { class, json: Json::String(json) }))
}

/// A path as `pathlib` writes it on POSIX.
pub(super) fn path(text: &str) -> Value {
    let root = match text.bytes().take_while(|b| *b == b'/').count() {
        0 => "",
        2 => "//",
        _ => "/",
    };
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let joined = format!("{root}{}", parts.join("/"));
    data("pathlib.Path", if joined.is_empty() { ".".to_owned() } else { joined })
}

/// Digits with at most one point: what `Decimal` writes back unchanged.
fn plain_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all = |part: &str| !part.is_empty() && part.len() < 20 && part.bytes().all(|b| b.is_ascii_digit());
    all(whole)
        && all(fraction)
        && (whole == "0" || !whole.starts_with('0'))
        && (fraction.len() < 6 || !digits.starts_with('0'))
}
