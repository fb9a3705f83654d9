//! A hundred callers come with one new token, to a verifier that knows nothing yet.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Barrier;
use verifier_testkit::{Endpoint, Fault};

use super::USUAL_FRESHNESS;
use crate::demo::figures::{Calls, Stampede, VERIFIED};
use crate::demo::stage::{Company, together};
use crate::output::End;

const CALLERS: usize = 100;

/// The server takes this long for an answer, so that the callers really meet.
const ANSWER_TIME: Duration = Duration::from_millis(100);

pub(in crate::demo) async fn play(company: &Company) -> Result<Stampede, End> {
    let stage = company.stage(USUAL_FRESHNESS)?;
    for endpoint in [Endpoint::Jwks, Endpoint::Introspection] {
        stage.server().faults().on(endpoint, Fault::DelayFor(ANSWER_TIME));
    }
    let token: Arc<str> = stage.token().into();
    let start = Arc::new(Barrier::new(CALLERS));
    let callers = (0..CALLERS).map(|_| {
        let (stage, token, start) = (stage.clone(), Arc::clone(&token), Arc::clone(&start));
        async move {
            start.wait().await;
            stage.code(&token).await
        }
    });
    let codes = together(callers).await?;
    let verified = codes.iter().filter(|code| **code == VERIFIED).count();
    Ok(Stampede {
        callers: CALLERS as u64,
        verified: verified as u64,
        calls: Calls::from(stage.server().counts()),
    })
}
