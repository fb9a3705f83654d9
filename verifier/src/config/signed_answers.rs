//! How introspection answers have to be signed, as it is written.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use verifier_core::algorithm::Algorithm;

/// Whether introspection answers have to be signed (RFC 9701), and how.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SignedAnswersSection {
    /// `false`: they are plain JSON; `true`: signed, with RS256, for our `client_id`.
    Switch(bool),
    /// Signed so.
    Registered {
        /// What is registered for us as `introspection_signed_response_alg`; default RS256.
        algorithm: Option<Algorithm>,
        /// Who we are in the answer's `aud`; default `client_id`.
        audience: Option<String>,
    },
}

impl SignedAnswersSection {
    /// Algorithm and audience, if signed answers are demanded.
    pub(crate) fn demanded(&self) -> Option<(Algorithm, Option<&str>)> {
        match self {
            Self::Switch(false) => None,
            Self::Switch(true) => Some((Algorithm::Rs256, None)),
            Self::Registered { algorithm, audience } => {
                Some((algorithm.unwrap_or(Algorithm::Rs256), audience.as_deref()))
            }
        }
    }
}

impl<'de> Deserialize<'de> for SignedAnswersSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Registered {
            algorithm: Option<Algorithm>,
            audience: Option<String>,
        }
        struct Section;
        impl<'de> Visitor<'de> for Section {
            type Value = SignedAnswersSection;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "true, false, or { algorithm = \"ES256\", audience = \"https://api.example.com\" }",
                )
            }

            fn visit_bool<E>(self, on: bool) -> Result<SignedAnswersSection, E> {
                Ok(SignedAnswersSection::Switch(on))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SignedAnswersSection, A::Error> {
                let Registered { algorithm, audience } =
                    Registered::deserialize(MapAccessDeserializer::new(map))?;
                Ok(SignedAnswersSection::Registered { algorithm, audience })
            }
        }
        deserializer.deserialize_any(Section)
    }
}
