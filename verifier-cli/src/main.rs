#![forbid(unsafe_code)]
//! Skeleton.
fn main() {}
