//! What kind of class a class is, and its fields.

use std::rc::Rc;

use super::Reason;
use super::machine::Machine;
use super::value::{Annotation, Args, Class, Value, same};

/// Hooks through which a class tells pydantic its own schema.
const HOOKS: &[&str] = &[
    "__get_pydantic_core_schema__",
    "__get_pydantic_json_schema__",
    "__pydantic_init_subclass__",
    "__init_subclass__",
    "__get_validators__",
    "__modify_schema__",
    "__class_getitem__",
    "__pydantic_config__",
    "__set_name__",
];
/// Names that a pydantic model cannot give to a field.
const TAKEN: &[&str] = &[
    "model_computed_fields",
    "model_config",
    "model_construct",
    "model_copy",
    "model_dump",
    "model_dump_json",
    "model_extra",
    "model_fields",
    "model_fields_set",
    "model_json_schema",
    "model_parametrized_name",
    "model_post_init",
    "model_rebuild",
    "model_validate",
    "model_validate_json",
    "model_validate_strings",
];

/// What a class is to pydantic.
#[derive(Clone)]
pub(super) enum Kind {
    /// A pydantic model.
    Model(Rc<Shape>),
    /// A dataclass of the standard library.
    Dataclass(Rc<Shape>),
    /// A model that is one value: its only field is `root`.
    Root(Rc<Shape>),
    /// A typed dictionary.
    TypedDict(Rc<Shape>),
    /// A named tuple.
    NamedTuple(Rc<Shape>),
    /// An enumeration: its members in order.
    Enum(Rc<Vec<(String, Value)>>),
    /// A class that pydantic only checks instances of.
    Plain,
}

impl Kind {
    /// Whether what its body binds stays as it is.
    pub fn keeps_attributes(&self) -> bool {
        match self {
            Kind::Plain => true,
            Kind::Model(_)
            | Kind::Root(_)
            | Kind::Dataclass(_)
            | Kind::TypedDict(_)
            | Kind::NamedTuple(_)
            | Kind::Enum(_) => false,
        }
    }
}

/// The fields of a class, and what its configuration says.
#[derive(Clone, Default)]
pub(super) struct Shape {
    /// The fields, inherited ones first.
    pub fields: Vec<Field>,
    /// The configuration, inherited entries first.
    pub config: Vec<(String, Value)>,
    /// Whether it is a dataclass that pydantic made, which checks what it is made with.
    pub checked: bool,
    /// Why an instance's JSON form is not simply its fields.
    pub active: Option<String>,
}

impl Shape {
    /// An entry of the configuration.
    pub fn config(&self, key: &str) -> Option<&Value> {
        self.config.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }
}

/// A field of a class.
#[derive(Clone)]
pub(super) struct Field {
    /// Its name.
    pub name: String,
    /// Its annotation.
    pub annotation: Annotation,
    /// Its default as written: a value, or `Field(...)`.
    pub default: Option<Value>,
    /// The class that declares it.
    pub owner: Rc<Class>,
    /// Whether it is required unless it says otherwise (typed dictionaries).
    pub total: bool,
    /// Whether it is given by name only (dataclasses).
    pub kw_only: bool,
    /// What stands for the variables of the classes that it comes through, in that order.
    pub given: Vec<Rc<Vec<(Value, Value)>>>,
}

type Judged<T> = Result<T, String>;

