//! Tasks and timers from anywhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::mpsc;
use std::time::Duration;

use futures::FutureExt;
use futures::executor::block_on;
use verifier_core::runtime::{NoRuntime, Runtime};
use verifier_http::{IoThread, TokioRuntime};

const SOON: Duration = Duration::from_millis(1);
const NEVER: Duration = Duration::from_secs(86_400);

/// Says that it is gone.
struct Canary(mpsc::Sender<()>);

impl Drop for Canary {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

fn thread_of(runtime: &IoThread) -> (String, std::thread::ThreadId) {
    let (say, heard) = mpsc::channel();
    runtime
        .try_spawn(Box::pin(async move {
            let thread = std::thread::current();
            say.send((thread.name().unwrap_or_default().to_owned(), thread.id())).unwrap();
        }))
        .unwrap();
    heard.recv().unwrap()
}

#[test]
fn tasks_run_on_the_one_thread() {
    let runtime = IoThread::new();
    let (name, id) = thread_of(&runtime);
    assert_eq!(name, "verifier-io");
    assert_eq!(thread_of(&runtime.clone()).1, id);
    assert_ne!(thread_of(&IoThread::new()).1, id);
}

#[test]
fn nothing_starts_before_it_is_needed() {
    let runtime = IoThread::new();
    assert!(format!("{runtime:?}").contains("started: false"));
    thread_of(&runtime);
    assert!(format!("{runtime:?}").contains("started: true"));
}

#[test]
fn the_shared_thread_is_shared_while_it_is_held() {
    let one = IoThread::shared();
    let two = IoThread::shared();
    let id = thread_of(&one).1;
    assert_eq!(thread_of(&two).1, id);
    drop((one, two));
    assert_ne!(thread_of(&IoThread::shared()).1, id);
}

#[test]
fn many_may_start_it_at_once() {
    let runtime = IoThread::new();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let runtime = runtime.clone();
            std::thread::spawn(move || thread_of(&runtime).1)
        })
        .collect();
    let ids: std::collections::HashSet<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    assert_eq!(ids.len(), 1);
}

#[test]
fn timers_fire_on_any_executor() {
    let runtime = IoThread::new();
    block_on(runtime.sleep(SOON).unwrap());
    pollster::block_on(runtime.sleep(SOON).unwrap());
    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tokio.block_on(runtime.sleep(SOON).unwrap());
}

#[test]
fn a_timer_does_not_fire_early() {
    let runtime = IoThread::new();
    let mut long = runtime.sleep(NEVER).unwrap();
    block_on(runtime.sleep(SOON).unwrap());
    assert!((&mut long).now_or_never().is_none());
    // The longest of all is no special case.
    let mut longest = runtime.sleep(Duration::MAX).unwrap();
    block_on(runtime.sleep(SOON).unwrap());
    assert!((&mut longest).now_or_never().is_none());
}

#[test]
fn a_timer_that_is_dropped_leaves_nothing_behind() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let runtime = TokioRuntime::from_handle(tokio.handle().clone());
    let timer = runtime.sleep(NEVER).unwrap();
    assert_eq!(tokio.metrics().num_alive_tasks(), 1);
    drop(timer);
    tokio.block_on(tokio::task::yield_now());
    assert_eq!(tokio.metrics().num_alive_tasks(), 0);
}

#[test]
fn a_panicking_task_takes_nobody_with_it() {
    let runtime = IoThread::new();
    let id = thread_of(&runtime).1;
    runtime.try_spawn(Box::pin(async { panic!("on purpose") })).unwrap();
    assert_eq!(thread_of(&runtime).1, id);
}

#[test]
fn the_last_clone_takes_tasks_and_timers_with_it() {
    let runtime = IoThread::new();
    let timer = runtime.sleep(NEVER).unwrap();
    let (say, heard) = mpsc::channel();
    let canary = Canary(say);
    runtime
        .try_spawn(Box::pin(async move {
            let _canary = canary;
            std::future::pending::<()>().await;
        }))
        .unwrap();
    let clone = runtime.clone();
    drop(runtime);
    thread_of(&clone);
    assert!(heard.try_recv().is_err(), "a clone keeps it running");
    drop(clone);
    heard.recv().unwrap();
    block_on(timer); // ends early rather than never
}

#[test]
fn it_may_be_dropped_in_async_code_and_on_its_own_thread() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio.block_on(async {
        let runtime = IoThread::new();
        runtime.sleep(SOON).unwrap().await;
        drop(runtime);
    });

    let runtime = IoThread::new();
    let (say, heard) = mpsc::channel();
    let (go, wait) = futures::channel::oneshot::channel::<()>();
    let inner = runtime.clone();
    runtime
        .try_spawn(Box::pin(async move {
            wait.await.unwrap();
            drop(inner);
            say.send(()).unwrap();
            let _canary = Canary(say);
            std::future::pending::<()>().await;
        }))
        .unwrap();
    drop(runtime);
    go.send(()).unwrap();
    heard.recv().unwrap();
    heard.recv().unwrap(); // the thread has ended and dropped the task
}

#[test]
fn outside_of_tokio_there_is_no_current_runtime() {
    assert_eq!(TokioRuntime::current().unwrap_err(), NoRuntime);
}

#[tokio::test]
async fn inside_of_tokio_there_is() {
    let runtime = TokioRuntime::current().unwrap();
    let (say, heard) = futures::channel::oneshot::channel();
    runtime.try_spawn(Box::pin(async move { say.send(7).unwrap() })).unwrap();
    assert_eq!(heard.await, Ok(7));
    runtime.sleep(SOON).unwrap().await;
}

#[test]
fn a_runtime_that_is_gone_loses_tasks_and_never_panics() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let runtime = TokioRuntime::from_handle(tokio.handle().clone());
    let before = runtime.sleep(NEVER).unwrap();
    drop(tokio);

    let (say, heard) = mpsc::channel();
    let canary = Canary(say);
    let accepted = runtime.try_spawn(Box::pin(async move {
        let _canary = canary;
        unreachable!("nothing runs it");
    }));
    heard.recv().unwrap();
    assert_eq!(accepted, Ok(()), "accepted, and lost");
    block_on(before);
    block_on(runtime.sleep(NEVER).unwrap());
}
