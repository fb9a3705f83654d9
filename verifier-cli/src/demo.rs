use std::io::Write;
use crate::{args::DemoArgs, output::{End, Exit}};
pub(crate) fn run(_: &DemoArgs, _: &mut impl Write) -> Result<Exit, End> { Ok(Exit::Good) }
