//! x
#[derive(Debug)] pub struct TokenForge;
