//! Keys are rotated as they should be, published before they are used, while requests go on coming.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{RwLock, mpsc};
use verifier_testkit::Algorithm;

use super::USUAL_FRESHNESS;
use crate::demo::figures::{Calls, Rotation, Verdicts};
use crate::demo::stage::{Company, Stage};
use crate::output::End;

const ROTATIONS: u64 = 3;
const STREAMS: usize = 16;
/// How many requests pass between the steps of a rotation.
const BETWEEN: usize = 60;
/// Rotations lie this far apart.
const APART: Duration = Duration::from_secs(120);

pub(in crate::demo) async fn play(company: &Company) -> Result<Rotation, End> {
    let stage = company.stage(USUAL_FRESHNESS)?;
    stage.ready().await?;
    stage.server().reset_counts();
    let mut audience = Audience::gather(&stage);
    for _ in 0..ROTATIONS {
        audience.watch(BETWEEN).await?;
        let old = stage.server().signing_kid();
        let new = stage.server().add_key(Algorithm::ES256);
        audience.watch(BETWEEN).await?;
        stage.server().promote(&new);
        audience.watch(BETWEEN).await?;
        stage.server().withdraw(&old);
        audience.watch(BETWEEN).await?;
        audience.between_requests(|| stage.leap(APART)).await;
    }
    audience.watch(BETWEEN).await?;
    Ok(Rotation {
        rotations: ROTATIONS,
        requests: audience.seen.total(),
        lost: audience.seen.lost(),
        lost_by_code: audience.seen.others(),
        calls: Calls::from(stage.server().counts()),
    })
}

/// Streams of requests, each with a token that was issued that moment. They end when nobody listens any more.
struct Audience {
    codes: mpsc::Receiver<&'static str>,
    under_way: Arc<RwLock<()>>,
    seen: Verdicts,
}

impl Audience {
    fn gather(stage: &Stage) -> Self {
        let (sender, codes) = mpsc::channel(STREAMS);
        let under_way = Arc::<RwLock<()>>::default();
        for _ in 0..STREAMS {
            tokio::spawn(stream(stage.clone(), Arc::clone(&under_way), sender.clone()));
        }
        Self { codes, under_way, seen: Verdicts::default() }
    }

    /// A leap of the clock in the middle of a request would make it one that took minutes.
    async fn between_requests(&self, act: impl FnOnce()) {
        let _nobody = self.under_way.write().await;
        act();
    }

    async fn watch(&mut self, requests: usize) -> Result<(), End> {
        for _ in 0..requests {
            let code =
                self.codes.recv().await.ok_or_else(|| End::failed("the stream of requests broke off"))?;
            self.seen.note(code);
        }
        Ok(())
    }
}

async fn stream(stage: Stage, under_way: Arc<RwLock<()>>, codes: mpsc::Sender<&'static str>) {
    loop {
        let code = {
            let _one = under_way.read().await;
            stage.code(&stage.token()).await
        };
        if codes.send(code).await.is_err() {
            return;
        }
    }
}