impl Machine<'_> {
    /// What a class is to pydantic.
    pub fn kind(&mut self, class: &Rc<Class>) -> Result<Kind, Reason> {
        let key = Rc::as_ptr(class) as usize;
        if let Some(known) = self.memo.borrow().get(&key) {
            return known.clone();
        }
        let circular = Reason::new(format!("`{}` inherits in circles", class.name), Some(class.origin.clone()));
        self.memo.borrow_mut().insert(key, Err(circular.clone()));
        let judged = match &class.odd {
            Some(reason) => Err(reason.clone()),
            None => match self.deeper(|m| m.judge(class)) {
                None => Err(circular),
                Some(judged) => {
                    judged.map_err(|text| Reason::new(format!("`{}`: {text}", class.name), Some(class.origin.clone())))
                }
            },
        };
        self.memo.borrow_mut().insert(key, judged.clone());
        // Its address is a key as long as the machine lives.
        self.kept.push(class.clone());
        judged
    }

    /// The members of an enumeration.
    pub fn members(&mut self, class: &Rc<Class>) -> Result<Rc<Vec<(String, Value)>>, ()> {
        match self.kind(class) {
            Ok(Kind::Enum(members)) => Ok(members),
            Ok(
                Kind::Model(_)
                | Kind::Root(_)
                | Kind::Dataclass(_)
                | Kind::TypedDict(_)
                | Kind::NamedTuple(_)
                | Kind::Plain,
            )
            | Err(_) => Err(()),
        }
    }

    fn judge(&mut self, class: &Rc<Class>) -> Judged<Kind> {
        if let Some(given) = &class.given {
            return match self.kind(&given.generic).map_err(|reason| reason.text)? {
                Kind::Model(shape) => {
                    let mut shape = (*shape).clone();
                    shape.fields.iter_mut().for_each(|field| field.given.push(given.pairs.clone()));
                    Ok(Kind::Model(Rc::new(shape)))
                }
                Kind::Dataclass(_)
                | Kind::Root(_)
                | Kind::TypedDict(_)
                | Kind::NamedTuple(_)
                | Kind::Enum(_)
                | Kind::Plain => Err("generic classes of this kind are left to Python".to_owned()),
            };
        }
        let env = class.env.borrow().clone();
        if let Some(hook) = HOOKS.iter().find(|hook| env.contains_key(**hook)) {
            return Err(format!("it defines `{hook}`"));
        }
        let mut decorated = None;
        for decorator in &class.decorators {
            let name = match decorator {
                Value::Extern(name) => name.clone(),
                Value::Made(made) => made.by.clone(),
                _ => return Err("what its decorator makes is only known when the code runs".to_owned()),
            };
            match &*name {
                "dataclasses.dataclass" | "pydantic.dataclasses.dataclass" => decorated = Some(decorator.clone()),
                "enum.unique" | "functools.total_ordering" | "typing.final" => {}
                other => return Err(format!("what the decorator `{other}` makes is only known when the code runs")),
            }
        }
        let mut parents = Vec::new();
        let (mut generic, mut root) = (false, None);
        let mut externs: Vec<Rc<str>> = Vec::new();
        for base in &class.bases {
            match base {
                Value::Class(parent) => {
                    let kind = self.kind(parent).map_err(|reason| reason.text)?;
                    parents.push((parent.clone(), kind));
                }
                Value::Extern(name) if matches!(&**name, "builtins.object" | "abc.ABC") => {}
                Value::Extern(name) => externs.push(name.clone()),
                // Without arguments, its variables stand for anything or their bounds.
                Value::Generic(name, _) if &**name == "typing.Generic" => generic = true,
                Value::Generic(name, args) if &**name == "pydantic.RootModel" && args.len() == 1 => {
                    root = Some(args[0].clone());
                }
                Value::Unknown(reason) => {
                    return Err(format!("a base class is only known when the code runs ({})", reason.text));
                }
                _ => return Err("a base class is left to Python".to_owned()),
            }
        }
        let ext = |name: &str| externs.iter().any(|known| &**known == name);
        let is = |test: fn(&Kind) -> bool| parents.iter().any(|(_, kind)| test(kind));
        if root.is_some() || ext("pydantic.RootModel") || is(|k| matches!(k, Kind::Root(_))) {
            let alone = class.bases.len() == 1 && parents.is_empty() && decorated.is_none();
            return match alone && class.keywords.is_empty() {
                true => self.root_model(class, root).map(|shape| Kind::Root(Rc::new(shape))),
                false => Err("a root model with other bases is left to Python".to_owned()),
            };
        }
        if generic
            && (ext("typing_extensions.TypedDict")
                || ext("typing.NamedTuple")
                || is(|k| matches!(k, Kind::TypedDict(_) | Kind::NamedTuple(_) | Kind::Enum(_))))
        {
            return Err("generic classes of this kind are left to Python".to_owned());
        }
        let flags = ext("enum.Flag") || ext("enum.IntFlag");
        if flags || ext("enum.Enum") || ext("enum.IntEnum") || ext("enum.StrEnum") || is(|k| matches!(k, Kind::Enum(_)))
        {
            return self.enumeration(class, &externs, &parents, decorated.is_some());
        }
        if ext("pydantic.BaseModel") || is(|k| matches!(k, Kind::Model(_))) {
            if let Some(other) = externs.iter().find(|name| &***name != "pydantic.BaseModel") {
                return Err(format!("it inherits from `{other}`"));
            }
            if decorated.is_some() {
                return Err("it is a model and a dataclass".to_owned());
            }
            return self.model(class, &parents).map(|shape| Kind::Model(Rc::new(shape)));
        }
        if ext("typing_extensions.TypedDict") || is(|k| matches!(k, Kind::TypedDict(_))) {
            let total = class.keywords.iter().try_fold(true, |total, (key, value)| match (key.as_str(), value) {
                ("total", Value::Bool(total)) => Ok(*total),
                ("metaclass", _) => Ok(total),
                _ => Err(format!("`{key}=` is left to Python")),
            })?;
            let mut shape = inherited(&parents);
            let declared = fields(class, &mut shape, total);
            return declared.map(|()| Kind::TypedDict(Rc::new(shape)));
        }
        if let Some(other) = externs.iter().find(|name| !matches!(&***name, "typing.NamedTuple")) {
            return Err(match &**other {
                "typing.TypedDict" => {
                    "whether pydantic takes `typing.TypedDict` depends on the version of Python".to_owned()
                }
                other => format!("it inherits from `{other}`"),
            });
        }
        if !class.keywords.is_empty() {
            return Err("its keywords are left to Python".to_owned());
        }
        if ext("typing.NamedTuple") {
            let mut shape = Shape::default();
            fields(class, &mut shape, true)?;
            if let Some(late) =
                shape.fields.iter().skip_while(|field| field.default.is_none()).find(|f| f.default.is_none())
            {
                return Err(format!("`{}` has no default and follows a field that has one", late.name));
            }
            return Ok(Kind::NamedTuple(Rc::new(shape)));
        }
        if is(|k| matches!(k, Kind::NamedTuple(_))) {
            return Err("it inherits from a named tuple".to_owned());
        }
        if let Some(decorator) = decorated {
            return self.dataclass(class, &parents, &decorator).map(|shape| Kind::Dataclass(Rc::new(shape)));
        }
        if is(|k| matches!(k, Kind::Dataclass(_))) {
            return Err("it inherits from a dataclass without being one".to_owned());
        }
        Ok(Kind::Plain)
    }

    fn enumeration(
        &mut self,
        class: &Rc<Class>,
        externs: &[Rc<str>],
        parents: &[(Rc<Class>, Kind)],
        decorated: bool,
    ) -> Judged<Kind> {
        if decorated || !class.keywords.is_empty() {
            return Err("the enumeration is built in an unusual way".to_owned());
        }
        let mut mixin = "";
        for base in externs {
            mixin = match &**base {
                "enum.Enum" => mixin,
                "enum.Flag" | "enum.IntFlag" => "flag",
                "enum.IntEnum" | "builtins.int" => "int",
                "enum.StrEnum" => "strenum",
                "builtins.str" => "str",
                "builtins.float" => "float",
                other => return Err(format!("it inherits from `{other}`")),
            };
        }
        for (parent, kind) in parents {
            match kind {
                Kind::Enum(_) if externs.is_empty() && parents.len() == 1 && parent.bases.len() == 1 => {
                    mixin = match &parent.bases[0] {
                        Value::Extern(name) if &**name == "enum.Enum" => "",
                        Value::Extern(name) if &**name == "enum.StrEnum" => "strenum",
                        Value::Extern(name) if &**name == "enum.IntEnum" => "int",
                        Value::Extern(name) if matches!(&**name, "enum.Flag" | "enum.IntFlag") => "flag",
                        _ => return Err("it inherits from another enumeration".to_owned()),
                    };
                }
                Kind::Plain
                    if parent
                        .env
                        .borrow()
                        .keys()
                        .all(|name| name.starts_with("__") || parent.env.borrow()[name].is_method()) => {}
                _ => return Err("it inherits from another class".to_owned()),
            }
        }
        let mut members: Vec<(String, Value)> = Vec::new();
        if class.env.borrow().len() > 5000 {
            return Err("it has too many members".to_owned());
        }
        for (name, value) in class.env.borrow().iter() {
            if name == "__init__"
                && let Value::Function(function) = value
                && !self.mentions(function, "_value_")
            {
                continue;
            }
            if matches!(
                name.as_str(),
                "__new__" | "__init__" | "_generate_next_value_" | "_ignore_" | "__init_subclass__" | "_order_"
            ) {
                return Err(format!("it defines `{name}`"));
            }
            if value.is_method() {
                continue;
            }
            if name.starts_with('_') {
                match name.starts_with("__") && name.ends_with("__") {
                    true => continue,
                    false => return Err(format!("`{name}` is left to Python")),
                }
            }
            let value = match value {
                Value::Opaque(what) if &**what == "enum.auto" => next_value(name, mixin, &members)?,
                other => other.clone(),
            };
            let fits = match (mixin, &value) {
                ("", Value::Str(_) | Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::None) => true,
                ("", Value::Tuple(items)) => {
                    items.iter().all(|i| matches!(i, Value::Str(_) | Value::Int(_) | Value::Float(_)))
                }
                ("flag", Value::Int(bits)) => *bits >= 0,
                ("str" | "strenum", Value::Str(_)) | ("int", Value::Int(_)) | ("float", Value::Float(_)) => true,
                _ => false,
            };
            if !fits {
                return Err(format!("the value of `{name}` is only known when the code runs"));
            }
            let unique = class.decorators.iter().any(|d| matches!(d, Value::Extern(name) if &**name == "enum.unique"));
            if unique && members.iter().any(|(_, known)| same(known, &value)) {
                return Err(format!("`{name}` has the value of another member"));
            }
            // A second name for a value counts too.
            members.push((name.clone(), value));
        }
        Ok(Kind::Enum(Rc::new(members)))
    }

    fn model(&mut self, class: &Rc<Class>, parents: &[(Rc<Class>, Kind)]) -> Judged<Shape> {
        let models = parents.iter().filter(|(_, kind)| matches!(kind, Kind::Model(_))).count();
        let mixed = parents.iter().any(|(parent, kind)| {
            let bare = matches!(kind, Kind::Plain) && parent.fields.is_empty() && parent.bases.is_empty();
            !(bare || matches!(kind, Kind::Model(_)))
        });
        if models > 1 || mixed {
            return Err("it inherits from several classes".to_owned());
        }
        let mut shape = inherited(parents);
        for (key, value) in &class.keywords {
            if key == "metaclass" {
                return Err("it has a metaclass".to_owned());
            }
            shape.config.push((key.clone(), value.clone()));
        }
        let env = class.env.borrow().clone();
        if let Some(config) = env.get("model_config") {
            shape.config.extend(settings(config).ok_or("its configuration is only known when the code runs")?);
        }
        for (name, value) in &env {
            let declared = class.fields.iter().any(|field| &field.name == name);
            match value {
                Value::Class(inner) if name == "Config" => {
                    if env.contains_key("model_config") || !inner.bases.is_empty() || !inner.fields.is_empty() {
                        return Err("a nested `Config` is left to Python".to_owned());
                    }
                    let entries = inner.env.borrow().clone();
                    shape.config.extend(entries.into_iter().filter(|(key, _)| !key.starts_with("__")));
                }
                _ if name == "Config" => return Err("a nested `Config` is left to Python".to_owned()),
                Value::Opaque(what) if what.starts_with("pydantic.") => {
                    if matches!(&**what, "pydantic.plain" | "pydantic.validator" | "pydantic.root_validator") {
                        return Err(format!("`{name}` decides its schema"));
                    }
                    shape.active = Some(format!("`{name}` may change it"));
                }
                Value::Function(_) if matches!(name.as_str(), "__init__" | "__new__" | "model_post_init") => {
                    shape.active = Some(format!("`{name}` may change it"));
                }
                _ if value.is_method() || declared || name.starts_with('_') || name == "model_config" => {}
                Value::Class(_) | Value::Lazy(_) => {}
                _ => return Err(format!("`{name}` has no annotation")),
            }
        }
        if class.fields.iter().any(|field| TAKEN.contains(&field.name.as_str()) && field.name != "model_config") {
            return Err("a field has the name of a method of pydantic".to_owned());
        }
        fields(class, &mut shape, true)?;
        shape.fields.retain(|field| !field.name.starts_with('_'));
        Ok(shape)
    }

    /// A model that is one value; the type comes from the brackets or from the field `root`.
    fn root_model(&mut self, class: &Rc<Class>, ty: Option<Value>) -> Judged<Shape> {
        let env = class.env.borrow().clone();
        let plain = |(name, value): (&String, &Value)| {
            name == "root" || name.starts_with("__") || (value.is_method() && !matches!(value, Value::Opaque(_)))
        };
        if !env.iter().all(plain) || class.fields.iter().any(|field| field.name != "root") {
            return Err("what a root model says of itself is left to Python".to_owned());
        }
        let mut shape = Shape::default();
        fields(class, &mut shape, true)?;
        match (shape.fields.is_empty(), ty) {
            (false, _) => {}
            (true, Some(ty)) => shape.fields.push(Field {
                name: "root".to_owned(),
                annotation: Annotation::Now(ty),
                default: env.get("root").cloned(),
                owner: class.clone(),
                total: true,
                kw_only: false,
                given: Vec::new(),
            }),
            (true, None) => return Err("the root has no type".to_owned()),
        }
        if env.keys().any(|name| matches!(name.as_str(), "__init__" | "__new__" | "__iter__" | "model_post_init")) {
            shape.active = Some("it is made by its own code".to_owned());
        }
        Ok(shape)
    }

    /// Takes the mark for keyword-only fields out, and refuses what the class statement refuses: a field without a
    /// default behind one with a default.
    fn in_order(&mut self, class: &Rc<Class>, shape: &mut Shape, every: bool) -> Judged<()> {
        let is_mark = |field: &Field| match &field.annotation {
            Annotation::Now(Value::Extern(name)) => &**name == "dataclasses.KW_ONLY",
            Annotation::Text(expr) => super::late::names_in(expr).iter().any(|name| name == "KW_ONLY"),
            Annotation::Now(_) | Annotation::Broken => false,
        };
        let marked = shape.fields.iter().position(|field| Rc::ptr_eq(&field.owner, class) && is_mark(field));
        let inherited = shape.fields.iter().any(|field| !Rc::ptr_eq(&field.owner, class));
        if marked.is_some() && inherited {
            return Err("keyword-only fields and inherited ones are left to Python".to_owned());
        }
        let (mut seen, mut late) = (false, None);
        for (at, field) in shape.fields.iter().enumerate() {
            let option = |key: &str| match &field.default {
                Some(Value::Made(made)) if &*made.by == "dataclasses.field" => made.args.get(key).cloned(),
                _ => None,
            };
            let on = |value: Option<Value>, wanted: bool| matches!(value, Some(Value::Bool(b)) if b == wanted);
            let aside = on(option("kw_only"), true)
                || on(option("init"), false)
                || every
                || field.kw_only
                || marked.is_some_and(|mark| at >= mark)
                || is_class_variable(&field.annotation);
            let filled = match &field.default {
                None => false,
                Some(Value::Made(made)) if &*made.by == "dataclasses.field" => {
                    made.args.get("default").is_some() || made.args.get("default_factory").is_some()
                }
                Some(_) => true,
            };
            if !aside && seen && !filled {
                late.get_or_insert_with(|| field.name.clone());
            }
            seen |= filled && !aside;
        }
        for (at, field) in shape.fields.iter_mut().enumerate() {
            field.kw_only |= (every && Rc::ptr_eq(&field.owner, class)) || marked.is_some_and(|mark| at > mark);
        }
        if let Some(mark) = marked {
            shape.fields.remove(mark);
        }
        match late {
            Some(name) => Err(format!("`{name}` has no default and follows a field that has one")),
            None => Ok(()),
        }
    }

    /// Whether the text of a function holds a word.
    fn mentions(&self, function: &super::value::Function, word: &str) -> bool {
        use ruff_text_size::Ranged;
        self.modules[function.module].text(function.def.range()).contains(word)
    }

    fn dataclass(&mut self, class: &Rc<Class>, parents: &[(Rc<Class>, Kind)], decorator: &Value) -> Judged<Shape> {
        let by_pydantic = by_pydantic(decorator);
        if let Value::Made(made) = decorator {
            let plain = |args: &Args| {
                args.pos.is_empty()
                    && args.kw.iter().all(|(key, value)| match key.as_str() {
                        "config" => by_pydantic && settings(value).is_some(),
                        "frozen" | "order" | "slots" | "kw_only" | "eq" | "repr" | "unsafe_hash" => {
                            matches!(value, Value::Bool(_))
                        }
                        _ => false,
                    })
            };
            if !plain(&made.args) {
                return Err("the options of `@dataclass` are left to Python".to_owned());
            }
        }
        let odd = |kind: &Kind| !matches!(kind, Kind::Dataclass(_) | Kind::Plain);
        if parents.len() > 1 || parents.iter().any(|(_, kind)| odd(kind)) {
            return Err("it inherits from several classes".to_owned());
        }
        if parents.iter().any(|(_, kind)| matches!(kind, Kind::Dataclass(shape) if shape.checked != by_pydantic)) {
            return Err("a dataclass of pydantic and another inherit from each other".to_owned());
        }
        if parents.iter().any(|(parent, kind)| {
            matches!(kind, Kind::Dataclass(_)) && frozen(&parent.decorators) != frozen(&class.decorators)
        }) {
            return Err("frozen and other dataclasses do not inherit from each other".to_owned());
        }
        let mut shape = inherited(parents);
        shape.checked = by_pydantic;
        if let Value::Made(made) = decorator {
            shape.config.extend(made.args.get("config").and_then(settings).unwrap_or_default());
        }
        let env = class.env.borrow().clone();
        for (name, value) in env.iter().filter(|_| by_pydantic) {
            match value {
                Value::Opaque(what)
                    if matches!(&**what, "pydantic.plain" | "pydantic.validator" | "pydantic.root_validator") =>
                {
                    return Err(format!("`{name}` decides its schema"));
                }
                Value::Opaque(what) if what.starts_with("pydantic.") => {
                    shape.active = Some(format!("`{name}` may change it"));
                }
                _ => {}
            }
        }
        if env.contains_key("__init__") || env.contains_key("__post_init__") {
            shape.active = Some("it is made by its own code".to_owned());
        }
        fields(class, &mut shape, true)?;
        let every =
            matches!(decorator, Value::Made(made) if matches!(made.args.get("kw_only"), Some(Value::Bool(true))));
        self.in_order(class, &mut shape, every)?;
        for field in &shape.fields {
            let written = match &field.default {
                // A default of pydantic's is an object of its own.
                Some(Value::Made(made)) if &*made.by == "pydantic.Field" => None,
                Some(Value::Made(made)) => made.args.get("default"),
                other => other.as_ref(),
            };
            let unhashable = match written {
                Some(Value::List(_) | Value::Dict(_) | Value::Set(_)) => true,
                Some(Value::Instance(instance)) => !matches!(self.kind(&instance.class), Ok(Kind::Plain)),
                _ => false,
            };
            if unhashable {
                return Err(format!("`{}` has a mutable default", field.name));
            }
            if let Some(Value::Made(made)) = &field.default {
                let known = |key: &str| {
                    matches!(
                        key,
                        "default" | "default_factory" | "repr" | "compare" | "hash" | "kw_only" | "metadata" | "init"
                    )
                };
                let hidden = matches!(made.args.get("init"), Some(Value::Bool(false)));
                if hidden && made.args.get("default").is_none() && made.args.get("default_factory").is_none() {
                    return Err(format!("`{}` is set by its own code", field.name));
                }
                if &*made.by == "pydantic.Field" {
                    continue;
                }
                if &*made.by != "dataclasses.field" || made.args.kw.iter().any(|(key, _)| !known(key)) {
                    return Err(format!("the options of `{}` are left to Python", field.name));
                }
            }
            if field.name.starts_with('_') {
                return Err(format!("`{}` starts with an underscore", field.name));
            }
        }
        Ok(shape)
    }
}

