//! A union whose members are told apart by a field, as pydantic 2.14 writes it.

use serde_json::{Map, Value as Json, json};

use super::class::Kind;
use super::constraint::Extras;
use super::machine::Machine;
use super::schema::{Bad, Js, Made, Place, Sort, nullable};
use super::value::Value;

impl Machine<'_> {
    /// The schema of a type, told apart by the discriminator of its field if it has one.
    pub fn schema_or_tagged(&mut self, ty: &Value, extras: &Extras, place: &Place) -> Made {
        match &extras.discriminator {
            Some(name) => self.tagged(ty, name, place),
            None => self.schema(ty, place),
        }
    }

    fn tagged(&mut self, ty: &Value, name: &str, place: &Place) -> Made {
        let ty = self.force(ty.clone());
        let Value::Union(members) = &ty else {
            return Err(Bad::vague("only a union takes a discriminator"));
        };
        let choices: Vec<Value> = members
            .iter()
            .filter(|member| !matches!(member, Value::None))
            .map(|member| self.force(member.clone()))
            .collect();
        if choices.len() < 2 {
            return Err(Bad::vague("a union of one takes no discriminator"));
        }
        let mut one_of = Vec::new();
        let mut mapping = Map::new();
        let mut property = None;
        for choice in &choices {
            let (alias, tags) = self.tags(choice, name)?;
            if property.get_or_insert_with(|| alias.clone()) != &alias {
                return Err(Bad::vague("the discriminator has several aliases"));
            }
            let Js { map, .. } = self.schema(choice, place)?;
            let Some(reference) = map.get("$ref").cloned() else {
                return Err(Bad::vague("a member of a tagged union is left to Python"));
            };
            for tag in tags {
                if mapping.insert(tag, reference.clone()).is_some() {
                    return Err(Bad::vague("two members of a union have the same tag"));
                }
            }
            one_of.push(Json::Object(map));
        }
        let json = json!({
            "discriminator": {"mapping": mapping, "propertyName": property.unwrap_or_default()},
            "oneOf": one_of,
        });
        let inner = Js::new(json, Sort::Other);
        Ok(match choices.len() < members.len() {
            true => Js { map: nullable(&inner.map), titled: true, ..Js::any() },
            false => inner,
        })
    }

    /// The name that the discriminator has in JSON, and the tags that choose a class.
    fn tags(&mut self, choice: &Value, name: &str) -> Result<(String, Vec<String>), Bad> {
        let vague = || Bad::vague("a member of a tagged union is left to Python");
        let Value::Class(class) = choice else { return Err(vague()) };
        let (Kind::Model(shape) | Kind::Dataclass(shape) | Kind::TypedDict(shape)) =
            self.kind(class).map_err(Bad::Unknown)?
        else {
            return Err(vague());
        };
        if shape.config("alias_generator").is_some() {
            return Err(vague());
        }
        let field = shape.fields.iter().find(|field| field.name == name).ok_or_else(vague)?;
        let (ty, extras) = self.field_of(field)?;
        let Value::Literal(values) = &ty else { return Err(vague()) };
        let mut tags = Vec::new();
        for value in values.iter() {
            match self.plain_json(value)? {
                Json::String(tag) => tags.push(tag),
                _ => return Err(Bad::vague("the tags of a union are no texts")),
            }
        }
        Ok((extras.alias.unwrap_or_else(|| name.to_owned()), tags))
    }
}
