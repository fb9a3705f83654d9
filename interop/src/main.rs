//! Real authorization servers, and what the verifier must make of their tokens.

#![forbid(unsafe_code)]
#![allow(dead_code)]

mod clock;
mod judge;
mod scenario;
mod scenarios;
mod server;
mod stage;
mod twist;

fn main() {}