/// Whether a decorator is pydantic's.
fn by_pydantic(decorator: &Value) -> bool {
    match decorator {
        Value::Extern(name) => &**name == "pydantic.dataclasses.dataclass",
        Value::Made(made) => &*made.by == "pydantic.dataclasses.dataclass",
        _ => false,
    }
}

/// The entries of a configuration.
fn settings(value: &Value) -> Option<Vec<(String, Value)>> {
    match value {
        Value::Made(made) if &*made.by == "pydantic.ConfigDict" && made.args.pos.is_empty() => {
            Some(made.args.kw.clone())
        }
        Value::Dict(items) => {
            items.iter().map(|(key, value)| Some((key.as_str()?.to_owned(), value.clone()))).collect()
        }
        _ => None,
    }
}

/// Whether pydantic's models have something of that name.
pub(super) fn is_taken(name: &str) -> bool {
    TAKEN.contains(&name)
}

impl Value {
    /// Whether a class binds it as a method or the like.
    pub fn is_method(&self) -> bool {
        match self {
            Value::Function(_) | Value::Static(_) | Value::ClassMethod(_) | Value::Flow(_) => true,
            Value::Opaque(what) => &**what != "enum.auto",
            _ => false,
        }
    }
}

/// Whether a field is no field but a variable of the class.
fn is_class_variable(annotation: &Annotation) -> bool {
    match annotation {
        Annotation::Now(Value::Extern(name) | Value::Generic(name, _)) => &**name == "typing.ClassVar",
        Annotation::Text(expr) => super::late::names_in(expr).iter().any(|name| name == "ClassVar"),
        Annotation::Now(_) | Annotation::Broken => false,
    }
}

