//! The one binary: parse, call, and turn an error into one sentence and exit status 1.

use std::process::ExitCode;

use clap::Parser;
use vigil::cli::{Cli, Command};
use vigil::{bench, commands, cpus, demo, server};

fn main() -> ExitCode {
    let cli = Cli::parse();
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
        Command::CheckConfig { file } => commands::check_config(&file)?,
        Command::Add(what) => commands::add(&what)?,
        Command::Judge(args) => commands::judge(&args)?,
        Command::Backup(args) => commands::backup(&args)?,
        Command::Serve(args) => {
            let config = config::server(&args.config)?;
            runtime()?.block_on(server::serve(config))?;
        }
        Command::Gateway(args) => {
            let config = config::gateway(&args.config)?;
            runtime()?.block_on(commands::gateway(config))?;
        }
        Command::Demo(args) => runtime()?.block_on(demo::run(args))?,
        Command::Replay(args) => runtime()?.block_on(commands::replay(&args))?,
        Command::Simulate(args) => runtime()?.block_on(commands::simulate(&args))?,
        Command::Bench(args) => {
            let report = runtime()?.block_on(bench::run(&args))?;
            let text = if args.json { serde_json::to_string(&report)? } else { serde_json::to_string_pretty(&report)? };
            server::say(&text);
        }
        Command::BenchLoad(args) => {
            let load = serde_json::from_slice(&std::fs::read(&args.plan)?)?;
            let outcome = runtime()?.block_on(bench::load::run(load))?;
            server::say(&format!("outcome {}", serde_json::to_string(&outcome)?));
        }
    }
    Ok(true)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Logs go to standard error; `VIGIL_LOG` chooses what (`info` by default).
fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("VIGIL_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

#[expect(clippy::print_stderr, reason = "the answer to whoever typed the command")]
fn complain(text: &str) {
    eprintln!("vigil: {text}");
}
