//! A library's program that runs, and what it is asked: one JSON object a line, one line back for each.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::server::{Trouble, failed, process};

/// Those that are tried.
pub(super) const LIBRARIES: [&str; 5] = ["jjwt", "pyjwt", "jsonwebtoken", "jose", "golang-jwt"];

/// How many requests are sent before their answers are read: few enough that no pipe fills up on both sides.
const AT_ONCE: usize = 16;

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("libs")
}

/// The program. It ends when this is dropped: its input does.
pub(super) struct Speaker {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Speaker {
    /// Installs the library, if it isn't, and starts its program.
    ///
    /// # Errors
    /// [`Trouble::Failed`].
    pub(super) async fn start(library: &'static str) -> Result<Self, Trouble> {
        let mut install = Command::new(scripts().join("install"));
        install.arg(library);
        process::run(install, format!("libs/install {library}")).await?;
        let mut child = Command::new(scripts().join("speak"))
            .arg(library)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed(format_args!("libs/speak {library}: {error}")))?;
        let from = child.stdout.take().ok_or_else(|| failed("a program without output"))?;
        let to = child.stdin.take();
        Ok(Self { child, to, from: BufReader::new(from) })
    }

    /// Asks, and waits for the answers.
    ///
    /// # Errors
    /// [`Trouble::Failed`] if the program ended, or said something that is no JSON.
    pub(super) fn ask(&mut self, requests: &[Value]) -> Result<Vec<Value>, Trouble> {
        let to = self.to.as_mut().ok_or_else(|| failed("a program without input"))?;
        let mut answers = Vec::new();
        for some in requests.chunks(AT_ONCE) {
            let mut text = String::new();
            for request in some {
                text.push_str(&request.to_string());
                text.push('\n');
            }
            to.write_all(text.as_bytes()).and_then(|()| to.flush()).map_err(failed)?;
            for _ in some {
                let mut line = String::new();
                self.from.read_line(&mut line).map_err(failed)?;
                answers.push(
                    serde_json::from_str(&line)
                        .map_err(|_| failed("a program that ended, or answered no JSON"))?,
                );
            }
        }
        Ok(answers)
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        drop(self.to.take());
        // It reads to the end of its input; if it has hung, it is ended.
        for _ in 0..50 {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
