//! What looks wrong with a token, in the order in which a verifier would stumble over it.

use std::time::Duration;

use serde_json::Value;
use verifier::core::algorithm::Algorithm;
use verifier::core::json::JsonError;
use verifier::core::time::WallTime;
use verifier::core::token::{AccessToken, DEFAULT_MAX_TOKEN_LEN};

use super::{Document, Parts};
use crate::clock::{rfc3339, spoken};

/// From here on a token that was stolen is worth an attacker's while, and local verification alone won't see that it
/// was revoked.
const LONG_LIFETIME: Duration = Duration::from_secs(3_600);

/// Clock differences below this are forgiven by default.
const LEEWAY: Duration = Duration::from_secs(30);

/// A sentence for each thing. They may quote the token: the caller escapes them.
pub(super) fn of(token: &str, parts: &Parts, now: WallTime) -> Vec<String> {
    let mut found = Findings(Vec::new());
    found.spelling(token);
    found.header(&parts.header);
    if parts.signature.is_empty() {
        found.add("no signature: anybody could have made it");
    }
    found.duplicates_and_limits("claims", &parts.claims);
    if parts.claims.strict.is_err() && !parts.claims.lenient.as_ref().is_some_and(Value::is_object) {
        found.add("the payload is not a JSON object");
        return found.0;
    }
    found.identity(&parts.claims);
    found.times(&parts.claims, now);
    found.kind(&parts.header, &parts.claims);
    found.0
}

struct Findings(Vec<String>);

impl Findings {
    fn add(&mut self, text: impl Into<String>) {
        self.0.push(text.into());
    }

    fn spelling(&mut self, token: &str) {
        if token.len() > DEFAULT_MAX_TOKEN_LEN {
            self.add(format!(
                "{} bytes: longer than the default limit of {DEFAULT_MAX_TOKEN_LEN}",
                token.len()
            ));
        }
        let names = ["header", "payload", "signature"];
        for (name, segment) in names.into_iter().zip(token.split('.')) {
            if segment.contains(['+', '/']) {
                self.add(format!(
                    "not canonical: the {name} has + or /, the alphabet of base64 and not of base64url"
                ));
            }
            if segment.contains('=') {
                self.add(format!("not canonical: the {name} is padded with ="));
            }
            if has_unused_bits(segment) {
                self.add(format!("not canonical: the {name} has unused bits set in its last character"));
            }
        }
        if token.trim() != token || token.contains(char::is_whitespace) {
            self.add("blanks inside: it was copied with something around it");
        }
        // Last, what the first gate of a verification says of the text as a whole.
        if let Err(rejection) =
            AccessToken::new(token, DEFAULT_MAX_TOKEN_LEN).and_then(|token| token.shape().map(|_| ()))
        {
            self.add(format!("is rejected before anything is checked: {}", rejection.code()));
        }
    }

    fn header(&mut self, header: &Document) {
        self.duplicates_and_limits("header", header);
        match header.member("alg") {
            None => self.add("alg is missing"),
            Some(Value::String(name)) => self.algorithm(&name),
            Some(_) => self.add("alg is not a string"),
        }
        if !header.has("kid") {
            self.add("no kid: verifies only where a single key of the issuer fits");
        }
        for name in ["crit", "b64", "zip", "enc", "p2c", "p2s"] {
            if header.has(name) {
                self.add(format!("{name} is not supported: the token is rejected"));
            }
        }
        for name in ["jku", "jwk", "x5u", "x5c"] {
            if header.has(name) {
                self.add(format!(
                    "{name} brings a key along; it is ignored, keys come from configuration alone"
                ));
            }
        }
        if header.text_of("cty").is_some_and(|cty| cty.eq_ignore_ascii_case("jwt")) {
            self.add("cty says that there is a JWT inside; nested tokens are rejected");
        }
    }

    fn algorithm(&mut self, name: &str) {
        let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        if letters.eq_ignore_ascii_case("none") {
            self.add("alg none: not signed, anybody could have made it");
            return;
        }
        match Algorithm::from_name(name) {
            None => self.add(format!("alg {name:.40} is not known")),
            Some(algorithm) if algorithm.is_symmetric() => {
                self.add(format!(
                    "alg {name}: whoever can check it can make it; accepted only with a secret configured"
                ));
            }
            Some(_) => {}
        }
    }

    fn duplicates_and_limits(&mut self, what: &str, document: &Document) {
        match &document.strict {
            Ok(_) => {}
            Err(JsonError::DuplicateMember) => {
                self.add(format!("duplicate members in the {what}: readers disagree on which one counts"));
            }
            Err(error) => self.add(format!("the {what} is refused by the strict reader: {error}")),
        }
    }

