//! E-mail against a relay played on this machine: real sockets, STARTTLS with a certificate of our own, and every answer a relay
//! may give at every stage.

use std::sync::Arc;
use std::time::Duration;

use model::{AlarmId, PageId, PersonId, Priority};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use vigil_alerting::{ChannelConfigs, Channels, Config, Fate, Message, Recipient, Secret, Sent, smtp};

use crate::world::{PATIENCE, at};

const PASSWORD: &str = "relay-password-7";

/// What the relay answers where it does not say yes. `Hang`: nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Say {
    Line(&'static str),
    Hang,
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Greeting,
    Auth,
    Mail,
    Rcpt,
    Data,
    Text,
}

struct Relay {
    port: u16,
    ca_file: tempfile::NamedTempFile,
    mails: mpsc::Receiver<String>,
}

impl Relay {
    async fn new(fault: Option<(At, Say)>, implicit: bool) -> Self {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let ca_file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca_file.path(), certified.cert.pem()).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, mails) = mpsc::channel(100);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, acceptor.clone(), fault, implicit, sender.clone()));
            }
        });
        Self { port, ca_file, mails }
    }

    fn config(&self, tls: smtp::Tls) -> smtp::Config {
        smtp::Config {
            host: "localhost".into(),
            port: self.port,
            tls,
            from: "Vigil <vigil@example.org>".into(),
            user: Some("vigil".into()),
            password: Some(Secret::new(PASSWORD)),
            ca_file: Some(self.ca_file.path().to_owned()),
            timeout_s: 2,
        }
    }

    async fn mail(&mut self) -> String {
        tokio::time::timeout(PATIENCE, self.mails.recv()).await.expect("no mail came").unwrap()
    }
}

async fn serve(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    fault: Option<(At, Say)>,
    implicit: bool,
    mails: mpsc::Sender<String>,
) {
    if implicit {
        if let Ok(stream) = acceptor.accept(stream).await {
            talk(BufReader::new(stream), fault, true, true, &mails).await;
        }
        return;
    }
    let Some(stream) = talk(BufReader::new(stream), fault, false, true, &mails).await else { return };
    if let Ok(stream) = acceptor.accept(stream).await {
        talk(BufReader::new(stream), fault, true, false, &mails).await;
    }
}

/// One conversation; the stream comes back when it is to become TLS.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: BufReader<S>,
    fault: Option<(At, Say)>,
    encrypted: bool,
    greets: bool,
    mails: &mpsc::Sender<String>,
) -> Option<S> {
    let say = |at: At, usual: &'static str| match fault {
        Some((place, say)) if place == at => say,
        _ => Say::Line(usual),
    };
    if greets && !tell(&mut stream, say(At::Greeting, "220 relay")).await {
        return None;
    }
    let (mut from, mut text, mut reading) = (false, String::new(), false);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return None;
        }
        if reading {
            if line.trim_end() == "." {
                reading = false;
                mails.send(std::mem::take(&mut text)).await.unwrap();
                if !tell(&mut stream, say(At::Text, "250 queued")).await {
                    return None;
                }
            } else {
                text.push_str(&line);
            }
            continue;
        }
        let word: String = line.chars().take(4).collect::<String>().to_uppercase();
        let answer = match word.as_str() {
            "EHLO" if encrypted => Say::Line("250-relay\r\n250 AUTH PLAIN LOGIN"),
            "EHLO" => Say::Line("250-relay\r\n250 STARTTLS"),
            "STAR" => {
                tell(&mut stream, Say::Line("220 go ahead")).await;
                return Some(stream.into_inner());
            }
            "AUTH" => {
                assert!(encrypted, "the password must not go over a plain line");
                say(At::Auth, "235 welcome")
            }
            "MAIL" => {
                from = true;
                say(At::Mail, "250 ok")
            }
            "RCPT" => say(At::Rcpt, "250 ok"),
            "DATA" => {
                assert!(from);
                reading = say(At::Data, "354 go").is_yes();
                say(At::Data, "354 go")
            }
            "QUIT" => Say::Line("221 bye"),
            other => panic!("unexpected: {other}"),
        };
        if !tell(&mut stream, answer).await {
            return None;
        }
    }
}

impl Say {
    fn is_yes(self) -> bool {
        matches!(self, Self::Line(line) if line.starts_with('3'))
    }
}

async fn tell<S: AsyncWrite + Unpin>(stream: &mut S, say: Say) -> bool {
    match say {
        Say::Line(line) => stream.write_all(format!("{line}\r\n").as_bytes()).await.is_ok(),
        Say::Hang => {
            tokio::time::sleep(Duration::from_hours(1)).await;
            false
        }
        Say::Close => false,
    }
}

fn message() -> Message {
    Message {
        page: PageId(7),
        alarm: AlarmId(1),
        attempt: 1,
        priority: Priority::P2,
        kind: "sos".into(),
        title_zh: "紧急呼叫".into(),
        title_en: "SOS".into(),
        elder: "王*明".into(),
        at: at(0),
        ack_url: "https://vigil.example.org/phone/pages/7".into(),
        code: Some("4821".into()),
        tap_url: Some("https://vigil.example.org/a/7.x.y".into()),
        test: false,
    }
}

