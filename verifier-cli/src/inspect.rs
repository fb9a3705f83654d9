//! `verifier inspect`: what a token says of itself. Nothing here is checked, and nothing here may be trusted with a
//! token's text: it may come from an attacker.

mod findings;

use std::io::Write;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use verifier::core::json::{JsonError, JsonLimits, Object};
use verifier::core::time::{Clock as _, SystemClock, WallTime};

use crate::args::InspectArgs;
use crate::clock::{rfc3339, spoken};
use crate::input::Source;
use crate::output::{End, Exit, shown, shown_json};

pub(crate) fn run(args: &InspectArgs, out: &mut impl Write) -> Result<Exit, End> {
    let source = Source::of(args.stdin.as_deref(), args.token_file.as_deref())?;
    let line = source.lines()?.next().map_err(|error| source.unreadable(&error))?;
    let line = line.ok_or_else(|| End::failed("no token was given"))?;
    let now = args.now.map_or_else(|| SystemClock.now().wall, |at| at.0);
    // What is no UTF-8 becomes visible as such; it is no token in any case.
    let text = String::from_utf8_lossy(&line);
    match Parts::of(&text) {
        Ok(parts) => {
            parts.write(now, out)?;
            write_findings(&findings::of(&text, &parts, now), out)?;
            Ok(Exit::Good)
        }
        Err(why) => {
            writeln!(out, "not readable as a JWT: {why}")?;
            Ok(Exit::Bad)
        }
    }
}

/// Header and claims of a compact JWS, read as leniently as any reader might.
struct Parts {
    header: Document,
    claims: Document,
    signature: String,
}

/// One segment.
struct Document {
    /// The text that the segment holds.
    text: String,
    /// What the strict reader says.
    strict: Result<Object, JsonError>,
    /// What a lenient reader makes of it: the last of several members of a name, for one.
    lenient: Option<Value>,
}

impl Parts {
    fn of(token: &str) -> Result<Self, &'static str> {
        let segments: Vec<&str> = token.split('.').take(6).collect();
        match *segments.as_slice() {
            [header, claims, signature] => {
                let header = Document::of(header, JsonLimits::HEADER).ok_or("its header is not base64url")?;
                if !header.lenient.as_ref().is_some_and(Value::is_object) {
                    return Err(
                        "its header is not a JSON object; an opaque token, perhaps, which only its issuer can read",
                    );
                }
                let claims =
                    Document::of(claims, JsonLimits::CLAIMS).ok_or("its payload is not base64url")?;
                Ok(Self { header, claims, signature: signature.to_owned() })
            }
            [header, _, _, _, _]
                if Document::of(header, JsonLimits::HEADER)
                    .is_some_and(|header| header.lenient.is_some_and(|value| value.is_object())) =>
            {
                Err("it has five parts: an encrypted token (JWE), which only its audience can read")
            }
            _ => Err(
                "it has no three parts with dots between; an opaque token, perhaps, which only its issuer can read",
            ),
        }
    }

    fn write(&self, now: WallTime, out: &mut impl Write) -> Result<(), End> {
        writeln!(out, "UNVERIFIED: nothing below is proven. Whoever made this token wrote what he liked.")?;
        writeln!(out, "\nheader\n{}", self.header.shown())?;
        writeln!(out, "\nclaims\n{}", self.claims.shown())?;
        let times: Vec<_> = ["iat", "nbf", "exp"]
            .into_iter()
            .filter_map(|name| Some((name, self.claims.date(name)?)))
            .collect();
        if !times.is_empty() {
            writeln!(out, "\ntimes")?;
        }
        for (name, at) in times {
            writeln!(out, "  {name}  {}  {}", rfc3339(at), relative(at, now))?;
        }
        Ok(())
    }
}

/// How much of a text is shown that is no JSON, or too deep a one.
const SHOWN_RAW: usize = 2_000;

impl Document {
    fn of(segment: &str, limits: JsonLimits) -> Option<Self> {
        let bytes = decode(segment)?;
        Some(Self {
            text: String::from_utf8_lossy(&bytes).into_owned(),
            strict: Object::parse(&bytes, limits),
            lenient: serde_json::from_slice(&bytes).ok(),
        })
    }

    fn shown(&self) -> String {
        // The strict reader keeps the order of the text; what it refuses is shown as it is, both of two members too.
        match &self.strict {
            Ok(object) => shown_json(&serde_json::to_string_pretty(object).unwrap_or_default()),
            Err(_) => {
                let beginning: String = self.text.chars().take(SHOWN_RAW).collect();
                let more = if beginning.len() < self.text.len() { " ..." } else { "" };
                format!("{}{more}", shown(&beginning))
            }
        }
    }

    /// The member, by the strict reader or else by a lenient one.
    fn member(&self, name: &str) -> Option<Value> {
        match &self.strict {
            Ok(object) => object.get(name).and_then(|value| serde_json::to_value(value).ok()),
            Err(_) => self.lenient.as_ref()?.get(name).cloned(),
        }
    }

    fn text_of(&self, name: &str) -> Option<String> {
        self.member(name)?.as_str().map(str::to_owned)
    }

    fn has(&self, name: &str) -> bool {
        self.member(name).is_some()
    }

    /// A NumericDate in whole seconds, rounded down.
    fn date(&self, name: &str) -> Option<i64> {
        let value = self.member(name)?;
        // The cast saturates; what is out of range is shown as a bare number.
        #[allow(clippy::cast_possible_truncation)]
        value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds.floor() as i64))
    }

    fn strings(&self, name: &str) -> Vec<String> {
        match self.member(name) {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(list)) => {
                list.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// What some decoder or other would accept: either alphabet, padded or not, unused bits set.
fn decode(segment: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::URL_SAFE,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    LENIENT.decode(segment.replace('+', "-").replace('/', "_").trim()).ok()
}

fn relative(at: i64, now: WallTime) -> String {
    let at = WallTime::from_unix_seconds(at);
    if at > now { format!("in {}", spoken(at.since(now))) } else { format!("{} ago", spoken(now.since(at))) }
}

fn write_findings(findings: &[String], out: &mut impl Write) -> Result<(), End> {
    if findings.is_empty() {
        writeln!(out, "\nNothing looks wrong. Whether it is genuine only `verifier verify` can say.")?;
        return Ok(());
    }
    writeln!(out, "\nlooks wrong")?;
    for finding in findings {
        writeln!(out, "  - {}", shown(finding))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
