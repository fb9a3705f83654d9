//! Where a secret is: never in the configuration itself.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};

/// The place of a secret: `{ env = "NAME" }` or `{ file = "PATH" }`. A literal is refused, since configuration files
/// are copied, committed and shown.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SecretRef {
    /// An environment variable, read when the verifier is built.
    Env(String),
    /// A file, read again when it changes. A newline at its end doesn't count.
    File(PathBuf),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    env: Option<String>,
    file: Option<PathBuf>,
}

const FORMS: &str = "a secret is given as { env = \"NAME\" } or { file = \"PATH\" }";

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ref;
        impl<'de> Visitor<'de> for Ref {
            type Value = SecretRef;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(FORMS)
            }

            // Whatever is written here literally may be the secret: it isn't quoted.
            fn visit_str<E: de::Error>(self, _: &str) -> Result<SecretRef, E> {
                Err(E::custom(format_args!("a literal secret is refused: {FORMS}")))
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<SecretRef, E> {
                self.visit_str("")
            }

            fn visit_u64<E: de::Error>(self, _: u64) -> Result<SecretRef, E> {
                self.visit_str("")
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<SecretRef, E> {
                self.visit_str("")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretRef, A::Error> {
                let place = Place::deserialize(MapAccessDeserializer::new(map))?;
                match (place.env, place.file) {
                    (Some(name), None) => Ok(SecretRef::Env(name)),
                    (None, Some(path)) => Ok(SecretRef::File(path)),
                    _ => Err(de::Error::custom(format_args!("exactly one of env and file: {FORMS}"))),
                }
            }
        }
        deserializer.deserialize_any(Ref)
    }
}

/// How a static HMAC secret is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Encoding {
    /// Base64 with padding.
    Base64,
    /// Base64url without padding.
    Base64url,
    /// The bytes of the text itself.
    #[default]
    Utf8,
}
