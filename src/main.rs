//! The one binary: parse, call, and turn an error into one sentence and exit status 1.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use vigil::cli::{Cli, Command};
use vigil::{bench, commands, cpus, demo, server};

fn main() -> ExitCode {
    let cli = Cli::parse();
    // What this process writes holds names, phones and readings: it is nobody else's to read.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    log();
    match run(cli.command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// True when the command succeeded. False when it printed the reason itself.
fn run(command: Command) -> anyhow::Result<bool> {
    cpus::pin_from_environment()?;
    // One provider of cryptography for every TLS connection of this process; a second call would be a bug.
    let _second = rustls::crypto::ring::default_provider().install_default();
    match command {
        Command::Decode(args) => return commands::decode(&args),
        Command::Score(what) => return Ok(commands::score(&what)),
        Command::County(args) => return commands::county(&args),
        Command::CheckConfig { file } => commands::check_config(&file)?,
        Command::Add(what) => commands::add(&what)?,
        Command::Roster(what) => return commands::roster(&what),
        Command::Push(what) => commands::push(&what)?,
        Command::Judge(args) => commands::judge(&args)?,
        Command::Doctor(args) => return commands::doctor(&args),
        Command::ForgetElder(args) => return commands::forget_elder(&args),
        Command::Readings(what) => return commands::readings(&what),
        Command::MigrateStore(args) => commands::migrate_store(&args)?,
        Command::Export(args) => commands::export(&args)?,
        Command::Import(args) => commands::import(&args)?,
        Command::Backup(args) => commands::backup(&args)?,
        Command::Serve(args) => {
            let config = config::server(&args.config)?;
            run_async(server::serve(config))?;
        }
        Command::Gateway(args) => {
            if let Some(config) = commands::gateway_command(args)? {
                run_async(commands::gateway(config))?;
            }
        }
        Command::Demo(args) => run_async(demo::run(args))?,
        Command::Replay(args) => run_async(commands::replay(&args))?,
        Command::Simulate(args) => run_async(commands::simulate(&args))?,
        Command::Bench(args) => {
            if let Some(problem) = args.problem() {
                anyhow::bail!(problem);
            }
            let json = args.json;
            let report = if args.profile.is_of_store() {
                run_async(async move { tokio::task::block_in_place(|| bench::stores::run(&args)) })?
            } else {
                serde_json::to_value(run_async(bench::run(&args))?)?
            };
            let text = if json { serde_json::to_string(&report)? } else { serde_json::to_string_pretty(&report)? };
            server::say(&text);
        }
        Command::BenchLoad(args) => {
            let load = serde_json::from_slice(&std::fs::read(&args.plan)?)?;
            let outcome = run_async(bench::load::run(load))?;
            server::say(&format!("outcome {}", serde_json::to_string(&outcome)?));
        }
    }
    Ok(true)
}

/// Time that blocking work left over (a backup under way) has once the command itself has ended.
const LEFT_OVER: Duration = Duration::from_secs(2);

/// Runs a command to its end, which does not wait for blocking work that will not end.
fn run_async<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(command);
    runtime.shutdown_timeout(LEFT_OVER);
    outcome
}

/// Logs go to standard error; `VIGIL_LOG` chooses what (`info` by default).
fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("VIGIL_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Colours are for people; in a file or the system's journal they would stand in the way of searching.
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}

#[expect(clippy::print_stderr, reason = "the answer to whoever typed the command")]
fn complain(text: &str) {
    eprintln!("vigil: {text}");
}
