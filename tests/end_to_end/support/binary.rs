//! The binary as a process.

use std::ffi::OsStr;
use std::fmt::Display;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// No test waits this long unless something is broken; then it is to fail, not to hang.
pub const TOO_LONG: Duration = Duration::from_secs(90);

/// The API key of every test that sends one. Whatever the binary says in any test is searched for it.
pub const KEY: &str = "sk-test-4b1d-never-to-be-seen";

/// The workspace's root. Tests start in the crate's folder, users at the root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the crate lies in the workspace")
}

/// A path as a TOML string.
pub fn quoted(path: &Path) -> String {
    toml::Value::from(path.to_str().expect("paths of tests are UTF-8")).to_string()
}

/// A command line in the making.
#[derive(Debug)]
pub struct Asclepius(Command);

/// `asclepius ARGS..` at the workspace's root.
pub fn asclepius(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Asclepius {
    let mut command = Command::new(env!("CARGO_BIN_EXE_asclepius"));
    command.args(args).current_dir(root()).env("NO_COLOR", "1").stdin(Stdio::null());
    Asclepius(command)
}

impl Asclepius {
    /// One more argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    /// More arguments.
    pub fn args(mut self, arguments: &[impl AsRef<OsStr>]) -> Self {
        self.0.args(arguments);
        self
    }

    /// `--set KEY=VALUE`, the value as TOML.
    pub fn set(self, key: &str, value: impl Display) -> Self {
        self.arg("--set").arg(format!("{key}={value}"))
    }

    /// An environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// The same command without an environment variable.
    pub fn without(mut self, name: &str) -> Self {
        self.0.env_remove(name);
        self
    }

    /// What it reads on stdin.
    pub fn input(mut self, text: &str) -> Self {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(text.as_bytes()).and_then(|()| file.rewind()).expect("writable");
        self.0.stdin(file);
        self
    }

    /// Runs to the end.
    pub fn run(mut self) -> Ended {
        let output = self.0.output().expect("cargo built the binary");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Runs to the end, which must be this exit code.
    #[track_caller]
    pub fn ends(self, code: i32) -> Ended {
        self.run().with(code)
    }

    /// Starts without waiting.
    pub fn start(mut self) -> Running {
        let mut child = self.0.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("cargo built the binary");
        let mut out = child.stdout.take().expect("it is piped");
        let stdout = std::thread::spawn(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).expect("output is UTF-8");
            text
        });
        let err = BufReader::new(child.stderr.take().expect("it is piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in err.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Running { child, stdout: Some(stdout), lines, stderr: String::new() }
    }
}

/// A process that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Fails with everything that was said unless it ended with this exit code.
    #[track_caller]
    pub fn with(self, code: i32) -> Self {
        assert!(!self.stdout.contains(KEY) && !self.stderr.contains(KEY), "a key was said: {self:?}");
        assert_eq!(self.code, Some(code), "exit code; stderr:\n{}\nstdout:\n{}", self.stderr, self.stdout);
        self
    }

    /// Fails unless stderr holds every one of these.
    #[track_caller]
    pub fn says(&self, words: &[&str]) {
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in stderr:\n{}", self.stderr);
        }
    }
}

/// A process that may still be working. Killed when dropped, so that a failing test leaves nothing behind.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Option<JoinHandle<String>>,
    lines: Receiver<String>,
    stderr: String,
}

impl Running {
    /// Waits for a line on stderr that holds `words`. The process ending without one fails the test.
    #[track_caller]
    pub fn wait_for(&mut self, words: &str) -> String {
        while let Some(line) = self.next_line() {
            if line.contains(words) {
                return line;
            }
        }
        panic!("it ended without saying {words:?}; stderr:\n{}", self.stderr);
    }

    /// The next line of stderr; none when the process has closed it, as it does by ending.
    #[track_caller]
    fn next_line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(TOO_LONG) {
            Ok(line) => {
                self.stderr.push_str(&line);
                self.stderr.push('\n');
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("it hangs; stderr:\n{}", self.stderr),
        }
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-INT", &pid]).status().expect("every Unix has kill");
        assert!(status.success(), "process {pid} could not be signalled");
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
    }

    /// Waits for the end.
    pub fn ended(mut self) -> Ended {
        while self.next_line().is_some() {}
        let stdout = self.stdout.take().expect("only taken here").join().expect("the reader does not panic");
        let status = self.child.wait().expect("it is ours");
        Ended { code: status.code(), stdout, stderr: std::mem::take(&mut self.stderr) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be gone already; there is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
