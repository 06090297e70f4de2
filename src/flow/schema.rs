//! A type becomes a JSON schema, as pydantic 2.14 writes it in validation mode.

use std::rc::Rc;

use serde_json::{Map, Value as Json, json};

use super::Reason;
use super::constraint::limit;
use super::machine::Machine;
use super::simple;
use super::value::{Class, Value};

/// Why a type has no schema.
pub(super) enum Bad {
    /// Only Python can tell.
    Unknown(Reason),
    /// Pydantic cannot make anything of it: the parameter counts as untyped.
    Untyped,
    /// It has no JSON schema: left out of a union, else the parameter counts as untyped.
    Skip,
}

impl Bad {
    /// Only Python can tell.
    pub(super) fn vague(text: impl Into<String>) -> Self {
        Bad::Unknown(Reason::new(text, None))
    }
}

/// Which constraints a schema takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Int,
    Float,
    Str,
    Bytes,
    Array,
    Object,
    Decimal,
    Other,
}

/// A schema under construction.
pub(super) struct Js {
    /// Its keys.
    pub map: Map<String, Json>,
    /// Which constraints it takes.
    pub sort: Sort,
    /// Whether a field of this type is titled after its name.
    pub titled: bool,
    /// What it is when it is not null.
    pub inner: Option<Box<Js>>,
}

impl Js {
    pub(super) fn new(json: Json, sort: Sort) -> Self {
        let map = match json {
            Json::Object(map) => map,
            _ => Map::new(),
        };
        Js { map, sort, titled: true, inner: None }
    }

    pub(super) fn any() -> Self {
        Js::new(json!({}), Sort::Other)
    }

    pub(super) fn reference(name: &str) -> Self {
        Js { titled: false, ..Js::new(json!({"$ref": format!("#/definitions/{name}")}), Sort::Other) }
    }
}

/// Where a type stands.
#[derive(Clone)]
pub(super) struct Place {
    /// The class whose field it is; a parameter of the flow otherwise.
    pub class: Option<Rc<Class>>,
    /// Whether classes that pydantic knows nothing of are let through.
    pub arbitrary: bool,
    /// Whether the configuration around it reaches into dataclasses.
    pub plain: bool,
    /// Whether a configuration around it gives fields other names.
    pub renamed: bool,
}

impl Place {
    /// A parameter of the flow.
    pub fn parameter() -> Self {
        Place { class: None, arbitrary: true, plain: true, renamed: false }
    }
}

pub(super) type Made = Result<Js, Bad>;

