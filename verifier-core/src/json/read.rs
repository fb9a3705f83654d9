//! From text to [`Object`]: a visitor that minds what `serde_json` on its own lets pass.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{Json, JsonError, JsonLimits, Number, Object};

/// What becomes of a member name that occurs twice in one object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Duplicates {
    /// The document is refused.
    Refuse,
    /// The object is marked.
    Mark,
}

/// Reads the one object that `bytes` are.
pub(super) fn object(bytes: &[u8], limits: JsonLimits, duplicates: Duplicates) -> Result<Object, JsonError> {
    let reading = Reading { limits, duplicates, members: Cell::new(0), cause: Cell::new(JsonError::NotJson) };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let read = Seed { reading: &reading, depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|json| deserializer.end().map(|()| json));
    match read {
        Ok(Json::Object(object)) => Ok(object),
        Ok(_) => Err(JsonError::NotAnObject),
        Err(_) => Err(reading.cause.get()),
    }
}

/// What one reading shares between all levels. serde's errors carry text only, so the cause travels beside them.
struct Reading {
    limits: JsonLimits,
    duplicates: Duplicates,
    members: Cell<usize>,
    cause: Cell<JsonError>,
}

impl Reading {
    fn refuse<E: serde::de::Error>(&self, cause: JsonError) -> E {
        self.cause.set(cause);
        E::custom("refused")
    }

    fn count<E: serde::de::Error>(&self) -> Result<(), E> {
        let members = self.members.get() + 1;
        if members > self.limits.members {
            return Err(self.refuse(JsonError::TooMany));
        }
        self.members.set(members);
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Seed<'r> {
    reading: &'r Reading,
    /// Of the container that this value stands in; 0 at the top.
    depth: usize,
}

impl Seed<'_> {
    fn inside<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > self.reading.limits.depth {
            return Err(self.reading.refuse(JsonError::TooDeep));
        }
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(Number::Unsigned(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(u64::try_from(value).map_or(Number::Signed(value), Number::Unsigned)))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
        if value.is_finite() {
            Ok(Json::Number(Number::Float(value)))
        } else {
            Err(self.reading.refuse(JsonError::NotJson))
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        if self.depth == 0 {
            // Nothing in it is wanted: neither its elements nor what is wrong with them.
            return Err(self.reading.refuse(JsonError::NotAnObject));
        }
        let inside = self.inside()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(inside)? {
            self.reading.count()?;
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut name = access.next_key::<String>()?;
        if name.as_deref() == Some(NUMBER_AS_MAP) {
            let text = access.next_value::<String>()?;
            return match (number(&text), access.next_key::<String>()?) {
                (Some(number), None) => Ok(Json::Number(number)),
                _ => Err(A::Error::custom("no number")),
            };
        }
        let inside = self.inside()?;
        let mut members: Vec<(Box<str>, Json)> = Vec::new();
        while let Some(own) = name {
            self.reading.count()?;
            members.push((own.into(), access.next_value_seed(inside)?));
            name = access.next_key()?;
        }
        let repeats = has_repeats(&members);
        if repeats && self.reading.duplicates == Duplicates::Refuse {
            return Err(self.reading.refuse(JsonError::DuplicateMember));
        }
        Ok(Json::Object(Object { members, repeats }))
    }
}

/// `serde_json` presents every number as a map with this one member once any crate of the build has switched its
/// feature `arbitrary_precision` on. An object that is spelled so is read as the number, with the feature or without.
pub(super) const NUMBER_AS_MAP: &str = "$serde_json::private::Number";

fn number(text: &str) -> Option<Number> {
    // Rust's own number syntax is wider than JSON's ("inf", "+1", "01"), so serde_json judges first.
    let float = serde_json::from_str::<f64>(text).ok().filter(|n| n.is_finite())?;
    let unsigned = text.parse().map(Number::Unsigned);
    let whole = unsigned.or_else(|_| text.parse().map(Number::Signed)).ok().filter(|_| text != "-0");
    Some(whole.unwrap_or(Number::Float(float)))
}

/// Pairwise for the few members that objects have; sorted for more, so that no text makes this quadratic.
fn has_repeats(members: &[(Box<str>, Json)]) -> bool {
    if members.len() <= 8 {
        let mut rest = members;
        while let Some(((name, _), after)) = rest.split_first() {
            if after.iter().any(|(other, _)| other == name) {
                return true;
            }
            rest = after;
        }
        return false;
    }
    let mut names: Vec<&str> = members.iter().map(|(name, _)| &**name).collect();
    names.sort_unstable();
    names.iter().zip(names.iter().skip(1)).any(|(a, b)| a == b)
}
