//! Values that may be written in several ways. Read by hand: a derived untagged enum says of any mistake that nothing
//! matched, and lets unknown keys pass.

use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{CheckWhen, FreshnessSetting, OneOrMany, Span, StrategyName, VerifiedTokensSection, WhenUnknown};

impl<'de> Deserialize<'de> for StrategyName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const FORMS: &str = "one of \"jwks\", \"introspection\", \"hybrid\", \"custom:NAME\"";
        struct Name;
        impl Visitor<'_> for Name {
            type Value = StrategyName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a string, {FORMS}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<StrategyName, E> {
                Ok(match text {
                    "jwks" => StrategyName::Jwks,
                    "introspection" => StrategyName::Introspection,
                    "hybrid" => StrategyName::Hybrid,
                    other => match other.strip_prefix("custom:") {
                        Some(name) if !name.is_empty() => StrategyName::Custom(name.to_owned()),
                        _ => return Err(E::custom(format_args!("expected {FORMS}"))),
                    },
                })
            }
        }
        deserializer.deserialize_any(Name)
    }
}

impl<'de> Deserialize<'de> for FreshnessSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const FORMS: &str = "a duration with a unit, such as \"30s\", or \"exp\"";
        struct Text;
        impl Visitor<'_> for Text {
            type Value = FreshnessSetting;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(FORMS)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<FreshnessSetting, E> {
                if text == "exp" {
                    return Ok(FreshnessSetting::UntilExpiry);
                }
                humantime::parse_duration(text)
                    .map(|duration| FreshnessSetting::AtMost(Span(duration)))
                    .map_err(|_| E::custom(format_args!("expected {FORMS}")))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or a list of strings")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<OneOrMany, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(OneOrMany::Many)
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl<'de> Deserialize<'de> for VerifiedTokensSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Bounds {
            max_entries: usize,
        }
        struct Section;
        impl<'de> Visitor<'de> for Section {
            type Value = VerifiedTokensSection;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, or { max_entries = NUMBER }")
            }

            fn visit_bool<E: de::Error>(self, on: bool) -> Result<VerifiedTokensSection, E> {
                Ok(VerifiedTokensSection::Switch(on))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<VerifiedTokensSection, A::Error> {
                let Bounds { max_entries } = Bounds::deserialize(MapAccessDeserializer::new(map))?;
                Ok(VerifiedTokensSection::Bounds { max_entries })
            }
        }
        deserializer.deserialize_any(Section)
    }
}

impl<'de> Deserialize<'de> for WhenUnknown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const FORMS: &str = "\"deny\", or { allow_stale = \"5m\" }";
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Allowance {
            allow_stale: Span,
        }
        struct Choice;
        impl<'de> Visitor<'de> for Choice {
            type Value = WhenUnknown;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(FORMS)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<WhenUnknown, E> {
                if text == "deny" {
                    Ok(WhenUnknown::Deny)
                } else {
                    Err(E::custom(format_args!("expected {FORMS}")))
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WhenUnknown, A::Error> {
                let Allowance { allow_stale } = Allowance::deserialize(MapAccessDeserializer::new(map))?;
                Ok(WhenUnknown::AllowStale(allow_stale))
            }
        }
        deserializer.deserialize_any(Choice)
    }
}

impl<'de> Deserialize<'de> for CheckWhen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const FORMS: &str = "\"always\", or { lifetime_over = \"15m\" }";
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Threshold {
            lifetime_over: Span,
        }
        struct Choice;
        impl<'de> Visitor<'de> for Choice {
            type Value = CheckWhen;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(FORMS)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<CheckWhen, E> {
                if text == "always" {
                    Ok(CheckWhen::Always)
                } else {
                    Err(E::custom(format_args!("expected {FORMS}")))
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CheckWhen, A::Error> {
                let Threshold { lifetime_over } = Threshold::deserialize(MapAccessDeserializer::new(map))?;
                Ok(CheckWhen::LifetimeOver(lifetime_over))
            }
        }
        deserializer.deserialize_any(Choice)
    }
}
