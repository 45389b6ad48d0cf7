//! `vigil bench`: a server and a load generator as separate processes, end to end, with the bare limits of each stage
//! measured in the same run, so that a figure can be compared with what this machine could do at best.

pub mod limits;
pub mod load;
pub mod phone;
pub mod plan;
pub mod stores;
mod watch;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use model::Time;
use serde::Serialize;

use crate::cli;
use phone::Phone;
use plan::Plan;
use watch::Watch;

/// How long the writer and the engine may take to finish what was acknowledged, after the load has ended.
const DRAIN: Duration = Duration::from_mins(1);
/// How long the last page may take after the load has ended.
const LAST_PAGE: Duration = Duration::from_secs(10);

/// What `vigil bench --json` prints.
#[derive(Debug, Serialize)]
pub struct Report {
    pub profile: &'static str,
    /// Readings acknowledged a second, at full speed.
    pub readings_per_s: f64,
    pub publishes_per_s: f64,
    /// Readings acknowledged in all, stored in all, judged in all.
    pub acked: u64,
    pub stored: u64,
    pub judged: u64,
    /// Acknowledged and not stored: must be 0.
    pub lost: u64,
    /// At full speed, windows full.
    pub puback_ms: Quantiles,
    /// At half of the full rate.
    pub puback_half_ms: Quantiles,
    /// SOS publish to its line in the dispatcher's stream, at half of the full rate.
    pub sos_to_stream_ms: Quantiles,
    /// SOS publish to the first attempt to page somebody, as the paging service sees it: at half of the full rate, and on a
    /// server that has nothing else to do.
    pub sos_to_page_ms: Quantiles,
    pub sos_to_page_quiet_ms: Quantiles,
    pub sos_sent: u64,
    pub sos_seen: u64,
    /// Of all presses: how many were paged.
    pub sos_paged: u64,
    pub server_cpu_s: f64,
    pub server_rss_mib: f64,
    /// Bytes of the readings file by readings stored. High while most are still in the log.
    pub bytes_per_reading: f64,
    /// The same for sealed blocks alone.
    pub bytes_per_sealed_reading: f64,
    /// Time from the end of the load until all was stored and judged.
    pub drain_s: f64,
    pub limits: limits::Limits,
}