    fn identity(&mut self, claims: &Document) {
        for (name, hint) in [
            ("iss", "nobody knows whose keys to use"),
            ("sub", "demanded by profile at+jwt"),
            ("aud", "meant for nobody, or for anybody"),
        ] {
            match claims.member(name) {
                None => self.add(format!("{name} is missing: {hint}")),
                Some(Value::String(text)) if text.is_empty() => self.add(format!("{name} is empty")),
                Some(Value::String(_)) => {}
                Some(Value::Array(list)) if name == "aud" => {
                    if list.is_empty() || !list.iter().all(Value::is_string) {
                        self.add("aud is not a list of strings");
                    }
                }
                Some(_) => self.add(format!("{name} has the wrong type")),
            }
        }
        if claims.has("cnf") {
            self.add("cnf: bound to a key or certificate; rejected unless the request proves possession");
        }
    }

    fn times(&mut self, claims: &Document, now: WallTime) {
        for name in ["exp", "nbf", "iat"] {
            if claims.member(name).is_some_and(|value| !value.is_number()) {
                self.add(format!("{name} is not a number"));
            }
        }
        let date = |name: &str| claims.date(name).map(WallTime::from_unix_seconds);
        let (exp, nbf, iat) = (date("exp"), date("nbf"), date("iat"));
        match exp {
            Some(exp) if exp <= now => self.add(format!("expired {} ago", spoken(now.since(exp)))),
            Some(_) => {}
            None if claims.has("exp") => {}
            None => self.add("exp is missing: it would never end"),
        }
        if let Some(nbf) = nbf.filter(|nbf| *nbf > now) {
            self.add(format!("not valid before {}", rfc3339(nbf.unix_seconds())));
        }
        if iat.is_some_and(|iat| iat > now.plus(LEEWAY)) {
            self.add("iat lies in the future: a clock is wrong, or the token was made up");
        }
        if let (Some(iat), Some(exp)) = (iat, exp) {
            if iat > exp {
                self.add("iat is after exp");
            }
            let lifetime = exp.since(iat);
            if lifetime > LONG_LIFETIME {
                self.add(format!(
                    "lives for {}: use hybrid or introspection if it has to be revocable, or set max_lifetime",
                    spoken(lifetime)
                ));
            }
        }
    }

    /// RFC 8725 §3.11, §3.12: other kinds of tokens that the same keys sign.
    fn kind(&mut self, header: &Document, claims: &Document) {
        let typ = header.text_of("typ");
        if header.has("typ") && typ.is_none() {
            self.add("typ is not a string");
        }
        let typ = typ.map(|typ| typ.to_ascii_lowercase());
        let bare = typ.as_deref().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
        match bare {
            Some("at+jwt") => return,
            None => self.add("typ is missing: needs profile generic, or one of your server's kind"),
            Some("jwt") => self.add("typ JWT doesn't say what kind of token it is: needs profile generic, or one of your server's kind"),
            Some(other) => self.add(format!("typ {other:.40} is no access token's")),
        }
        for name in ["nonce", "at_hash", "c_hash", "s_hash"] {
            if claims.has(name) {
                self.add(format!("{name} is the mark of an ID token"));
            }
        }
        if claims.has("events") {
            self.add("events is the mark of a logout token or security event");
        }
        for name in ["typ", "token_use"] {
            let kind = claims.text_of(name).unwrap_or_default();
            if !kind.is_empty() && !["bearer", "access"].contains(&kind.to_ascii_lowercase().as_str()) {
                self.add(format!("claim {name} says {kind:.40}"));
            }
        }
        let audience = claims.strings("aud");
        let client = claims.text_of("client_id").or_else(|| claims.text_of("azp"));
        if let ([only], Some(client)) = (audience.as_slice(), client)
            && *only == client
        {
            self.add("the only audience is the client itself, as in an ID token");
        }
    }
}

/// Whether the last character of an unpadded segment says more than the bytes before it need.
fn has_unused_bits(segment: &str) -> bool {
    let bare = segment.trim_end_matches('=');
    let unused = match bare.len() % 4 {
        2 => 0b1111,
        3 => 0b11,
        _ => return false,
    };
    let sextet = |byte: u8| -> Option<u8> {
        Some(match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        })
    };
    bare.bytes().next_back().and_then(sextet).is_some_and(|last| last & unused != 0)
}
