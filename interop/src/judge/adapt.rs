//! The examples, made to fit a server: by changing addresses, client and secret, and nothing else.

use std::path::{Path, PathBuf};

use verifier::{Strategy, examples};

use crate::scenario::Change;
use crate::server::{Product, Settings, Trouble, failed};

/// The lines of an example that a user has to change.
const OWN: &[&str] = &["issuer", "endpoint", "client_id", "client_secret"];

/// In a change: the path of a file with a secret that nobody has.
const WRONG_SECRET: &str = "{wrong-secret-file}";

/// Where the wrong secret is, beside the right one.
pub(crate) fn wrong_file(secret: &Path) -> PathBuf {
    secret.with_extension("wrong")
}

/// The configuration for a server and a strategy, with the scenario's own `changes`.
///
/// # Errors
/// [`Trouble::Failed`] if there is no such example, or another line of it would have to change.
pub(crate) fn configuration(
    product: &dyn Product,
    settings: &Settings,
    strategy: Strategy,
    secret: &Path,
    changes: &[Change],
) -> Result<String, Trouble> {
    let name = product.example(strategy);
    let example = examples::get(name).ok_or_else(|| failed(format_args!("no example {name}")))?.toml;
    let adapted = adapt(example, settings, strategy, &secret.display().to_string());
    if let Some(line) = touched(example, &adapted, strategy) {
        return Err(failed(format_args!("the example {name} needs another line changed: {line}")));
    }
    let mut text = adapted;
    for change in changes {
        if refused(strategy, change.section, Some(change.key)) {
            continue;
        }
        text =
            apply(&text, change, settings).replace(WRONG_SECRET, &wrong_file(secret).display().to_string());
    }
    Ok(text)
}

/// The name of a section, if the line begins one.
fn section(line: &str) -> Option<&str> {
    let inner = line.trim_start().strip_prefix('[')?.trim_start_matches('[');
    inner.split(']').next()
}

/// The key of a line `key = value`.
fn key(line: &str) -> Option<&str> {
    let line = line.trim_start();
    if line.starts_with('#') {
        return None;
    }
    line.split_once('=').map(|(key, _)| key.trim())
}

/// Whether a strategy has no use for a line, and refuses it.
fn refused(strategy: Strategy, section: &str, key: Option<&str>) -> bool {
    match strategy {
        Strategy::Jwks => {
            matches!(section, "issuer.introspection" | "issuer.revocation") || key == Some("opaque")
        }
        Strategy::Introspection => {
            section == "issuer.keys"
                || section == "issuer" && key == Some("opaque")
                || section == "issuer.revocation"
                    && matches!(key, Some("when_unknown" | "check_when" | "claims"))
        }
        _ => false,
    }
}

/// The example with the strategy, and with what depends on the server.
fn adapt(example: &str, settings: &Settings, strategy: Strategy, secret: &str) -> String {
    let mut lines = Vec::new();
    let mut current = String::new();
    for line in example.lines() {
        if let Some(name) = section(line) {
            name.clone_into(&mut current);
        }
        if refused(strategy, &current, key(line)) {
            continue;
        }
        let caller = settings.caller.as_ref();
        let value = match (current.as_str(), key(line)) {
            ("issuer", Some("issuer")) => Some(quoted(&settings.issuer)),
            ("issuer", Some("strategy")) => Some(quoted(strategy.name())),
            ("issuer.introspection", Some("endpoint")) => Some(quoted(&settings.introspection)),
            ("issuer.introspection", Some("client_id")) => caller.map(|(id, _)| quoted(id)),
            ("issuer.introspection", Some("client_secret")) => {
                caller.map(|_| format!("{{ file = {} }}", quoted(secret)))
            }
            _ => None,
        };
        lines.push(match (key(line), value) {
            (Some(key), Some(value)) => format!("{key} = {value}"),
            _ => line.to_owned(),
        });
    }
    if let Some(address) = &settings.address {
        let connect = Change { section: "issuer", key: "connect", value: None };
        let text = format!("{{ {} = {} }}", quoted(origin(&settings.issuer)), quoted(address));
        return set(&lines, &connect, &text);
    }
    joined(&lines)
}

/// Scheme, host and port of an address: what `connect` goes by.
pub(crate) fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(host..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| host + at);
    url.get(..end).unwrap_or(url)
}

/// The first line that differs from the example's though no user should have to change it. The strategy may be
/// another, which takes away what the other one refuses; `connect` says where a server with another name listens.
fn touched(example: &str, adapted: &str, strategy: Strategy) -> Option<String> {
    let allowed =
        |line: &str| key(line).is_some_and(|key| OWN.contains(&key) || matches!(key, "strategy" | "connect"));
    let mut theirs = Vec::new();
    let mut current = String::new();
    for line in example.lines() {
        if let Some(name) = section(line) {
            name.clone_into(&mut current);
        }
        if !refused(strategy, &current, key(line)) {
            theirs.push(line);
        }
    }
    let left = |lines: Vec<&str>| -> Vec<String> {
        lines.into_iter().filter(|line| !allowed(line)).map(str::to_owned).collect()
    };
    let (theirs, ours) = (left(theirs), left(adapted.lines().collect()));
    if theirs == ours {
        return None;
    }
    let differs = ours.iter().zip(&theirs).find(|(a, b)| a != b).map(|(ours, _)| ours.clone());
    Some(differs.unwrap_or_else(|| "one more, or one less".to_owned()))
}

/// One change, in a section that the text has; one for a section that it hasn't is left out.
fn apply(text: &str, change: &Change, settings: &Settings) -> String {
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    match change.value {
        Some(value) => set(&lines, change, &filled(value, settings)),
        None => {
            let mut current = "";
            let kept: Vec<String> = lines
                .iter()
                .filter(|line| {
                    current = section(line).unwrap_or(current);
                    !(current == change.section && key(line) == Some(change.key))
                })
                .cloned()
                .collect();
            joined(&kept)
        }
    }
}

fn set(lines: &[String], change: &Change, value: &str) -> String {
    let new = format!("{} = {value}", change.key);
    let mut current = "";
    let mut out = Vec::new();
    let mut done = false;
    // What belongs to no section stands before the first.
    if change.section.is_empty() {
        out.push(new.clone());
        done = true;
    }
    for line in lines {
        let begins = section(line);
        current = begins.unwrap_or(current);
        let here = current == change.section;
        if begins.is_none() && here && key(line) == Some(change.key) {
            continue;
        }
        out.push(line.clone());
        if begins.is_some() && here && !done {
            out.push(new.clone());
            done = true;
        }
    }
    joined(&out)
}

fn filled(value: &str, settings: &Settings) -> String {
    value
        .replace("{issuer}", &settings.issuer)
        .replace("{introspection}", &settings.introspection)
        .replace("{jwks}", &settings.jwks)
        .replace("{held}", settings.held_scope)
        .replace("{other}", settings.other_scope)
        .replace("{address}", settings.address.as_deref().unwrap_or(&settings.issuer))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn joined(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |mut text, line| {
        text.push_str(line);
        text.push('\n');
        text
    })
}

#[cfg(test)]
mod tests;
