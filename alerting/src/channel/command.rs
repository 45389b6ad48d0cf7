//! A program on this machine: a modem, a pager of the site's own. It gets the page as JSON on its standard input and says by its
//! exit code what became of it. No shell: the arguments are passed as they stand in the configuration.
//!
//! 0 accepted · 67 this person cannot be reached · 75 try again · anything else: set up wrongly. One that does not end in time is
//! killed with everything it started, and its page is in doubt. The first line it prints is the reference for receipts.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use model::Time;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command as Program};

use super::template::body;
use super::{Fate, Message, Recipient, Sent};
use crate::{Error, Secret};

/// Codes of `sysexits.h`.
const NO_SUCH_PERSON: i32 = 67;
const TRY_AGAIN: i32 = 75;
/// Of what it prints no more is read.
const PRINTED_BYTES_MAX: u64 = 4_096;
/// Characters of the first line that become the reference.
const REFERENCE_CHARS_MAX: usize = 200;
/// When the program has ended, what it printed is waited for so long: somebody it started may hold the pipe.
const PRINTED_WITHIN: Duration = Duration::from_millis(200);
const ARGUMENTS_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The program, by its whole path.
    pub program: PathBuf,
    /// Passed as they are; at most 64.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// One run at most, in seconds. 1 to 30.
    #[serde(default = "timeout_s")]
    pub timeout_s: u64,
    /// Passed in the environment as `VIGIL_SECRET`: a key the program needs. Never on its command line, which everybody can read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
}

const fn timeout_s() -> u64 {
    10
}

impl Config {
    pub fn validate(&self) -> Result<(), Error> {
        let wrong = |key, reason: &str| Err(Error::Config { key, reason: reason.to_owned() });
        if !self.program.is_absolute() {
            return wrong("channels.command.program", "must be a whole path");
        }
        if !self.program.is_file() {
            return wrong("channels.command.program", "is not there");
        }
        if self.arguments.len() > ARGUMENTS_MAX {
            return wrong("channels.command.arguments", "has more than 64");
        }
        if !(1..=30).contains(&self.timeout_s) {
            return wrong("channels.command.timeout_s", "is not within 1 to 30");
        }
        Ok(())
    }
}

pub(crate) struct Command {
    config: Config,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Command").field("program", &self.config.program).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct To<'a> {
    person: u32,
    phone: &'a str,
    language: &'a str,
}

impl Command {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        config.validate()?;
        Ok(Self { config: config.clone() })
    }

    pub(crate) async fn send(&self, to: &Recipient, message: &Message, _now: Time) -> Sent {
        let mut input = body(message);
        let who = To { person: to.person.0, phone: &to.phone, language: &to.language };
        input["to"] = serde_json::to_value(who).unwrap_or_default();
        let child = match self.start() {
            Ok(child) => child,
            Err(error) => {
                return Sent::new(Fate::Misconfigured, format!("the program cannot be started: {}", error.kind()));
            }
        };
        let within = Duration::from_secs(self.config.timeout_s);
        // Killed with its group when it is late, and also when this attempt is given up from outside.
        let mut group = Group::of(&child);
        match tokio::time::timeout(within, talk(child, input.to_string())).await {
            Ok(Ok((code, printed))) => {
                group.end();
                judge(code, printed)
            }
            Ok(Err(error)) => Sent::new(Fate::InDoubt, format!("the program was lost: {}", error.kind())),
            Err(_) => Sent::new(Fate::InDoubt, format!("the program did not end within {} s", within.as_secs())),
        }
    }

    fn start(&self) -> std::io::Result<Child> {
        let mut program = Program::new(&self.config.program);
        program.args(&self.config.arguments).env_clear().process_group(0).kill_on_drop(true);
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        for name in ["PATH", "LANG", "TZ"] {
            program.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        program.envs(self.config.secret.as_ref().map(|secret| ("VIGIL_SECRET", secret.expose())));
        program.spawn()
    }
}

/// Exit code (`None`: a signal) and what was printed.
async fn talk(mut child: Child, input: String) -> std::io::Result<(Option<i32>, Vec<u8>)> {
    let (mut stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let write = async {
        if let Some(stdin) = &mut stdin {
            // A program that does not read its input says by its exit code how it fared.
            let _unread = stdin.write_all(input.as_bytes()).await;
        }
        drop(stdin.take());
    };
    let mut printed = Vec::new();
    let mut read = Box::pin(async {
        if let Some(stdout) = stdout {
            let _broken = stdout.take(PRINTED_BYTES_MAX).read_to_end(&mut printed).await;
        }
    });
    let wait = async {
        let ((), status) = tokio::join!(write, child.wait());
        status
    };
    tokio::pin!(wait);
    let mut done = false;
    let status = loop {
        tokio::select! {
            status = &mut wait => break status?,
            () = &mut read, if !done => done = true,
        }
    };
    if !done {
        drop(tokio::time::timeout(PRINTED_WITHIN, &mut read).await);
    }
    drop(read);
    Ok((status.code(), printed))
}

fn judge(code: Option<i32>, printed: Vec<u8>) -> Sent {
    let Some(code) = code else { return Sent::new(Fate::InDoubt, "the program was killed") };
    let fate = match code {
        0 => Fate::Accepted,
        NO_SUCH_PERSON => Fate::RefusedPerson { until: None },
        TRY_AGAIN => Fate::Retry { after: None },
        _ => Fate::Misconfigured,
    };
    let printed = String::from_utf8(printed).unwrap_or_default();
    let line: String = printed.lines().next().unwrap_or_default().trim().chars().take(REFERENCE_CHARS_MAX).collect();
    let provider_ref = (code == 0 && !line.is_empty()).then_some(line);
    Sent { provider_ref, ..Sent::new(fate, format!("exit code {code}")) }
}

/// The program and everything it started, until it has ended by itself.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }

    fn end(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.take() {
            // It may have ended by itself by now.
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }
}
