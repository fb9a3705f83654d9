//! What does a hit cost in the two caches that the engine uses, at 10,000 entries of a 128-bit key and an `Arc`?
#![forbid(unsafe_code)]
#![allow(missing_docs)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};

const ENTRIES: u64 = 10_000;

/// Keys as the engine has them: hashes, spread over all bits.
fn key(n: u64) -> [u64; 2] {
    [n.wrapping_mul(0x9e37_79b9_7f4a_7c15), n.wrapping_mul(0xc2b2_ae3d_27d4_eb4f).rotate_left(31)]
}

fn hits(c: &mut Criterion) {
    let mut group = c.benchmark_group("cache hit");
    let moka = moka::sync::Cache::new(ENTRIES * 2);
    let quick = quick_cache::sync::Cache::new(usize::try_from(ENTRIES * 2).unwrap_or(usize::MAX));
    for n in 0..ENTRIES {
        moka.insert(key(n), Arc::new(n));
        quick.insert(key(n), Arc::new(n));
    }
    moka.run_pending_tasks();
    let mut n = 0;
    group.bench_function("moka", |b| {
        b.iter(|| {
            n = (n + 1) % ENTRIES;
            moka.get(black_box(&key(n)))
        });
    });
    group.bench_function("quick_cache", |b| {
        b.iter(|| {
            n = (n + 1) % ENTRIES;
            quick.get(black_box(&key(n)))
        });
    });
    group.finish();
}

criterion_group!(benches, hits);
criterion_main!(benches);
