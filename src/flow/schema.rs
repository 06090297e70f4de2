//! A type becomes a JSON schema, as pydantic 2.14 writes it in validation mode.

use std::rc::Rc;

use ruff_python_ast::Expr;
use ruff_python_ast::visitor::{Visitor, walk_expr};
use serde_json::{Map, Value as Json, json};

use super::Reason;
use super::class::{Field, Kind, Shape};
use super::constraint::{Extras, limit};
use super::machine::{Frame, Machine, Raise};
use super::simple;
use super::value::{Alias, Annotation, Class, Value};

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
    fn vague(text: impl Into<String>) -> Self {
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
    fn new(json: Json, sort: Sort) -> Self {
        let map = match json {
            Json::Object(map) => map,
            _ => Map::new(),
        };
        Js { map, sort, titled: true, inner: None }
    }

    fn any() -> Self {
        Js::new(json!({}), Sort::Other)
    }

    fn reference(name: &str) -> Self {
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
}

impl Place {
    /// A parameter of the flow.
    pub fn parameter() -> Self {
        Place { class: None, arbitrary: true, plain: true }
    }
}

type Made = Result<Js, Bad>;

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
                let mut js = self.schema(&inner.0, place)?;
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
            _ if simple::is_instance_of(name) && place.arbitrary => Ok(Js::any()),
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
                        Err(Bad::Skip) => {}
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

    // annotations as texts

    /// A text in a class: the names of its module once everything is loaded.
    pub fn annotation_in_class(&mut self, annotation: &Annotation, class: &Rc<Class>) -> Result<Value, Bad> {
        match annotation {
            Annotation::Now(value) => Ok(value.clone()),
            Annotation::Broken => Err(Bad::vague("the annotation is no expression")),
            Annotation::Text(expr) => {
                let names = names_in(expr);
                if names.iter().any(|name| class.env.borrow().contains_key(name)) {
                    return Err(Bad::vague(format!(
                        "an annotation of `{}` uses a name of the class itself",
                        class.name
                    )));
                }
                match self.eval(&Frame::top(class.module), expr) {
                    Ok(Value::Str(text)) => Ok(Value::Forward(text)),
                    Ok(value) => Ok(value),
                    Err(raise) => Err(Bad::Unknown(Reason::new(raise.text(), Some(class.origin.clone())))),
                }
            }
        }
    }

    /// A text that pydantic looks at where Prefect makes its model: it sees the built-in names only.
    pub fn annotation_in_prefect(&mut self, annotation: &Annotation) -> Result<Value, Bad> {
        const SEEN: &[&str] = &[
            "typing",
            "t",
            "inspect",
            "pydantic",
            "V2BaseModel",
            "ConfigDict",
            "PydanticUndefinedAnnotation",
            "create_model",
            "PydanticUserError",
            "FieldInfo",
            "TypeAdapter",
            "GenerateEmptySchemaForUserClasses",
            "is_v2_model",
            "is_v2_type",
            "has_v2_type_as_param",
            "process_v2_params",
            "create_v2_schema",
            "name_",
            "model_cfg",
            "model_base",
            "model_fields",
            "model",
            "adapter",
            "schema",
            "CheckParameter",
            "Parameters",
        ];
        match annotation {
            Annotation::Now(value) => Ok(value.clone()),
            Annotation::Broken => Err(Bad::vague("the annotation is no expression")),
            Annotation::Text(expr) => {
                for name in names_in(expr) {
                    if SEEN.contains(&name.as_str()) || name.starts_with("__") {
                        return Err(Bad::vague(format!("`{name}` may mean something inside Prefect")));
                    }
                    if !simple::is_builtin(&name) {
                        return Err(Bad::Untyped);
                    }
                }
                let nowhere = self.nowhere();
                match self.eval(&Frame::top(nowhere), expr) {
                    Ok(Value::Str(text)) => Ok(Value::Forward(text)),
                    Ok(value) => Ok(value),
                    Err(Raise::Name(_)) => Err(Bad::Untyped),
                    Err(raise) => Err(Bad::vague(raise.text())),
                }
            }
        }
    }

    // definitions

    /// A definition, made once; a reference to it.
    fn definition_of(&mut self, name: &str, id: usize, make: impl FnOnce(&mut Self) -> Result<Json, Bad>) -> Made {
        if !name.is_ascii() {
            return Err(Bad::vague(format!("the name `{name}` is rewritten by pydantic")));
        }
        let clash = || Bad::vague(format!("two types are called `{name}`"));
        match self.definitions.get(name) {
            Some((known, _)) if *known == id => return Ok(Js::reference(name)),
            Some(_) => return Err(clash()),
            None => {}
        }
        if self.busy.iter().any(|(busy, _)| *busy == id) {
            return Ok(Js::reference(name));
        }
        if self.busy.iter().any(|(_, busy)| busy == name) {
            return Err(clash());
        }
        self.busy.push((id, name.to_owned()));
        let made = make(self);
        self.busy.pop();
        let json = match made {
            Ok(json) => json,
            Err(Bad::Unknown(reason)) => return Err(Bad::Unknown(reason)),
            Err(Bad::Untyped | Bad::Skip) => return Err(Bad::vague(format!("`{name}` has a field without a schema"))),
        };
        if self.definitions.insert(name.to_owned(), (id, json)).is_some() {
            return Err(clash());
        }
        Ok(Js::reference(name))
    }

    fn alias(&mut self, alias: &Rc<Alias>, place: &Place) -> Made {
        let id = Rc::as_ptr(alias) as usize;
        self.definition_of(&alias.name, id, |m| {
            let value = match &alias.value {
                Annotation::Now(value) if mentions_forward(value) => {
                    return Err(Bad::vague("the alias refers to names in texts"));
                }
                Annotation::Now(value) => value.clone(),
                Annotation::Broken => return Err(Bad::vague("the alias is no expression")),
                Annotation::Text(expr) => match m.eval(&Frame::top(alias.module), expr) {
                    Ok(value) => value,
                    Err(raise) => return Err(Bad::vague(raise.text())),
                },
            };
            Ok(Json::Object(m.schema(&value, place)?.map))
        })
    }

    fn class_schema(&mut self, class: &Rc<Class>, place: &Place) -> Made {
        let kind = self.kind(class).map_err(Bad::Unknown)?;
        let id = Rc::as_ptr(class) as usize;
        let name = class.name.clone();
        match kind {
            Kind::Plain if place.arbitrary => Ok(Js::any()),
            Kind::Plain => Err(Bad::vague(format!("pydantic knows nothing of `{name}`"))),
            Kind::Enum(members) if members.is_empty() => Err(Bad::vague(format!("`{name}` has no members"))),
            Kind::Enum(members) => self.definition_of(&name, id, |m| m.enumeration_schema(class, &members)),
            Kind::Model(shape) => {
                for (key, value) in &shape.config {
                    check_config(key, value)?;
                }
                let arbitrary = matches!(shape.config("arbitrary_types_allowed"), Some(Value::Bool(true)));
                let plain = shape.config("extra").is_none();
                let inner = Place { class: Some(class.clone()), arbitrary, plain };
                self.definition_of(&name, id, |m| {
                    let mut map = m.fields_schema(&shape, &inner)?;
                    m.describe(&mut map, class, &shape)?;
                    Ok(Json::Object(map))
                })
            }
            Kind::Dataclass(_) if !place.plain => {
                Err(Bad::vague(format!("the configuration of a model reaches into `{name}`")))
            }
            Kind::Dataclass(shape) => {
                let inner = Place { class: Some(class.clone()), arbitrary: false, plain: true };
                self.definition_of(&name, id, |m| {
                    let mut map = m.fields_schema(&shape, &inner)?;
                    let own = class.doc.as_ref().is_some_and(|doc| !doc.starts_with(&format!("{}(", class.name)));
                    if own {
                        m.describe(&mut map, class, &shape)?;
                    } else {
                        map.insert("title".to_owned(), json!(class.name));
                    }
                    Ok(Json::Object(map))
                })
            }
            Kind::TypedDict(shape) => {
                let inner = Place { class: Some(class.clone()), arbitrary: false, plain: place.plain };
                self.definition_of(&name, id, |m| {
                    let mut map = m.fields_schema(&shape, &inner)?;
                    m.describe(&mut map, class, &shape)?;
                    Ok(Json::Object(map))
                })
            }
            Kind::NamedTuple(shape) => {
                let inner = Place { class: Some(class.clone()), arbitrary: false, plain: place.plain };
                self.definition_of(&name, id, |m| m.named_tuple(&shape, &inner))
            }
        }
    }

    fn enumeration_schema(&mut self, class: &Rc<Class>, members: &[(String, Value)]) -> Result<Json, Bad> {
        let mut values = Vec::new();
        for (_, value) in members {
            values.push(self.plain_json(value)?);
        }
        let mut map = Map::new();
        map.insert("title".to_owned(), json!(class.name));
        if let Some(doc) = class.doc.as_ref().filter(|doc| !doc.is_empty()) {
            let doc = super::docstring::clean(doc);
            if doc != "An enumeration." {
                map.insert("description".to_owned(), json!(doc));
            }
        }
        if let Some(name) = kind_of(&values).filter(|name| *name != "null") {
            map.insert("type".to_owned(), json!(name));
        }
        map.insert("enum".to_owned(), Json::Array(values));
        Ok(Json::Object(map))
    }

    /// Title, description and additional properties of a class.
    fn describe(&mut self, map: &mut Map<String, Json>, class: &Class, shape: &Shape) -> Result<(), Bad> {
        let title = match shape.config("title") {
            Some(Value::Str(title)) => title.to_string(),
            _ => class.name.clone(),
        };
        map.insert("title".to_owned(), json!(title));
        if let Some(doc) = class.doc.as_ref().filter(|doc| !doc.is_empty()) {
            map.insert("description".to_owned(), json!(super::docstring::clean(doc)));
        }
        match shape.config("extra").and_then(Value::as_str) {
            Some("allow") => map.insert("additionalProperties".to_owned(), json!(true)),
            Some("forbid") => map.insert("additionalProperties".to_owned(), json!(false)),
            _ => None,
        };
        if let Some(extra @ Value::Dict(_)) = shape.config("json_schema_extra") {
            match self.plain_json(&extra.clone())? {
                Json::Object(extra) => map.extend(extra),
                _ => return Err(Bad::vague("`json_schema_extra` is left to Python")),
            }
        }
        Ok(())
    }

    /// The type of a field without what stands around it, and what it says of itself.
    pub fn field_of(&mut self, field: &Field) -> Result<(Value, Extras), Bad> {
        let mut ty = self.annotation_in_class(&field.annotation, &field.owner)?;
        ty = self.force(ty);
        if let Value::Forward(text) = &ty {
            let inner = super::exec::parse_annotation(text);
            ty = self.annotation_in_class(&inner, &field.owner)?;
        }
        let mut extras = Extras::default();
        if let Value::Annotated(inner) = &ty {
            extras = self.metadata(&inner.1)?;
            ty = inner.0.clone();
        }
        match &field.default {
            Some(Value::Made(made)) if &*made.by == "pydantic.Field" => {
                let said = self.field(&made.args)?;
                extras.merge(said);
            }
            Some(Value::Made(made)) if &*made.by == "dataclasses.field" => {
                extras.default = made.args.get("default").cloned();
                extras.factory = made.args.get("default_factory").cloned();
            }
            Some(Value::Ellipsis) | None => {}
            Some(value) => extras.default = Some(value.clone()),
        }
        Ok((ty, extras))
    }

    fn fields_schema(&mut self, shape: &Shape, place: &Place) -> Result<Map<String, Json>, Bad> {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in &shape.fields {
            let (mut ty, extras) = self.field_of(field)?;
            let mut needed = field.total;
            while let Value::Generic(origin, args) = &ty {
                match (&**origin, args.len()) {
                    ("typing.Required", 1) => needed = true,
                    ("typing.NotRequired", 1) => needed = false,
                    ("typing.ReadOnly", 1) => {}
                    _ => break,
                }
                ty = args[0].clone();
            }
            match &ty {
                Value::Extern(name) if &**name == "typing.ClassVar" => continue,
                Value::Generic(name, _) if &**name == "typing.ClassVar" => continue,
                Value::Extern(name) if &**name == "dataclasses.KW_ONLY" => continue,
                _ => {}
            }
            let place = Place { class: Some(field.owner.clone()), ..place.clone() };
            let about = |bad: Bad| match bad {
                Bad::Unknown(reason) => Bad::Unknown(Reason {
                    text: format!("field `{}` of `{}`: {}", field.name, field.owner.name, reason.text),
                    origin: reason.origin.or(Some(field.owner.origin.clone())),
                    ..reason
                }),
                other => other,
            };
            let mut js = self.schema(&ty, &place).map_err(about)?;
            limit(&mut js, &extras.limits).map_err(about)?;
            let titled = js.titled;
            let mut map = js.map;
            if let Some(default) = &extras.default
                && let Some(default) = self.encode(default).map_err(Bad::Unknown)?
            {
                map.insert("default".to_owned(), default);
            }
            needed &= extras.default.is_none() && extras.factory.is_none();
            map.extend(extras.updates);
            map.extend(extras.extra);
            let key = extras.alias.unwrap_or_else(|| field.name.clone());
            if titled && !map.contains_key("title") {
                map.insert("title".to_owned(), json!(title_of(&key)));
            }
            self.drop_redundant(&mut map);
            if needed {
                required.push(key.clone());
            }
            if properties.insert(key, Json::Object(map)).is_some() {
                return Err(Bad::vague("two fields have the same alias"));
            }
        }
        let mut map = Map::new();
        map.insert("type".to_owned(), json!("object"));
        map.insert("properties".to_owned(), Json::Object(properties));
        if !required.is_empty() {
            map.insert("required".to_owned(), json!(required));
        }
        Ok(map)
    }

    /// Beside a reference, what the definition says already is left out.
    pub fn drop_redundant(&self, map: &mut Map<String, Json>) {
        let Some(name) = map.get("$ref").and_then(Json::as_str).and_then(|r| r.strip_prefix("#/definitions/")) else {
            return;
        };
        let Some((_, Json::Object(definition))) = self.definitions.get(name) else { return };
        let redundant: Vec<String> =
            map.iter().filter(|(k, v)| *k != "$ref" && definition.get(*k) == Some(v)).map(|(k, _)| k.clone()).collect();
        for key in redundant {
            map.shift_remove(&key);
        }
    }

    fn named_tuple(&mut self, shape: &Shape, place: &Place) -> Result<Json, Bad> {
        let mut prefix = Vec::new();
        let mut needed = 0;
        for field in &shape.fields {
            let (ty, extras) = self.field_of(field)?;
            if matches!(&field.default, Some(Value::Made(_)))
                || !extras.limits.is_empty()
                || !extras.updates.is_empty()
                || !extras.extra.is_empty()
            {
                return Err(Bad::vague("the fields of a named tuple are left to Python"));
            }
            let js = self.schema(&ty, place)?;
            let mut map = js.map;
            match &extras.default {
                Some(default) => {
                    if let Some(default) = self.encode(default).map_err(Bad::Unknown)? {
                        map.insert("default".to_owned(), default);
                    }
                }
                None => needed += 1,
            }
            if js.titled {
                map.entry("title").or_insert_with(|| json!(title_of(&field.name)));
            }
            prefix.push(Json::Object(map));
        }
        let mut map = Map::new();
        map.insert("type".to_owned(), json!("array"));
        map.insert("maxItems".to_owned(), json!(prefix.len()));
        if needed > 0 {
            map.insert("minItems".to_owned(), json!(needed));
        }
        if !prefix.is_empty() {
            map.insert("prefixItems".to_owned(), Json::Array(prefix));
        }
        Ok(Json::Object(map))
    }
}