/// Whether a dataclass is frozen.
fn frozen(decorators: &[Value]) -> bool {
    decorators
        .iter()
        .any(|d| matches!(d, Value::Made(made) if matches!(made.args.get("frozen"), Some(Value::Bool(true)))))
}

/// What `auto()` gives.
fn next_value(name: &str, mixin: &str, members: &[(String, Value)]) -> Judged<Value> {
    let vague = || Err(format!("the value of `{name}` is only known when the code runs"));
    match mixin {
        "strenum" => Ok(Value::str(name.to_lowercase())),
        "flag" => {
            let mut most = 0;
            for (_, value) in members {
                match value {
                    Value::Int(int) if (0..1 << 60).contains(int) => most = most.max(*int),
                    _ => return vague(),
                }
            }
            Ok(Value::Int(if most == 0 { 1 } else { 1 << (most.ilog2() + 1) }))
        }
        "" | "int" => {
            let mut last = 0;
            for (_, value) in members {
                match value {
                    Value::Int(int) if *int >= last => last = *int,
                    _ => return vague(),
                }
            }
            Ok(Value::Int(last + 1))
        }
        _ => vague(),
    }
}

/// What the parents give.
fn inherited(parents: &[(Rc<Class>, Kind)]) -> Shape {
    let mut all = Shape::default();
    for (_, kind) in parents {
        if let Kind::Model(shape) | Kind::Dataclass(shape) | Kind::TypedDict(shape) = kind {
            all.fields.extend(shape.fields.iter().cloned());
            all.config.extend(shape.config.iter().cloned());
            all.active = all.active.or_else(|| shape.active.clone());
        }
    }
    all
}

/// Adds the fields that the class itself declares; a repeated name keeps its place.
fn fields(class: &Rc<Class>, shape: &mut Shape, total: bool) -> Judged<()> {
    for declared in &class.fields {
        if let Annotation::Broken = declared.annotation {
            return Err(format!("the annotation of `{}` is no expression", declared.name));
        }
        let field = Field {
            name: declared.name.clone(),
            annotation: declared.annotation.clone(),
            default: class.env.borrow().get(&declared.name).cloned(),
            owner: class.clone(),
            total,
            kw_only: false,
            given: Vec::new(),
        };
        match shape.fields.iter_mut().find(|known| known.name == field.name) {
            Some(known) => *known = field,
            None => shape.fields.push(field),
        }
    }
    Ok(())
}