impl Machine<'_> {
    /// The schema of a type.
    pub fn schema(&mut self, ty: &Value, place: &Place) -> Made {
        let ty = self.force(ty.clone());
        self.spend(10);
        self.deeper(|m| m.schema_inner(&ty, place)).unwrap_or_else(|| Err(Bad::vague("the type nests too deeply")))
    }

    fn schema_inner(&mut self, ty: &Value, place: &Place) -> Made {
        Ok(match ty {
            Value::Unknown(reason) => return Err(Bad::Unknown((**reason).clone())),
            Value::None => Js::new(json!({"type": "null"}), Sort::Other),
            Value::Extern(name) => return self.named(name, place),
            Value::Generic(origin, args) => return self.generic(origin, args, place),
            Value::Union(members) => return self.union(members, place),
            Value::Literal(values) => return self.literal(values),
            Value::Annotated(inner) => {
                let extras = self.metadata(&inner.1)?;
                let mut js = self.schema_or_tagged(&inner.0, &extras, place)?;
                limit(&mut js, &extras.limits)?;
                if extras.alias.is_some() {
                    return Err(Bad::vague("an alias stands inside a type"));
                }
                js.inner = js.inner.filter(|_| extras.updates.is_empty() && extras.extra.is_empty());
                js.map.extend(extras.updates);
                js.map.extend(extras.extra);
                js
            }
            Value::NewType(inner) => {
                let inner = match &**inner {
                    Value::Str(text) => Value::Forward(text.clone()),
                    other => other.clone(),
                };
                return self.schema(&inner, place);
            }
            Value::TypeVar(bound, constraints) => match (bound, constraints.is_empty()) {
                (Some(bound), _) => return self.schema(&bound.clone(), place),
                (None, true) => Js::any(),
                (None, false) => return self.union(constraints, place),
            },
            Value::Forward(text) => {
                let annotation = super::exec::parse_annotation(text);
                let value = match &place.class {
                    Some(class) => self.annotation_in_class(&annotation, &class.clone())?,
                    None => self.annotation_in_prefect(&annotation)?,
                };
                return self.schema(&value, place);
            }
            Value::Alias(alias) => return self.alias(&alias.clone(), place),
            Value::Class(class) => return self.class_schema(&class.clone(), place),
            Value::Made(made) => return self.constrained(made.clone(), place),
            _ => return Err(Bad::vague("the annotation is no type that can be read")),
        })
    }

    /// A type of a library without arguments.
    fn named(&mut self, name: &str, place: &Place) -> Made {
        if let Some(json) = simple::fixed(name) {
            let has = |key: &str, value: &str| json.get(key).and_then(Json::as_str) == Some(value);
            let sort = match name {
                "decimal.Decimal" => Sort::Decimal,
                "builtins.bytes" | "pydantic.StrictBytes" => Sort::Bytes,
                "builtins.str" | "typing.Text" | "pydantic.StrictStr" => Sort::Str,
                _ if has("type", "integer") => Sort::Int,
                _ if has("type", "number") => Sort::Float,
                _ => Sort::Other,
            };
            return Ok(Js::new(json, sort));
        }
        match name {
            "builtins.object" | "typing.Any" | "builtins.type" | "typing.Type" => Ok(Js::any()),
            "typing.AnyStr" => {
                Ok(Js::new(json!({"anyOf": [{"format": "binary", "type": "string"}, {"type": "string"}]}), Sort::Other))
            }
            "typing.Callable" | "collections.abc.Callable" => Err(Bad::Skip),
            "pydantic.JsonValue" => {
                self.definitions.insert("JsonValue".to_owned(), (0, json!({})));
                Ok(Js::reference("JsonValue"))
            }
            _ if simple::is_generic(name) => self.generic(name, &[], place),
            _ if simple::is_instance_of(name) && place.arbitrary => {
                self.lenient += 1;
                Ok(Js::any())
            }
            _ => Err(Bad::vague(format!("what pydantic makes of `{name}` is only known to Python"))),
        }
    }

    /// `origin[arguments]`; without arguments, the bare type.
    fn generic(&mut self, origin: &str, args: &[Value], place: &Place) -> Made {
        let (module, last) = simple::split(origin);
        let bare = args.is_empty();
        let arity = |wanted: usize| match bare || args.len() == wanted {
            true => Ok(()),
            false => Err(Bad::vague(format!("`{origin}` has another number of arguments"))),
        };
        Ok(match last {
            "list" | "List" | "Sequence" | "MutableSequence" | "Iterable" | "Deque" | "deque" | "Generator" => {
                if last != "Generator" {
                    arity(1)?;
                }
                let items = self.argument(args, place)?;
                let sort = if matches!(last, "list" | "List") { Sort::Array } else { Sort::Other };
                Js::new(json!({"type": "array", "items": items}), sort)
            }
            "set" | "Set" | "frozenset" | "FrozenSet" | "AbstractSet" | "MutableSet" => {
                arity(1)?;
                let items = self.argument(args, place)?;
                let sort = if matches!(last, "AbstractSet" | "MutableSet") || module == "collections.abc" {
                    Sort::Other
                } else {
                    Sort::Array
                };
                Js::new(json!({"type": "array", "items": items, "uniqueItems": true}), sort)
            }
            "tuple" | "Tuple" => return self.tuple(args, place),
            "dict" | "Dict" | "Mapping" | "MutableMapping" | "OrderedDict" => {
                arity(2)?;
                let sort = if matches!(last, "dict" | "Dict") { Sort::Object } else { Sort::Other };
                return self.dict(args, sort, place);
            }
            "DefaultDict" | "defaultdict" => match args {
                [_, Value::Extern(value)]
                    if matches!(
                        &**value,
                        "builtins.int"
                            | "builtins.str"
                            | "builtins.float"
                            | "builtins.list"
                            | "builtins.dict"
                            | "builtins.set"
                    ) =>
                {
                    return self.dict(args, Sort::Other, place);
                }
                _ => return Err(Bad::vague("the default of a `defaultdict` is left to Python")),
            },
            "Counter" => {
                arity(1)?;
                match args.first() {
                    None => {}
                    Some(Value::Extern(key)) if &**key == "builtins.str" => {}
                    Some(_) => return Err(Bad::vague("the keys of a `Counter` are left to Python")),
                }
                Js::new(json!({"type": "object", "additionalProperties": {"type": "integer"}}), Sort::Other)
            }
            "type" | "Type" => match args {
                [] | [Value::Class(_)] => Js::any(),
                [Value::Extern(name)] if simple::fixed(name).is_some() || &**name == "typing.Any" => Js::any(),
                _ => return Err(Bad::vague("the class of a class is left to Python")),
            },
            "Callable" => return Err(Bad::Skip),
            "Final" if place.class.is_none() && args.len() == 1 => return self.schema(&args[0], place),
            "Pattern" => Js::new(json!({"type": "string", "format": "regex"}), Sort::Other),
            "PathLike" if matches!(args, [Value::Extern(name)] if &**name == "builtins.str") => {
                Js::new(json!({"type": "string", "format": "path"}), Sort::Other)
            }
            "Json" => {
                let inner = self.argument(args, place)?;
                Js::new(
                    json!({"type": "string", "contentMediaType": "application/json", "contentSchema": inner}),
                    Sort::Other,
                )
            }
            _ => return Err(Bad::vague(format!("`{origin}` is left to Python"))),
        })
    }

    /// The schema of the first argument, `{}` without one.
    fn argument(&mut self, args: &[Value], place: &Place) -> Result<Json, Bad> {
        match args.first() {
            Some(arg) => Ok(Json::Object(self.schema(arg, place)?.map)),
            None => Ok(json!({})),
        }
    }

    fn tuple(&mut self, args: &[Value], place: &Place) -> Made {
        if let [item, Value::Ellipsis] = args {
            let items = self.schema(item, place)?.map;
            return Ok(Js::new(json!({"type": "array", "items": items}), Sort::Array));
        }
        if args.is_empty() {
            return Ok(Js::new(json!({"type": "array", "items": {}}), Sort::Array));
        }
        if let [Value::Tuple(items)] = args
            && items.is_empty()
        {
            return Ok(Js::new(json!({"type": "array", "minItems": 0, "maxItems": 0}), Sort::Other));
        }
        let mut prefix = Vec::new();
        for arg in args {
            prefix.push(Json::Object(self.schema(arg, place)?.map));
        }
        let count = prefix.len();
        Ok(Js::new(json!({"type": "array", "prefixItems": prefix, "minItems": count, "maxItems": count}), Sort::Other))
    }

    fn dict(&mut self, args: &[Value], sort: Sort, place: &Place) -> Made {
        let [keys, values] = args else {
            return Ok(Js::new(json!({"type": "object", "additionalProperties": true}), sort));
        };
        let mut keys = self.schema(keys, place)?.map;
        let mut values = self.schema(values, place)?.map;
        let reference = keys.contains_key("$ref");
        let pattern = if reference { None } else { keys.shift_remove("pattern") };
        if !reference {
            keys.shift_remove("title");
        }
        values.shift_remove("title");
        let mut map = Map::new();
        map.insert("type".to_owned(), json!("object"));
        match pattern {
            Some(Json::String(pattern)) => {
                map.insert("patternProperties".to_owned(), json!({ pattern: values }));
            }
            _ if values.is_empty() => {
                map.insert("additionalProperties".to_owned(), Json::Bool(true));
            }
            _ => {
                map.insert("additionalProperties".to_owned(), Json::Object(values));
            }
        }
        if reference || (keys.get("type") == Some(&json!("string")) && keys.len() > 1) {
            keys.shift_remove("type");
            map.insert("propertyNames".to_owned(), Json::Object(keys));
        }
        Ok(Js::new(Json::Object(map), sort))
    }

    fn union(&mut self, members: &[Value], place: &Place) -> Made {
        let choices: Vec<&Value> = members.iter().filter(|m| !matches!(m, Value::None)).collect();
        let null = choices.len() < members.len();
        let inner = match &choices[..] {
            [] => return Ok(Js::new(json!({"type": "null"}), Sort::Other)),
            [single] => self.schema(single, place)?,
            several => {
                let mut made = Vec::new();
                for choice in several {
                    match self.schema(choice, place) {
                        Ok(js) => made.push(Json::Object(js.map)),
                        Err(Bad::Skip) if is_callable(choice) => {}
                        Err(Bad::Skip) => return Err(Bad::vague("a member of the union has no schema")),
                        Err(bad) => return Err(bad),
                    }
                }
                match made.len() {
                    0 => return Err(Bad::vague("no member of the union has a schema")),
                    1 => Js::new(made.remove(0), Sort::Other),
                    _ => Js::new(Json::Object(any_of(made)), Sort::Other),
                }
            }
        };
        if !null {
            return Ok(inner);
        }
        Ok(Js { map: nullable(&inner.map), sort: Sort::Other, titled: inner.titled, inner: Some(Box::new(inner)) })
    }

    fn literal(&mut self, values: &[Value]) -> Made {
        let mut expected = Vec::new();
        for value in values {
            expected.push(self.plain_json(value)?);
        }
        let mut map = Map::new();
        if let Some(name) = kind_of(&expected) {
            map.insert("type".to_owned(), json!(name));
        }
        match expected.len() {
            1 => map.insert("const".to_owned(), expected.remove(0)),
            _ => map.insert("enum".to_owned(), Json::Array(expected)),
        };
        Ok(Js::new(Json::Object(map), Sort::Other))
    }

    /// `conint(...)` and its like.
    fn constrained(&mut self, made: Rc<super::value::Made>, place: &Place) -> Made {
        let (_, last) = simple::split(&made.by);
        let base = match last {
            "conint" => "builtins.int",
            "confloat" => "builtins.float",
            "constr" => "builtins.str",
            "conbytes" => "builtins.bytes",
            "condecimal" => "decimal.Decimal",
            "conlist" => "builtins.list",
            "conset" => "builtins.set",
            "confrozenset" => "builtins.frozenset",
            _ => return Err(Bad::vague("the annotation is no type that can be read")),
        };
        let item = matches!(last, "conlist" | "conset" | "confrozenset")
            .then(|| made.args.arg(0, "item_type").cloned())
            .flatten();
        let mut js = match item {
            Some(item) => self.generic(base, &[item], place)?,
            None if made.args.pos.is_empty() && !matches!(last, "conlist" | "conset" | "confrozenset") => {
                self.named(base, place)?
            }
            None => return Err(Bad::vague("the constraints are left to Python")),
        };
        for (key, value) in &made.args.kw {
            match (key.as_str(), value) {
                ("item_type", _) | (_, Value::None) => {}
                ("strict" | "strip_whitespace" | "to_upper" | "to_lower" | "allow_inf_nan", Value::Bool(_)) => {}
                ("gt" | "ge" | "lt" | "le" | "multiple_of", Value::Int(_) | Value::Float(_))
                | ("min_length" | "max_length" | "max_digits" | "decimal_places", Value::Int(_))
                | ("pattern", Value::Str(_)) => limit(&mut js, &[(key.clone(), value.clone())])?,
                _ => return Err(Bad::vague(format!("`{key}=` is left to Python"))),
            }
        }
        Ok(js)
    }
}