/// The configuration that leaves a schema as it is, or does what is known.
fn check_config(key: &str, value: &Value) -> Result<(), Bad> {
    let fine = match (key, value) {
        ("title", Value::Str(_)) => true,
        ("extra", Value::Str(extra)) => matches!(&**extra, "allow" | "forbid" | "ignore"),
        ("json_schema_extra", Value::Dict(_)) => true,
        ("protected_namespaces", _) => true,
        (
            "arbitrary_types_allowed"
            | "frozen"
            | "populate_by_name"
            | "validate_by_name"
            | "validate_assignment"
            | "validate_default"
            | "from_attributes"
            | "use_enum_values"
            | "strict"
            | "str_strip_whitespace"
            | "str_to_lower"
            | "str_to_upper"
            | "hide_input_in_errors"
            | "coerce_numbers_to_str"
            | "validate_return"
            | "allow_inf_nan",
            Value::Bool(_),
        ) => true,
        _ => false,
    };
    if fine { Ok(()) } else { Err(Bad::vague(format!("the configuration `{key}` is left to Python"))) }
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
fn kind_of(values: &[Json]) -> Option<&'static str> {
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

/// A field's title after its name: `some_name` is `Some Name`.
pub(super) fn title_of(name: &str) -> String {
    let mut out = String::new();
    let mut in_word = false;
    for c in name.chars() {
        match c.is_alphabetic() {
            true if in_word => out.extend(c.to_lowercase()),
            true => out.extend(c.to_uppercase()),
            false => out.push(if c == '_' { ' ' } else { c }),
        }
        in_word = c.is_alphabetic();
    }
    out.trim().to_owned()
}

/// The names that an expression reads.
pub(super) fn names_in(expr: &Expr) -> Vec<String> {
    struct Names(Vec<String>);
    impl<'a> Visitor<'a> for Names {
        fn visit_expr(&mut self, expr: &'a Expr) {
            if let Expr::Name(name) = expr {
                self.0.push(name.id.to_string());
            }
            walk_expr(self, expr);
        }
    }
    let mut names = Names(Vec::new());
    names.visit_expr(expr);
    names.0
}

/// Whether a text stands for a type somewhere inside.
fn mentions_forward(value: &Value) -> bool {
    match value {
        Value::Forward(_) | Value::Str(_) => true,
        Value::Generic(_, args) => args.iter().any(mentions_forward),
        Value::Union(members) => members.iter().any(mentions_forward),
        Value::Annotated(inner) => mentions_forward(&inner.0),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_made_as_python_titles_words() {
        assert_eq!(title_of("some_name"), "Some Name");
        assert_eq!(title_of("someName"), "Somename");
        assert_eq!(title_of("a1b_c"), "A1B C");
        assert_eq!(title_of("x_"), "X");
    }
}
