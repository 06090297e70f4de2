//! A class or a named alias becomes a definition that schemas refer to.

use std::rc::Rc;

use serde_json::{Map, Value as Json, json};

use super::Reason;
use super::class::{Field, Kind, Shape};
use super::constraint::{Extras, limit};
use super::machine::{Frame, Machine};
use super::schema::{Bad, Js, Made, Place, kind_of};
use super::value::{Alias, Annotation, Args, Class, Value};

/// What pydantic's `Field` takes, and so what it reads in the metadata of a dataclass' field.
const FIELD_ARGUMENTS: &[&str] = &[
    "alias",
    "alias_priority",
    "validation_alias",
    "serialization_alias",
    "title",
    "field_title_generator",
    "description",
    "examples",
    "exclude",
    "exclude_if",
    "discriminator",
    "deprecated",
    "json_schema_extra",
    "frozen",
    "validate_default",
    "repr",
    "init",
    "init_var",
    "kw_only",
    "pattern",
    "strict",
    "coerce_numbers_to_str",
    "gt",
    "ge",
    "lt",
    "le",
    "multiple_of",
    "allow_inf_nan",
    "max_digits",
    "decimal_places",
    "min_length",
    "max_length",
    "union_mode",
    "fail_fast",
];

impl Machine<'_> {
    /// A definition, made once; a reference to it.
    pub(super) fn definition_of(
        &mut self,
        name: &str,
        id: usize,
        make: impl FnOnce(&mut Self) -> Result<Json, Bad>,
    ) -> Made {
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
        let json = made?;
        if self.definitions.insert(name.to_owned(), (id, json)).is_some() {
            return Err(clash());
        }
        Ok(Js::reference(name))
    }

    pub(super) fn alias(&mut self, alias: &Rc<Alias>, place: &Place) -> Made {
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

    pub(super) fn class_schema(&mut self, class: &Rc<Class>, place: &Place) -> Made {
        let kind = self.kind(class).map_err(Bad::Unknown)?;
        let id = Rc::as_ptr(class) as usize;
        let name = class.name.clone();
        match kind {
            Kind::Plain if place.arbitrary => {
                self.lenient += 1;
                Ok(Js::any())
            }
            Kind::Plain => Err(Bad::vague(format!("pydantic knows nothing of `{name}`"))),
            Kind::Enum(members) if members.is_empty() => Err(Bad::vague(format!("`{name}` has no members"))),
            Kind::Enum(members) => self.definition_of(&name, id, |m| m.enumeration_schema(class, &members)),
            Kind::Model(shape) => {
                for (key, value) in &shape.config {
                    check_config(key, value)?;
                }
                let arbitrary = matches!(shape.config("arbitrary_types_allowed"), Some(Value::Bool(true)));
                let plain = shape.config("extra").is_none();
                let renamed = shape.config("alias_generator").is_some();
                let inner = Place { class: Some(class.clone()), arbitrary, plain, renamed };
                let before = self.lenient;
                let name = match &class.given {
                    Some(given) if given.open => {
                        return Err(Bad::vague(format!("a variable of `{}` stands for nothing", given.generic.name)));
                    }
                    Some(given) => given.definition.clone(),
                    None => name,
                };
                let made = self.definition_of(&name, id, |m| {
                    let mut map = m.fields_schema(&shape, &inner)?;
                    m.describe(&mut map, class, &shape)?;
                    Ok(Json::Object(map))
                });
                // A model has a configuration of its own: what it lets through is not for those around it.
                self.lenient = before;
                made
            }
            Kind::Root(shape) => {
                let inner = Place { class: Some(class.clone()), arbitrary: false, plain: true, renamed: false };
                let before = self.lenient;
                let made = self.definition_of(&name, id, |m| m.root_schema(class, &shape, &inner));
                self.lenient = before;
                made
            }
            Kind::Dataclass(shape) if shape.checked => {
                for (key, value) in &shape.config {
                    check_config(key, value)?;
                }
                let arbitrary = matches!(shape.config("arbitrary_types_allowed"), Some(Value::Bool(true)));
                let plain = shape.config("extra").is_none();
                let renamed = shape.config("alias_generator").is_some();
                let inner = Place { class: Some(class.clone()), arbitrary, plain, renamed };
                let before = self.lenient;
                let made = self.definition_of(&name, id, |m| m.dataclass_schema(class, &shape, &inner));
                self.lenient = before;
                made
            }
            Kind::Dataclass(_) if !place.plain => {
                Err(Bad::vague(format!("the configuration of a model reaches into `{name}`")))
            }
            Kind::Dataclass(shape) => {
                let inner =
                    Place { class: Some(class.clone()), arbitrary: place.arbitrary, plain: true, renamed: false };
                self.open_definition(&name, id, place, |m| m.dataclass_schema(class, &shape, &inner))
            }
            Kind::TypedDict(_) if !place.plain => {
                Err(Bad::vague(format!("the configuration of a model reaches into `{name}`")))
            }
            Kind::TypedDict(shape) => {
                let inner = Place { class: Some(class.clone()), ..place.clone() };
                self.open_definition(&name, id, place, |m| {
                    let mut map = m.fields_schema(&shape, &inner)?;
                    m.describe(&mut map, class, &shape)?;
                    Ok(Json::Object(map))
                })
            }
            Kind::NamedTuple(shape) => {
                let inner = Place { class: Some(class.clone()), ..place.clone() };
                self.open_definition(&name, id, place, |m| m.named_tuple(&shape, &inner))
            }
        }
    }

    /// The definition of a class that takes the configuration around it: what is let through in one place may not be
    /// in another.
    fn open_definition(
        &mut self,
        name: &str,
        id: usize,
        place: &Place,
        make: impl FnOnce(&mut Self) -> Result<Json, Bad>,
    ) -> Made {
        if place.renamed {
            return Err(Bad::vague(format!("a configuration around `{name}` gives its fields other names")));
        }
        if !place.arbitrary && self.lenient_ids.contains(&id) {
            return Err(Bad::vague(format!("pydantic knows nothing of a class inside `{name}`")));
        }
        let before = self.lenient;
        let made = self.definition_of(name, id, make);
        if self.lenient > before {
            self.lenient_ids.insert(id);
        } else if self.lenient_ids.contains(&id) {
            self.lenient += 1;
        }
        made
    }

    /// The value of a root model, under the name of the model.
    fn root_schema(&mut self, class: &Rc<Class>, shape: &Shape, place: &Place) -> Result<Json, Bad> {
        let Some(field) = shape.fields.first() else { return Err(Bad::vague("the root has no type")) };
        let (ty, extras) = self.field_of(field)?;
        let (_, mut map) = self.field_schema(field, &ty, &extras, place)?;
        if extras.alias.is_some() || ["$ref", "title", "description"].iter().any(|key| map.contains_key(*key)) {
            return Err(Bad::vague(format!("what `{}` says of its root is left to Python", class.name)));
        }
        self.describe(&mut map, class, shape)?;
        Ok(Json::Object(map))
    }

    fn dataclass_schema(&mut self, class: &Rc<Class>, shape: &Shape, place: &Place) -> Result<Json, Bad> {
        let mut map = self.fields_schema(shape, place)?;
        // A docstring that looks like a signature was made by `dataclass` itself.
        let signature = |doc: &String| doc.starts_with(&format!("{}(", class.name));
        match class.doc.as_ref().filter(|doc| signature(doc)) {
            None => self.describe(&mut map, class, shape)?,
            Some(_) if !shape.config.is_empty() => {
                return Err(Bad::vague("the docstring of a dataclass looks like a signature"));
            }
            Some(_) => {
                map.insert("title".to_owned(), json!(class.name));
            }
        }
        Ok(Json::Object(map))
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
        for pairs in &field.given {
            ty = self.filled_in(&ty, pairs)?;
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
                match made.args.get("metadata") {
                    None | Some(Value::None) => {}
                    Some(Value::Dict(items)) => {
                        let known = items.iter().filter_map(|(key, value)| {
                            let key = key.as_str().filter(|key| FIELD_ARGUMENTS.contains(key))?;
                            Some((key.to_owned(), value.clone()))
                        });
                        let said = self.field(&Args { pos: Vec::new(), kw: known.collect() })?;
                        extras.merge(said);
                    }
                    Some(_) => return Err(Bad::vague("the metadata of a field is only known when the code runs")),
                }
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
            let (titled, mut map) = self.field_schema(field, &ty, &extras, place)?;
            needed &= extras.default.is_none() && extras.factory.is_none();
            let key = match extras.alias {
                Some(alias) => alias,
                None => alias_of(shape, &field.name)?,
            };
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

    /// The schema of a field with what it says of itself, and whether it takes a title.
    fn field_schema(
        &mut self,
        field: &Field,
        ty: &Value,
        extras: &Extras,
        place: &Place,
    ) -> Result<(bool, Map<String, Json>), Bad> {
        let place = Place { class: Some(field.owner.clone()), ..place.clone() };
        let about = |bad: Bad| match bad {
            Bad::Unknown(reason) => Bad::Unknown(Reason {
                text: format!("field `{}` of `{}`: {}", field.name, field.owner.name, reason.text),
                origin: reason.origin.or(Some(field.owner.origin.clone())),
                ..reason
            }),
            other => other,
        };
        let mut js = self.schema_or_tagged(ty, extras, &place).map_err(about)?;
        limit(&mut js, &extras.limits).map_err(about)?;
        let mut map = js.map;
        if let Some(default) = &extras.default
            && let Some(default) = self.encode(default).map_err(Bad::Unknown)?
        {
            map.insert("default".to_owned(), default);
        }
        map.extend(extras.updates.clone());
        map.extend(extras.extra.clone());
        Ok((js.titled, map))
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

    /// The definitions that something refers to, directly or not; the others are left out.
    pub fn reachable(&self, from: Option<&Json>) -> Map<String, Json> {
        let mut waiting: Vec<&Json> = from.into_iter().collect();
        let mut found = Map::new();
        while let Some(json) = waiting.pop() {
            match json {
                Json::Object(map) => {
                    waiting.extend(map.values());
                    let name = map.get("$ref").and_then(Json::as_str).and_then(|r| r.strip_prefix("#/definitions/"));
                    if let Some((name, (_, json))) = name.and_then(|name| self.definitions.get_key_value(name))
                        && !found.contains_key(name)
                    {
                        found.insert(name.clone(), json.clone());
                        waiting.push(json);
                    }
                }
                Json::Array(items) => waiting.extend(items),
                Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
            }
        }
        found
    }

    fn named_tuple(&mut self, shape: &Shape, place: &Place) -> Result<Json, Bad> {
        let mut prefix = Vec::new();
        let mut needed = 0;
        for field in &shape.fields {
            let (ty, extras) = self.field_of(field)?;
            if extras.alias.is_some() {
                return Err(Bad::vague("the fields of a named tuple are left to Python"));
            }
            let (titled, mut map) = self.field_schema(field, &ty, &extras, place)?;
            needed += usize::from(extras.default.is_none() && extras.factory.is_none());
            if titled && !map.contains_key("title") {
                map.insert("title".to_owned(), json!(title_of(&field.name)));
            }
            self.drop_redundant(&mut map);
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
        ("alias_generator", Value::Extern(name)) => GENERATORS.contains(&&**name),
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

/// Generators of aliases whose results are known for plain names.
const GENERATORS: &[&str] = &["pydantic.alias_generators.to_camel", "pydantic.alias_generators.to_pascal"];

/// The name of a field in JSON when it has no alias of its own.
fn alias_of(shape: &Shape, name: &str) -> Result<String, Bad> {
    let Some(generator) = shape.config("alias_generator") else { return Ok(name.to_owned()) };
    let words: Vec<&str> = name.split('_').collect();
    let plain = words.iter().all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()));
    let pascal = match generator {
        Value::Extern(by) if GENERATORS.contains(&&**by) && plain => by.ends_with("to_pascal"),
        _ => return Err(Bad::vague(format!("the alias of `{name}` is only known when the code runs"))),
    };
    let mut out = String::new();
    for (at, word) in words.iter().enumerate() {
        match at == 0 && !pascal {
            true => out.push_str(word),
            false => {
                out.extend(word.chars().take(1).map(|c| c.to_ascii_uppercase()));
                out.push_str(&word[1..]);
            }
        }
    }
    Ok(out)
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