/// Whether a type is `Callable` itself, with or without arguments.
fn is_callable(ty: &Value) -> bool {
    matches!(ty, Value::Extern(name) | Value::Generic(name, _) if simple::split(name).1 == "Callable")
}

/// `anyOf`, flat and without repetitions.
fn any_of(schemas: Vec<Json>) -> Map<String, Json> {
    let mut members: Vec<Json> = Vec::new();
    for schema in schemas {
        let nested = schema
            .as_object()
            .filter(|map| map.len() == 1)
            .and_then(|map| map.get("anyOf"))
            .and_then(Json::as_array)
            .cloned();
        for member in nested.unwrap_or_else(|| vec![schema]) {
            if !members.contains(&member) {
                members.push(member);
            }
        }
    }
    match (members.len(), members.pop()) {
        (1, Some(Json::Object(single))) => single,
        (_, last) => {
            members.extend(last);
            Map::from_iter([("anyOf".to_owned(), Json::Array(members))])
        }
    }
}

/// The schema or null.
pub(super) fn nullable(inner: &Map<String, Json>) -> Map<String, Json> {
    let null = json!({"type": "null"});
    match Json::Object(inner.clone()) {
        same if same == null => inner.clone(),
        other => any_of(vec![other, null]),
    }
}

/// The one type of several JSON values.
pub(super) fn kind_of(values: &[Json]) -> Option<&'static str> {
    let name = |value: &Json| match value {
        Json::String(_) => "string",
        Json::Number(n) if n.is_f64() => "number",
        Json::Number(_) => "integer",
        Json::Bool(_) => "boolean",
        Json::Array(_) => "array",
        Json::Null => "null",
        Json::Object(_) => "",
    };
    let first = name(values.first()?);
    values.iter().all(|value| name(value) == first).then_some(first).filter(|name| !name.is_empty())
}
