//! The official SDKs of Aliyun and Tencent Cloud (Python, `scripts/need test` installs them) as judges of both sides: they send
//! to our played providers, which so are shown to check what the SDKs really sign; and they sign what we sent.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use runtime::Clock;
use serde_json::{Map, Value, json};
use vigil_alerting::Fate;

use super::fake::server::{Fake, Provider, Request};
use super::fake::{aliyun as aliyun_fake, tencent as tencent_fake};
use super::{aliyun, channels, doctor, message, send, tencent};
use crate::world::at;

/// The Python that has the SDKs. In CI it must be there; elsewhere the test says that it is skipped.
fn python() -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/sdks/bin/python"));
    let probe = Command::new(&path).args(["-c", "import alibabacloud_dysmsapi20170525, tencentcloud"]).output();
    if probe.is_ok_and(|probe| probe.status.success()) {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "the SDKs are missing: scripts/need test installs them");
    eprintln!("SKIPPED: the SDKs are missing: scripts/need test installs them");
    None
}

/// What the script prints.
async fn run(python: PathBuf, arguments: Vec<String>, input: String) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/channels/sdks.py");
    let work = move || {
        let mut command = Command::new(python);
        command.arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let output = tokio::task::spawn_blocking(work).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Both services of a provider, by its SDK with this key.
async fn sends<P: Provider>(python: &Path, provider: &str, fake: &Fake<P>, key: (&str, &str)) -> Value {
    let host = fake.url.strip_prefix("http://").unwrap().to_owned();
    let keys = json!({"id": key.0, "secret": key.1}).to_string();
    run(python.to_owned(), vec!["send".into(), provider.into(), host, keys], String::new()).await
}

#[tokio::test]
async fn the_sdk_of_aliyun_is_believed_by_the_fake_only_with_the_right_key() {
    let Some(python) = python() else { return };
    let mut fake = Fake::start_at(aliyun_fake::Aliyun::default(), Clock::system()).await;
    let right = sends(&python, "aliyun", &fake, (aliyun_fake::KEY_ID, aliyun_fake::SECRET)).await;
    assert_eq!(right, json!({"sms": "OK", "voice": "OK"}));
    let names: Vec<_> = fake.provider().taken.iter().map(|taken| taken.action.clone()).collect();
    assert_eq!(names, ["SendSms", "SingleCallByTts"]);
    fake.paths();
    let wrong = sends(&python, "aliyun", &fake, (aliyun_fake::KEY_ID, "another")).await;
    assert_eq!(wrong, json!({"sms": "SignatureDoesNotMatch", "voice": "SignatureDoesNotMatch"}));
    assert_eq!(fake.provider().taken.len(), 2);
    fake.paths();
}

#[tokio::test]
async fn the_sdk_of_tencent_is_believed_by_the_fake_only_with_the_right_key() {
    let Some(python) = python() else { return };
    let mut fake = Fake::start_at(tencent_fake::Tencent::default(), Clock::system()).await;
    let right = sends(&python, "tencent", &fake, (tencent_fake::SECRET_ID, tencent_fake::SECRET_KEY)).await;
    assert_eq!(
        (&right["sms"]["SendStatusSet"][0]["Code"], &right["voice"]["SendStatus"]["CallId"]),
        (&"Ok".into(), &"call-1".into())
    );
    fake.paths();
    let wrong = sends(&python, "tencent", &fake, (tencent_fake::SECRET_ID, "another")).await;
    assert_eq!(wrong, json!({"sms": "AuthFailure.SignatureFailure", "voice": "AuthFailure.SignatureFailure"}));
    assert_eq!(fake.provider().sms.len(), 1);
    assert_eq!(fake.provider().calls.len(), 1);
    fake.paths();
}

/// What of a request the SDK needs to sign it itself.
fn seen(request: &Request, provider: &str, (id, secret): (&str, &str), service: &str) -> Value {
    let signed = request.header("authorization").split_once("SignedHeaders=").unwrap().1;
    let names = signed.split(',').next().unwrap().split(';').chain(["x-tc-timestamp"]);
    let named = |name: &str| (name.to_owned(), Value::from(request.header(name)));
    let headers: Map<_, _> = names.map(named).filter(|header| header.1 != "").collect();
    let query: Map<_, _> = request.parameters().into_iter().map(|(name, value)| (name, value.into())).collect();
    let date = at(0).to_string();
    json!({
        "provider": provider, "method": request.method, "headers": headers, "query": query, "id": id, "secret": secret,
        "body": String::from_utf8(request.body.clone()).unwrap(), "date": date[..10], "service": service,
    })
}

#[tokio::test]
async fn our_signatures_are_those_of_the_sdks() {
    let Some(python) = python() else { return };
    let mut aliyun_side = Fake::start(aliyun_fake::Aliyun::default()).await;
    let mut tencent_side = Fake::start(tencent_fake::Tencent::default()).await;
    let channels = channels(json!({
        "aliyun_sms": aliyun::sms(&aliyun_side.url), "aliyun_voice": aliyun::ivr(&aliyun_side.url),
        "tencent_sms": tencent::sms(&tencent_side.url), "tencent_voice": tencent::voice(&tencent_side.url),
    }));
    let (mut ours, mut requests) = (Vec::new(), Vec::new());
    for (channel, service) in
        [("aliyun_sms", ""), ("aliyun_voice", ""), ("tencent_sms", "sms"), ("tencent_voice", "vms")]
    {
        assert_eq!(send(&channels, channel, &doctor(), &message(), at(0)).await.fate, Fate::Accepted);
        let (request, provider, key) = if service.is_empty() {
            (aliyun_side.request().await, "aliyun", (aliyun_fake::KEY_ID, aliyun_fake::SECRET))
        } else {
            (tencent_side.request().await, "tencent", (tencent_fake::SECRET_ID, tencent_fake::SECRET_KEY))
        };
        ours.push(Value::from(request.header("authorization")));
        requests.push(seen(&request, provider, key, service));
    }
    let theirs = run(python, vec!["sign".into()], Value::from(requests).to_string()).await;
    assert_eq!(theirs, Value::from(ours));
}
