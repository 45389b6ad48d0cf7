//! The first minute of a newcomer: the real binary's demo, a real Chromium. A fall, a hypertensive crisis and a desaturation
//! appear within a minute with names and priorities; the paged doctor accepts on the phone; the list shows it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::world::{tool, vigil};

/// Screenshots are left here.
const SHOTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/screenshots");
const WEB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/console/web");

/// Ends the demo when the test ends, however it ends.
struct Demo(std::process::Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn a_newcomer_sees_alarms_and_a_doctor_accepts() {
    let (Some(node), Some(_)) = (tool("node"), tool("chromium")) else { return };
    assert!(
        std::path::Path::new(WEB).join("node_modules/playwright-core").exists(),
        "the web app's packages are missing: make web"
    );
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("demo");
    let words = ["demo", "--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()];
    let mut demo = Demo(vigil(&words).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(demo.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut password = String::new();
    let listening = lines
        .by_ref()
        .inspect(|line| {
            if let Some((_, word)) = line.split_once("(全部 / all):") {
                password = word.trim().to_owned();
            }
        })
        .find(|line| line.starts_with("listening "))
        .expect("the demo ended before it was listening");
    std::thread::spawn(move || lines.for_each(drop));
    let console = listening.split_whitespace().find_map(|word| word.strip_prefix("console=")).unwrap();
    let story = Command::new(node)
        .arg("e2e/demo.mjs")
        .current_dir(WEB)
        .env("BASE", format!("http://{console}"))
        .envs([("DISPATCHER", "zuoxi"), ("DISPATCHER_PW", &password)])
        .envs([("DOCTOR", "yisheng,chen"), ("DOCTOR_PW", &format!("{password},{password}"))])
        .env("VIGIL_SHOTS", SHOTS)
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&story.stdout), String::from_utf8_lossy(&story.stderr));
    eprintln!("{said}");
    assert!(story.status.success(), "{said}");
    let shots = std::fs::read_dir(SHOTS).unwrap().count();
    assert!(shots >= 4, "only {shots} screenshots in {SHOTS}");
    assert!(demo.0.try_wait().unwrap().is_none(), "the demo must still run");
}
