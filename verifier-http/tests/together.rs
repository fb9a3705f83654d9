//! The transport on the thread, asked from where there is no tokio.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use futures::channel::oneshot;
use support::Step::{Hold, Say};
use support::{OK, Server, get, transport};
use verifier_core::runtime::Runtime;
use verifier_http::IoThread;

#[test]
fn an_exchange_from_outside_of_tokio() {
    let server = Server::start(vec![vec![Say(OK), Say(OK)]]);
    let (runtime, transport) = (IoThread::new(), transport());
    for _ in 0..2 {
        let (say, heard) = oneshot::channel();
        let (transport, url) = (transport.clone(), server.url("/"));
        runtime
            .try_spawn(Box::pin(async move {
                let _ = say.send(get(&transport, &url).await.map(http::Response::into_body));
            }))
            .unwrap();
        assert_eq!(pollster::block_on(heard).unwrap().unwrap().as_ref(), b"ok");
    }
    assert_eq!(server.connections(), 1, "callers come and go, the connection stays");
}

#[test]
fn the_thread_may_end_in_the_middle_of_an_exchange() {
    let server = Server::start(vec![vec![Hold]]);
    let (runtime, transport) = (IoThread::new(), transport());
    let (say, heard) = oneshot::channel();
    let url = server.url("/");
    runtime
        .try_spawn(Box::pin(async move {
            let _ = say.send(get(&transport, &url).await);
        }))
        .unwrap();
    drop(runtime);
    assert!(pollster::block_on(heard).is_err(), "lost, and said so");
}