async fn send(config: smtp::Config, address: Option<&str>) -> Sent {
    let channels = ChannelConfigs { smtp: Some(config), ..ChannelConfigs::default() };
    let channels = Channels::new(&Config { channels, ..Config::default() }).unwrap();
    let to = Recipient {
        person: PersonId(1),
        phone: "13800000000".into(),
        address: address.map(Into::into),
        language: "zh".into(),
    };
    let sent = channels.send("smtp", &to, &message(), at(0)).await;
    for secret in [PASSWORD, "li@example.org", "13800000000"] {
        assert!(!sent.detail.contains(secret), "{sent:?}");
    }
    sent
}

#[tokio::test]
async fn a_mail_goes_out_encrypted_with_a_message_id_of_its_page_and_no_name_in_its_subject() {
    for (tls, implicit) in [(smtp::Tls::Starttls, false), (smtp::Tls::Implicit, true)] {
        let mut relay = Relay::new(None, implicit).await;
        let sent = send(relay.config(tls), Some("li@example.org")).await;
        assert_eq!(sent.fate, Fate::Accepted, "{sent:?}");
        assert_eq!(sent.provider_ref.as_deref(), Some("<page-7@example.org>"));
        let mail = relay.mail().await;
        let (head, _) = mail.split_once("\r\n\r\n").unwrap();
        for field in ["Message-ID: <page-7@example.org>", "Auto-Submitted: auto-generated", "To: li@example.org"] {
            assert!(head.contains(field), "{field} is not in:\n{head}");
        }
        assert!(head.contains("Subject: P2 =?utf-8?b?"), "{head}");
        assert!(!mail.contains("王小明"));
        // The same page again is the same mail.
        let again = send(relay.config(tls), Some("li@example.org")).await;
        assert_eq!(again.provider_ref, sent.provider_ref);
    }
}

#[tokio::test]
async fn each_answer_means_something_else_at_each_stage() {
    let refused = Fate::RefusedPerson { until: None };
    let retry = Fate::Retry { after: None };
    for (stage, line, fate) in [
        (At::Greeting, "421 too busy", retry.clone()),
        (At::Greeting, "554 go away", Fate::Misconfigured),
        (At::Auth, "454 later", retry.clone()),
        (At::Auth, "535 wrong", Fate::Misconfigured),
        (At::Mail, "451 later", retry.clone()),
        (At::Mail, "550 not you", Fate::Misconfigured),
        (At::Rcpt, "450 greylisted", retry.clone()),
        (At::Rcpt, "550 nobody", refused),
        (At::Data, "451 later", retry.clone()),
        (At::Data, "554 no", Fate::Misconfigured),
        (At::Text, "451 later", retry.clone()),
        (At::Text, "554 no", Fate::Misconfigured),
    ] {
        let relay = Relay::new(Some((stage, Say::Line(line))), false).await;
        let sent = send(relay.config(smtp::Tls::Starttls), Some("li@example.org")).await;
        assert_eq!(sent.fate, fate, "{stage:?} {line}: {sent:?}");
    }
}

#[tokio::test]
async fn silence_before_the_text_is_tried_again_and_after_it_is_in_doubt() {
    for (stage, say, fate) in [
        (At::Greeting, Say::Hang, Fate::Retry { after: None }),
        (At::Rcpt, Say::Hang, Fate::Retry { after: None }),
        (At::Rcpt, Say::Close, Fate::Retry { after: None }),
        (At::Text, Say::Hang, Fate::InDoubt),
        (At::Text, Say::Close, Fate::InDoubt),
    ] {
        let relay = Relay::new(Some((stage, say)), false).await;
        let config = smtp::Config { timeout_s: 1, ..relay.config(smtp::Tls::Starttls) };
        let sent = send(config, Some("li@example.org")).await;
        assert_eq!(sent.fate, fate, "{stage:?} {say:?}: {sent:?}");
    }
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_gets_no_password() {
    let mut relay = Relay::new(None, false).await;
    let config = smtp::Config { ca_file: None, ..relay.config(smtp::Tls::Starttls) };
    let sent = send(config, Some("li@example.org")).await;
    assert_eq!(sent.fate, Fate::Misconfigured, "{sent:?}");
    assert!(relay.mails.try_recv().is_err());
}

#[tokio::test]
async fn without_a_valid_address_nothing_is_sent() {
    let relay = Relay::new(None, false).await;
    for address in [None, Some("nobody"), Some("a@b\r\nRCPT TO:<x@y>")] {
        let sent = send(relay.config(smtp::Tls::Starttls), address).await;
        assert_eq!(sent.fate, Fate::RefusedPerson { until: None }, "{address:?}");
    }
}

#[tokio::test]
async fn a_configuration_that_would_show_the_password_is_refused() {
    let relay = Relay::new(None, false).await;
    let plain = smtp::Config { host: "mail.example.org".into(), ..relay.config(smtp::Tls::None) };
    assert!(plain.validate().unwrap_err().to_string().contains("channels.smtp.tls"));
    let half = smtp::Config { password: None, ..relay.config(smtp::Tls::Starttls) };
    assert!(half.validate().unwrap_err().to_string().contains("channels.smtp.user"));
    let no_file = smtp::Config { ca_file: Some("/nowhere".into()), ..relay.config(smtp::Tls::Starttls) };
    assert!(no_file.validate().unwrap_err().to_string().contains("channels.smtp.ca_file"));
    assert!(!format!("{:?}", relay.config(smtp::Tls::Starttls)).contains(PASSWORD));
}
