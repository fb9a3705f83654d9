//! One token, several texts: a server that decodes leniently calls them all active.

use verifier_testkit::{Behaviour as B, TokenRequest};

use crate::play::{Play, play};
use crate::script::{FIRST, KNOWN, Row, Step, all, ask, issue, make, no, ok};

const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub(crate) fn rows() -> Vec<Row> {
    vec![opaque(), jwt()]
}

/// `token` with the number in its last character's unused bits, of which there are so many.
pub(crate) fn respelled(token: &str, bits: u32, unused: usize) -> String {
    let (front, last) = token.split_at(token.len() - 1);
    let place = ALPHABET.find(last).unwrap();
    let kept = place >> bits << bits;
    format!("{front}{}", &ALPHABET[kept | unused..][..1])
}

/// `token` with unused bits set in this part.
fn respelled_part(token: &str, n: usize) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let bits = if parts[n].len() % 4 == 2 { 4 } else { 2 };
    parts[n] = respelled(&parts[n], bits, 1);
    parts.join(".")
}

/// The eight spellings of an opaque token of 32 bytes, the first being its own.
pub(crate) fn spellings(token: &str) -> Vec<String> {
    (0..4)
        .map(|unused| respelled(token, 2, unused))
        .flat_map(|text| [format!("{text}="), text])
        .rev()
        .collect()
}

/// The spelling of this number of the opaque token that was issued first.
pub(crate) fn spelling(n: usize) -> impl Fn(&Play) -> String {
    move |play| spellings(&play.token("opaque"))[n].clone()
}

fn opaque() -> Row {
    let opaque = [no("not_a_jwt", 0, 0), ok(1, 0), ok(1, 0), ok(1, 0)];
    let known = [no("not_a_jwt", 0, 0), ok(0, 0), ok(0, 0), ok(0, 0)];
    let mut steps = vec![issue("opaque", || TokenRequest::new().opaque())];
    for n in 0..8 {
        steps.extend([make("spelling", spelling(n)), ask("spelling", opaque), ask("spelling", known)]);
    }
    Row::new("R10", "eight spellings of an opaque token")
        .behaving(B::ReadsTokensLeniently)
        .opaque_too()
        .steps(steps)
}

fn jwt() -> Row {
    let mut steps = vec![
        // With a character that the other alphabet writes otherwise, and unused bits in every part.
        make("jwt", |play| {
            (0..)
                .map(|n| {
                    let request = TokenRequest::new()
                        .header("x-pad", "x".repeat(n % 3))
                        .claim("x-pad", "x".repeat(n / 3 % 3));
                    play.server.issue(request).token
                })
                .find(|token| {
                    let parts: Vec<&str> = token.split('.').collect();
                    parts[2].contains(['-', '_']) && parts.iter().all(|part| part.len() % 4 != 0)
                })
                .unwrap()
        }),
    ];
    let respellings: [fn(&str) -> String; 7] = [
        |token| respelled_part(token, 0),
        |token| respelled_part(token, 1),
        |token| respelled(token, 4, 1),
        |token| respelled(token, 4, 15),
        |token| format!("{token}="),
        |token| format!("{token}=="),
        |token| {
            let (front, signature) = token.rsplit_once('.').unwrap();
            format!("{front}.{}", signature.replace('-', "+").replace('_', "/"))
        },
    ];
    let before_and_after = |steps: &mut Vec<Step>| {
        for respell in respellings {
            steps.push(make("respelled", move |play| {
                let own = play.token("jwt");
                let token = respell(&own);
                assert_ne!(token, own);
                token
            }));
            steps.push(ask("respelled", all("not_canonical")));
        }
    };
    before_and_after(&mut steps);
    steps.extend([ask("jwt", FIRST), ask("jwt", KNOWN)]);
    before_and_after(&mut steps);
    Row::new("R10", "spellings of a JWT that no standard allows")
        .behaving(B::ReadsTokensLeniently)
        .opaque_too()
        .steps(steps)
}

#[tokio::test]
async fn a_spelling_is_no_way_round_anything() {
    play(rows()).await;
}
