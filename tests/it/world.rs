//! The world of a whole-system test: a data directory with a small registry, and a server over it, either as a process of
//! its own (to be killed) or inside the test (to be poked).

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use model::people::Role;
use model::{Lane, Name, Sample, Time};
use mqtt::{topic, wire};
use runtime::Clock;
use store::records::Records;
use vigil::seed::{self, Gateway};
use vigil::server::Server;

pub(crate) const PASSWORD: &str = "Test-only-1";

/// A data directory with gateways `gw0`.. of `devices` devices each, every device bound to an elder of its own, a dispatcher
/// `zuoxi` and a doctor `yisheng`.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) gateways: Vec<Gateway>,
}

impl World {
    pub(crate) fn new(gateways: usize, devices: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        let records = Records::open(&dir.path().join("data"), Clock::system()).unwrap();
        let team = records.create_team("测试团队").unwrap();
        seed::person(&records, "zuoxi", PASSWORD, "张工", Role::Dispatcher, None).unwrap();
        seed::person(&records, "yisheng", PASSWORD, "李医生", Role::Doctor, Some(team)).unwrap();
        let site = Name::new("home").unwrap();
        let gateway = |i| seed::gateway_with_devices(&records, &site, &format!("gw{i}"), devices, Some(team)).unwrap();
        let gateways = (0..gateways).map(gateway).collect();
        Self { dir, gateways }
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn config(&self) -> config::Server {
        let mut config = config::Server::in_dir(self.data_dir());
        config.mqtt.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        config.console.listen = "127.0.0.1:0".into();
        config.ingest.tick_s = 1;
        config
    }

    /// Writes the configuration as a file and returns its path.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.write_config(&self.config())
    }

    /// The same for another configuration.
    pub(crate) fn write_config(&self, config: &config::Server) -> PathBuf {
        let file = self.dir.path().join("vigil.toml");
        std::fs::write(&file, toml::to_string(config).unwrap()).unwrap();
        file
    }

    /// A server inside this test.
    pub(crate) async fn serve(&self) -> Server {
        Server::start(self.config(), None).await.unwrap()
    }

    /// A server as a process of its own.
    pub(crate) fn spawn(&self) -> Process {
        Process::start(&["serve", "--config", self.config_file().to_str().unwrap()])
    }

    pub(crate) fn records(&self) -> Records {
        Records::open(&self.data_dir(), Clock::system()).unwrap()
    }
}

/// The binary under test, killed when dropped.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) console: SocketAddr,
    pub(crate) mqtt: SocketAddr,
}

impl Process {
    /// Starts a command that says where it listens.
    pub(crate) fn start(words: &[&str]) -> Self {
        Self::run(vigil(words))
    }

    /// As [`Process::start`], with a command that was prepared.
    pub(crate) fn run(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut lines = stdout.lines();
        let line = lines
            .by_ref()
            .map(Result::unwrap)
            .find(|line| line.starts_with("listening "))
            .expect("the server ended before it was listening");
        // The pipe must stay open, or the server's next word ends it.
        std::thread::spawn(move || lines.for_each(drop));
        let part =
            |key: &str| line.split_whitespace().find_map(|word| word.strip_prefix(key)).unwrap().parse().unwrap();
        Self { child, console: part("console="), mqtt: part("mqtt=") }
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn stop(mut self) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM)
            .unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The binary with some words.
pub(crate) fn vigil(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigil"));
    command.args(words).env("VIGIL_LOG", "warn").stdin(Stdio::null());
    command
}

/// Topic and payload of a frame of one device.
pub(crate) fn frame(
    gateway: &Gateway,
    device: usize,
    lane: Lane,
    seq: u64,
    samples: Vec<Sample>,
    events: Vec<model::Event>,
) -> (String, Vec<u8>) {
    let at = samples.iter().map(|s| s.taken_at).chain(events.iter().map(|e| e.at)).max().unwrap_or_default();
    let gateway_time = Time::from_millis(at.millis());
    let frame = wire::WireFrame { epoch: 1, seq, gateway_time, samples, events, ..wire::WireFrame::default() };
    (topic::up(&gateway.site, &gateway.name, lane, &gateway.devices[device]), wire::encode_cbor(&frame))
}

/// The shared recordings, if they are there. Says so when not.
pub(crate) fn shared(file: &str) -> Option<PathBuf> {
    let root = std::env::var_os("VIGIL_SHARED_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let path = root.join(file);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: {file} is not there (set VIGIL_SHARED_DATA to the folder of recordings)");
    None
}

/// A program that the test needs. In CI it must be there; elsewhere the test says that it is skipped.
pub(crate) fn tool(path: &str) -> Option<PathBuf> {
    let found = Command::new(path).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if found {
        return Some(path.into());
    }
    assert!(std::env::var_os("CI").is_none(), "{path} is missing: scripts/need test installs it");
    eprintln!("SKIPPED: {path} is missing: scripts/need test installs it");
    None
}

/// An HTTP client. TLS needs a provider of cryptography, once a process.
pub(crate) fn http() -> reqwest::Client {
    let _second = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}
