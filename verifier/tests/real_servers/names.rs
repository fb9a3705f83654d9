//! An issuer is a name, byte for byte, however its server is reached.

use verifier_testkit::{AuthorizationServer, Behaviour as B, TokenRequest};

use crate::play::play;
use crate::script::{FIRST, Row, Step, Way, all, ask, make, no};

pub(crate) fn rows() -> Vec<Row> {
    vec![fixed_name(), fixed_name_and_addresses(), name_that_follows()]
}

/// The server by another name for the same place.
fn other_name(server: &AuthorizationServer) -> String {
    server.issuer().replace("127.0.0.1", "localhost")
}

/// Reached under the other name, without asking how that resolves.
fn detour(server: &AuthorizationServer, _: Way) -> String {
    let origin = server.origin();
    format!("[issuer.connect]\n{:?} = {origin:?}\n", origin.replace("127.0.0.1", "localhost"))
}

fn addresses(server: &AuthorizationServer, way: Way) -> String {
    let mut text = String::new();
    if way.introspects() {
        text += &format!("endpoint = {:?}\n", server.introspection_endpoint());
    }
    if way != Way::Introspection {
        text += &format!("[issuer.keys]\nurl = {:?}\n", server.jwks_uri());
    }
    text
}

fn fixed_name() -> Row {
    Row::new("R22", "the metadata bear the name that the server was given")
        .issuer(other_name)
        .tables(detour)
        .steps(vec![
            make("its own", |play| play.server.issue(TokenRequest::new()).token),
            // Contradicts the configuration, which time won't mend.
            ask("its own", all("misconfigured")),
            Step::Ready(["misconfigured"; 4]),
        ])
}

fn fixed_name_and_addresses() -> Row {
    let wrong = "wrong_issuer";
    Row::new("R22", "tokens and answers bear the name that the server was given")
        .issuer(other_name)
        .tables(addresses)
        .steps(vec![
            make("its own", |play| play.server.issue(TokenRequest::new()).token),
            ask("its own", [no(wrong, 0, 1), no(wrong, 1, 0), no(wrong, 0, 1), no(wrong, 0, 1)]),
        ])
}

fn name_that_follows() -> Row {
    let wrong = "wrong_issuer";
    Row::new("R22", "the name follows the host that was asked for")
        .behaving(B::IssuerFollowsHost)
        .issuer(other_name)
        .tables(detour)
        .steps(vec![
            make("as we ask", |play| {
                play.server.issue(TokenRequest::new().issuer(other_name(&play.server))).token
            }),
            ask("as we ask", FIRST),
            make("as others do", |play| play.server.issue(TokenRequest::new()).token),
            ask("as others do", [no(wrong, 0, 0), no("inactive", 1, 0), no(wrong, 0, 0), no(wrong, 0, 0)]),
        ])
}

#[tokio::test]
async fn a_name_is_a_name() {
    play(rows()).await;
}
