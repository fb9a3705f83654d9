//! Scripts, and the process that `start` left behind.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Trouble, failed};
use crate::clock;

/// The folder of a server's scripts.
pub(crate) fn scripts(product: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(product)
}

/// The folder where servers are installed: `VERIFIER_INTEROP_CACHE`, or `interop/.cache`.
pub(crate) fn cache() -> PathBuf {
    std::env::var_os("VERIFIER_INTEROP_CACHE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache"), PathBuf::from)
}

/// Runs a script of the server's folder to its end, with these variables. What it prints is shown only if it fails.
///
/// # Errors
/// [`Trouble::Failed`] with the last lines that it printed.
pub(crate) async fn script(
    product: &'static str,
    name: &'static str,
    env: &[(&str, &str)],
) -> Result<(), Trouble> {
    let mut command = Command::new(scripts(product).join(name));
    command.envs(env.iter().copied());
    run(command, format!("{product}/{name}")).await.map(drop)
}

/// Runs a command to its end and gives what it printed.
///
/// # Errors
/// [`Trouble::Failed`] with the last lines that it printed.
pub(crate) async fn run(mut command: Command, name: String) -> Result<String, Trouble> {
    // Through files, not pipes: a server that a script leaves behind would hold a pipe open for ever.
    let printed = tempfile::tempfile().map_err(failed)?;
    let mut read = printed.try_clone().map_err(failed)?;
    let errors = printed.try_clone().map_err(failed)?;
    command.stdin(Stdio::null()).stdout(printed).stderr(errors);
    let status = tokio::task::spawn_blocking(move || command.status())
        .await
        .map_err(failed)?
        .map_err(|error| failed(format_args!("{name}: {error}")))?;
    let mut text = String::new();
    std::io::Seek::rewind(&mut read).map_err(failed)?;
    std::io::Read::read_to_string(&mut read, &mut text).map_err(failed)?;
    if status.success() {
        return Ok(text);
    }
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    let last = lines.into_iter().rev().collect::<Vec<_>>().join(" / ");
    Err(failed(format_args!("{name} ended with {status}: {last}")))
}

/// Lines `NAME=VALUE` or `NAME='VALUE'`, as `start` writes them.
///
/// # Errors
/// [`Trouble::Failed`] if the file can't be read.
pub(crate) fn variables(file: &Path) -> Result<BTreeMap<String, String>, Trouble> {
    let text =
        std::fs::read_to_string(file).map_err(|error| failed(format_args!("{}: {error}", file.display())))?;
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    Ok(pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned())).collect())
}

/// What `variables` read, by name.
///
/// # Errors
/// [`Trouble::Failed`] naming the one that isn't there.
pub(crate) fn variable(variables: &BTreeMap<String, String>, name: &str) -> Result<String, Trouble> {
    variables.get(name).cloned().ok_or_else(|| failed(format_args!("start wrote no {name}")))
}

/// A signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Signal {
    /// Halt where you are.
    Stop,
    /// Go on.
    Continue,
    /// End at once.
    Kill,
}

/// The process that `start` wrote down as `PID BIRTH`: the time of birth tells it from a later one with the same number.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pid: u32,
    birth: String,
}

impl Process {
    /// As the pid file says.
    ///
    /// # Errors
    /// [`Trouble::Failed`] if there is none that can be read.
    pub(crate) fn from_file(file: &Path) -> Result<Self, Trouble> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| failed(format_args!("{}: {error}", file.display())))?;
        let (pid, birth) =
            text.trim().split_once(' ').ok_or_else(|| failed("a pid file without time of birth"))?;
        Ok(Self { pid: pid.parse().map_err(failed)?, birth: birth.to_owned() })
    }

    /// Whether it still lives.
    pub(crate) fn lives(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        // Fields 3 (state) and 22 (birth), counted after the name, which may hold spaces.
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        fields.first() != Some(&"Z") && fields.get(19) == Some(&self.birth.as_str())
    }

    /// Sends a signal; with `group`, to the whole process group that it leads. Returns after a kill when it is gone.
    ///
    /// # Errors
    /// [`Trouble::Failed`] if it is gone.
    pub(crate) async fn signal(&self, signal: Signal, group: bool) -> Result<(), Trouble> {
        if !self.lives() {
            return Err(failed("the server's process is gone"));
        }
        let name = match signal {
            Signal::Stop => "-STOP",
            Signal::Continue => "-CONT",
            Signal::Kill => "-KILL",
        };
        let whom = if group { format!("-{}", self.pid) } else { self.pid.to_string() };
        let mut command = Command::new("kill");
        command.args([name, "--", &whom]);
        run(command, "kill".to_owned()).await?;
        if signal == Signal::Kill && !clock::until(Duration::from_secs(5), || async { self.is_gone() }).await
        {
            return Err(failed("the server's process goes on after it was killed"));
        }
        Ok(())
    }

    /// Whether all of it has ended: the first thread may end before others, and until the last has, the sockets take
    /// connections.
    fn is_gone(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid)).map_or(0, Iterator::count);
        !self.lives() && threads <= 1
    }
}