#[derive(Clone, Copy, Debug, Default, Serialize, serde::Deserialize)]
pub struct Quantiles {
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

impl Quantiles {
    /// Of values in microseconds, as milliseconds. Sorts them.
    pub fn of(us: &mut [u64]) -> Self {
        us.sort_unstable();
        let at = |share: f64| us.get(((us.len() as f64 * share) as usize).min(us.len().saturating_sub(1)));
        let ms = |value: Option<&u64>| value.map_or(0.0, |us| *us as f64 / 1_000.0);
        Self { p50: ms(at(0.5)), p99: ms(at(0.99)), max: ms(us.last()) }
    }
}

/// Runs the benchmark and returns what it measured.
pub async fn run(args: &cli::Bench) -> anyhow::Result<Report> {
    let scratch = tempfile::tempdir().context("no temporary folder")?;
    let data_dir = args.data_dir.clone().unwrap_or_else(|| scratch.path().join("data"));
    std::fs::create_dir_all(&data_dir).with_context(|| format!("cannot create {}", data_dir.display()))?;
    let phone = Phone::bind().await?;
    let mut plan = Plan::prepare(&data_dir, scratch.path(), args, &phone)?;
    let mut server = Process::start("server", &["serve", "--config"], &plan.config_file, &args.server_cpus)?;
    let listening = server.wait_for("listening ")?;
    plan.set_addresses(&listening)?;
    let plan_file = plan.write(scratch.path())?;
    let before = Watch::new(&plan)?.read().await?;
    let mut load = Process::start("load generator", &["bench-load"], &plan_file, &args.load_cpus)?;
    let outcome: load::Outcome =
        serde_json::from_str(&load.wait_for("outcome ")?).context("the load generator's answer")?;
    let watch = Watch::new(&plan)?;
    let begun = Instant::now();
    let mut now = watch.read().await?.since(&before);
    while (now.stored + now.duplicates < outcome.acked_readings || now.judged < outcome.acked_readings)
        && begun.elapsed() < DRAIN
    {
        tokio::time::sleep(Duration::from_millis(50)).await;
        now = watch.read().await?.since(&before);
    }
    let drain_s = begun.elapsed().as_secs_f64();
    let mut watched = phone.watch();
    let all_paged = watched.wait_for(|count| *count as u64 >= outcome.sos_sent + outcome.quiet_sent);
    // A page that does not come is in the figures.
    drop(tokio::time::timeout(LAST_PAGE, all_paged).await);
    let (loaded, quiet) = page_times(&phone, outcome.quiet_from);
    let usage = server.usage()?;
    server.stop()?;
    Ok(Report {
        profile: plan.profile_name(),
        readings_per_s: outcome.acked_readings_full as f64 / outcome.full_s,
        publishes_per_s: outcome.acked_publishes_full as f64 / outcome.full_s,
        acked: outcome.acked_readings,
        stored: now.stored,
        judged: now.judged,
        lost: outcome.acked_readings.saturating_sub(now.stored + now.duplicates),
        puback_ms: outcome.puback_full_ms,
        puback_half_ms: outcome.puback_half_ms,
        sos_to_stream_ms: outcome.sos_ms,
        sos_paged: (loaded.len() + quiet.len()) as u64,
        sos_to_page_ms: Quantiles::of(&mut { loaded }),
        sos_to_page_quiet_ms: Quantiles::of(&mut { quiet }),
        sos_sent: outcome.sos_sent + outcome.quiet_sent,
        sos_seen: outcome.sos_seen + outcome.quiet_seen,
        server_cpu_s: usage.cpu_s,
        server_rss_mib: usage.rss_mib,
        bytes_per_reading: now.bytes_per_reading,
        bytes_per_sealed_reading: now.bytes_per_sealed_reading,
        drain_s,
        limits: limits::measure(scratch.path(), &args.server_cpus)?,
    })
}

/// From press to first attempt, in microseconds: of presses under load, and of those from `quiet_from` on. A press is dated in
/// whole milliseconds, so that each is up to one too long.
fn page_times(phone: &Phone, quiet_from: Time) -> (Vec<u64>, Vec<u64>) {
    let (mut loaded, mut quiet) = (Vec::new(), Vec::new());
    for call in phone.first_calls() {
        let took = u64::try_from(call.came_at.since_us(call.pressed_at)).unwrap_or(0);
        if call.pressed_at >= quiet_from { quiet.push(took) } else { loaded.push(took) }
    }
    (loaded, quiet)
}

/// A child process of this same binary, killed when dropped.
struct Process {
    what: &'static str,
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

/// What the operating system says a process used.
struct Usage {
    cpu_s: f64,
    rss_mib: f64,
}

impl Process {
    fn start(what: &'static str, words: &[&str], file: &Path, cpus: &[usize]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("where is this binary?")?);
        command.args(words).arg(file).stdout(Stdio::piped()).stdin(Stdio::null());
        if !cpus.is_empty() {
            command.env(crate::cpus::VARIABLE, crate::cpus::text(cpus));
        }
        let mut child = command.spawn().with_context(|| format!("cannot start the {what}"))?;
        let stdout = child.stdout.take().context("no output of the child")?;
        Ok(Self { what, child, lines: BufReader::new(stdout).lines() })
    }

    /// The rest of the first line that begins with `word`.
    fn wait_for(&mut self, word: &str) -> anyhow::Result<String> {
        for line in self.lines.by_ref() {
            if let Some(rest) = line?.strip_prefix(word) {
                return Ok(rest.to_owned());
            }
        }
        bail!("the {} ended before it said {word:?}; its messages are above", self.what)
    }

    fn usage(&self) -> anyhow::Result<Usage> {
        let pid = self.child.id();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The fields after the name in parentheses: utime and stime are the 12th and 13th of them.
        let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let ticks = |i: usize| fields.get(i).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let peak_kib =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|rest| rest.split_whitespace().next());
        let rss_mib = peak_kib.and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0;
        Ok(Usage { cpu_s: (ticks(11) + ticks(12)) / rustix::param::clock_ticks_per_second() as f64, rss_mib })
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already gone is fine.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
