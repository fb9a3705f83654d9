//! A strict reader for JSON objects: maps only at the top, no duplicate members at any level, bounded depth and size,
//! and `null` is a value of its own. Built on `serde_json`'s tokenizer; never on derived types, which read an array
//! into a struct, turn `null` into absent and keep the last duplicate.

mod read;

use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};

use self::read::Duplicates;

/// A JSON value. `Debug` shows the kinds and the member names, never a value.
#[derive(Clone, PartialEq)]
pub enum Json {
    /// `null`: present, and nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string, escapes resolved.
    String(Box<str>),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Object),
}

/// A JSON number, as exactly as it fits.
#[derive(Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole number of zero or more that fits 64 bits.
    Unsigned(u64),
    /// A whole number below zero that fits 64 bits.
    Signed(i64),
    /// All else; always finite.
    Float(f64),
}

impl Number {
    /// The number as a float; whole numbers beyond 2^53 lose precision.
    #[allow(clippy::cast_precision_loss)]
    pub const fn as_f64(self) -> f64 {
        match self {
            Self::Unsigned(n) => n as f64,
            Self::Signed(n) => n as f64,
            Self::Float(n) => n,
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("number")
    }
}

/// A JSON object: its members in the order of the text, each name once. Equality minds the order.
#[derive(Clone, PartialEq, Default)]
pub struct Object {
    members: Vec<(Box<str>, Json)>,
    /// Set only by [`Object::parse_marking`]: a name occurred twice in this very object.
    repeats: bool,
}

/// How deep and how large a document may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JsonLimits {
    /// Greatest nesting of objects and arrays, the top object being 1.
    pub depth: usize,
    /// Greatest count of object members and array elements in the whole document.
    pub members: usize,
}

impl JsonLimits {
    /// For a JOSE header.
    pub const HEADER: Self = Self { depth: 16, members: 64 };
    /// For a claims set or an introspection response.
    pub const CLAIMS: Self = Self { depth: 16, members: 2048 };
    /// For a JWK Set or a metadata document.
    pub const DOCUMENT: Self = Self { depth: 16, members: 20_000 };
}

/// Why a text was not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum JsonError {
    /// The text is not JSON: bad syntax, trailing text, a byte order mark, invalid UTF-8, a number out of range.
    NotJson,
    /// The text is JSON, but no object.
    NotAnObject,
    /// A member name occurs twice in one object.
    DuplicateMember,
    /// Nested deeper than [`JsonLimits::depth`].
    TooDeep,
    /// More members and elements than [`JsonLimits::members`].
    TooMany,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotJson => "not JSON",
            Self::NotAnObject => "not a JSON object",
            Self::DuplicateMember => "a member occurs twice",
            Self::TooDeep => "nested too deep",
            Self::TooMany => "too many members",
        })
    }
}

impl std::error::Error for JsonError {}

impl Object {
    /// Reads the one object that `bytes` are.
    ///
    /// # Errors
    /// Every variant of [`JsonError`].
    pub fn parse(bytes: &[u8], limits: JsonLimits) -> Result<Self, JsonError> {
        read::object(bytes, limits, Duplicates::Refuse)
    }

    /// As [`parse`](Self::parse), but duplicate members are marked instead of refused, so that one bad key does not
    /// cost the whole set. The caller must ask [`repeats_members`](Self::repeats_members) before it trusts anything.
    pub(crate) fn parse_marking(bytes: &[u8], limits: JsonLimits) -> Result<Self, JsonError> {
        read::object(bytes, limits, Duplicates::Mark)
    }

    /// Whether a name occurs twice in this object itself.
    pub(crate) const fn repeats(&self) -> bool {
        self.repeats
    }

    /// Whether a name occurs twice in this object or in any inside it.
    pub(crate) fn repeats_members(&self) -> bool {
        self.repeats || self.members.iter().any(|(_, value)| value.repeats_members())
    }

    /// The member of this name.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.members.iter().find(|(own, _)| &**own == name).map(|(_, value)| value)
    }

    /// The members in the order of the text.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Json)> {
        self.members.iter().map(|(name, value)| (&**name, value))
    }

    /// The number of members.
    pub const fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is no member.
    pub const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The value a JSON pointer names (RFC 6901), from this object on: `/realm_access/roles`, `/list/0`. The empty
    /// pointer, which names the object itself, finds nothing here.
    pub fn pointer(&self, pointer: &str) -> Option<&Json> {
        let mut tokens = pointer.strip_prefix('/')?.split('/').map(unescape);
        let first = self.get(&tokens.next()??)?;
        tokens.try_fold(first, |value, token| {
            let token = token?;
            match value {
                Json::Object(object) => object.get(&token),
                Json::Array(items) => items.get(array_index(&token)?),
                _ => None,
            }
        })
    }
}

/// RFC 6901 §3, §4: `~1` is `/`, `~0` is `~`, and any other use of `~` is an error.
fn unescape(token: &str) -> Option<String> {
    let mut text = String::with_capacity(token.len());
    let mut chars = token.chars();
    while let Some(c) = chars.next() {
        text.push(match c {
            '~' => match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            other => other,
        });
    }
    Some(text)
}

/// RFC 6901 §4: digits without leading zeros.
fn array_index(token: &str) -> Option<usize> {
    let canonical = token == "0" || (!token.starts_with('0') && token.bytes().all(|b| b.is_ascii_digit()));
    if canonical { token.parse().ok() } else { None }
}

impl Json {
    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// A boolean.
    pub const fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The elements of an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    /// An object.
    pub const fn as_object(&self) -> Option<&Object> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// A number of any kind.
    pub const fn as_number(&self) -> Option<Number> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// A whole number of zero or more; `1.0` is none.
    pub const fn as_u64(&self) -> Option<u64> {
        if let Self::Number(Number::Unsigned(n)) = self { Some(*n) } else { None }
    }

    /// Whether this is `null`.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(crate) fn repeats_members(&self) -> bool {
        match self {
            Self::Object(object) => object.repeats_members(),
            Self::Array(items) => items.iter().any(Self::repeats_members),
            _ => false,
        }
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(_) => f.write_str("bool"),
            Self::Number(_) => f.write_str("number"),
            Self::String(_) => f.write_str("string"),
            Self::Array(items) => f.debug_list().entries(items).finish(),
            Self::Object(object) => object.fmt(f),
        }
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(Number::Unsigned(n)) => serializer.serialize_u64(*n),
            Self::Number(Number::Signed(n)) => serializer.serialize_i64(*n),
            Self::Number(Number::Float(n)) => serializer.serialize_f64(*n),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(items) => serializer.collect_seq(items),
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests;
