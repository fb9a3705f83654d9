//! Tokens by line, however long a line is, in bounded memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _};
use std::path::Path;

use verifier::core::token::MAX_TOKEN_LEN;

use crate::output::End;

/// What is kept of a line: one byte more than any token may have, and the CR of a line end.
const KEPT: usize = MAX_TOKEN_LEN + 2;

/// Lines without their ends, empty ones left out. Of a line that is longer than any token only the beginning is kept,
/// which is too long still.
pub(crate) struct Lines<R> {
    reader: R,
}

impl<R: BufRead> Lines<R> {
    pub(crate) const fn new(reader: R) -> Self {
        Self { reader }
    }

    /// The next line that isn't empty; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        while let Some(line) = self.line()? {
            if !line.is_empty() {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let mut began = false;
        loop {
            let available = match self.reader.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                break;
            }
            began = true;
            let end = available.iter().position(|byte| *byte == b'\n');
            let part = available.split_at(end.unwrap_or(available.len())).0;
            line.extend(part.iter().take(KEPT.saturating_sub(line.len())));
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                break;
            }
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(began.then_some(line))
    }
}

/// Where tokens come from.
pub(crate) enum Source<'a> {
    Argument(&'a str),
    File(&'a Path),
    Stdin,
}

impl<'a> Source<'a> {
    /// What the command line says. With nothing said, standard input, unless somebody would sit there and wonder.
    pub(crate) fn of(argument: Option<&'a str>, file: Option<&'a Path>) -> Result<Self, End> {
        match (argument, file) {
            (_, Some(path)) => Ok(Self::File(path)),
            (Some("-"), None) => Ok(Self::Stdin),
            (Some(token), None) => Ok(Self::Argument(token)),
            (None, None) if io::stdin().is_terminal() => {
                Err(End::failed("no token: give \"-\" to paste one, or --token-file FILE (see --help)"))
            }
            (None, None) => Ok(Self::Stdin),
        }
    }

    pub(crate) fn lines(&self) -> Result<Lines<Box<dyn BufRead + 'a>>, End> {
        let reader: Box<dyn BufRead + 'a> = match self {
            Self::Argument(token) => Box::new(token.as_bytes()),
            Self::File(path) => {
                let file = File::open(path).map_err(|error| self.unreadable(&error))?;
                Box::new(BufReader::new(file))
            }
            Self::Stdin => Box::new(io::stdin().lock()),
        };
        Ok(Lines::new(reader))
    }

    /// Why no (more) tokens can be had.
    pub(crate) fn unreadable(&self, error: &io::Error) -> End {
        match self {
            Self::File(path) => End::failed(format!("{}: {}", path.display(), error.kind())),
            _ => End::failed(format!("standard input: {}", error.kind())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn all(text: &[u8]) -> Vec<Vec<u8>> {
        // A small buffer, so that lines span several of them.
        let mut lines = Lines::new(BufReader::with_capacity(3, text));
        std::iter::from_fn(|| lines.next().unwrap()).collect()
    }

    #[test]
    fn line_ends_are_cut_off_and_empty_lines_left_out() {
        assert_eq!(
            all(b"one\n\r\n\ntwo\r\n three "),
            [b"one".to_vec(), b"two".to_vec(), b" three ".to_vec()]
        );
        assert_eq!(all(b"\n\n"), Vec::<Vec<u8>>::new());
        assert_eq!(all(b""), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn a_line_without_end_is_one_line_too_long_and_costs_no_memory() {
        let endless = io::repeat(b'a').take(64 * 1024 * 1024).chain(&b"\nnext\n"[..]);
        let mut lines = Lines::new(BufReader::new(endless));
        let long = lines.next().unwrap().unwrap();
        assert_eq!(long.len(), KEPT);
        assert!(long.len() > MAX_TOKEN_LEN && long.capacity() < 4 * KEPT);
        assert_eq!(lines.next().unwrap().unwrap(), b"next");
        assert_eq!(lines.next().unwrap(), None);
    }
}
