//! The signatures of the Chinese providers. Pure: time and nonce are arguments, so that the same input gives the same text.
//!
//! All are HMAC-SHA256. Aliyun (ACS3) signs query, headers and body's hash; Tencent (TC3) signs the body with a key derived
//! for the day and service; DingTalk and Feishu sign the time alone, with key and message the other way round.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use model::Time;
use sha2::{Digest, Sha256};

/// An Aliyun call in RPC style: everything is in the query, the body is empty.
#[derive(Clone, Copy)]
pub(crate) struct Acs3<'a> {
    /// As the `Host` header says it, with a port that is not the scheme's own.
    pub(crate) host: &'a str,
    pub(crate) action: &'a str,
    pub(crate) version: &'a str,
    pub(crate) now: Time,
    /// Never twice the same.
    pub(crate) nonce: &'a str,
    pub(crate) key_id: &'a str,
    pub(crate) secret: &'a str,
    /// From [`query`].
    pub(crate) query: &'a str,
}

impl Acs3<'_> {
    /// The headers to send, `authorization` last. `host` is not among them: the HTTP client writes it.
    pub(crate) fn headers(&self) -> [(&'static str, String); 6] {
        let stamp = seconds_text(self.now);
        let empty = sha256_hex(b"");
        let names = "host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version";
        let Self { host, action, version, nonce, query, key_id, .. } = self;
        let canonical = format!(
            "POST\n/\n{query}\nhost:{host}\nx-acs-action:{action}\nx-acs-content-sha256:{empty}\nx-acs-date:{stamp}\n\
             x-acs-signature-nonce:{nonce}\nx-acs-version:{version}\n\n{names}\n{empty}"
        );
        let text = format!("ACS3-HMAC-SHA256\n{}", sha256_hex(canonical.as_bytes()));
        let signature = hex(&hmac(self.secret.as_bytes(), text.as_bytes()));
        let authorization = format!("ACS3-HMAC-SHA256 Credential={key_id},SignedHeaders={names},Signature={signature}");
        [
            ("x-acs-action", (*action).to_owned()),
            ("x-acs-version", (*version).to_owned()),
            ("x-acs-date", stamp),
            ("x-acs-signature-nonce", (*nonce).to_owned()),
            ("x-acs-content-sha256", empty),
            ("authorization", authorization),
        ]
    }
}

/// A Tencent Cloud call with a JSON body.
#[derive(Clone, Copy)]
pub(crate) struct Tc3<'a> {
    pub(crate) host: &'a str,
    /// `sms`, `vms`.
    pub(crate) service: &'a str,
    pub(crate) now: Time,
    pub(crate) secret_id: &'a str,
    pub(crate) secret: &'a str,
    pub(crate) body: &'a [u8],
}

impl Tc3<'_> {
    /// The `Authorization` header; `X-TC-Timestamp` must be the same second.
    pub(crate) fn authorization(&self) -> String {
        let Self { host, service, secret_id, .. } = self;
        let stamp = seconds_text(self.now);
        let date = stamp.split('T').next().unwrap_or_default();
        let canonical = format!(
            "POST\n/\n\ncontent-type:application/json\nhost:{host}\n\ncontent-type;host\n{}",
            sha256_hex(self.body)
        );
        let scope = format!("{date}/{service}/tc3_request");
        let text = format!("TC3-HMAC-SHA256\n{}\n{scope}\n{}", self.now.secs(), sha256_hex(canonical.as_bytes()));
        let day = hmac(format!("TC3{}", self.secret).as_bytes(), date.as_bytes());
        let key = hmac(&hmac(&day, service.as_bytes()), b"tc3_request");
        let signature = hex(&hmac(&key, text.as_bytes()));
        format!(
            "TC3-HMAC-SHA256 Credential={secret_id}/{scope}, SignedHeaders=content-type;host, Signature={signature}"
        )
    }
}

/// DingTalk: the secret is the key, the time and the secret are the message. Base64, not yet percent-encoded.
pub(crate) fn dingtalk(secret: &str, millis: i64) -> String {
    BASE64.encode(hmac(secret.as_bytes(), format!("{millis}\n{secret}").as_bytes()))
}

/// Feishu: the time and the secret are the key, the message is empty.
pub(crate) fn feishu(secret: &str, seconds: i64) -> String {
    BASE64.encode(hmac(format!("{seconds}\n{secret}").as_bytes(), b""))
}

/// A query sorted by name and percent-encoded as RFC 3986 has it, which is also what ACS3 signs.
pub(crate) fn query(pairs: &[(&str, &str)]) -> String {
    let mut sorted: Vec<_> = pairs.iter().map(|(name, value)| (percent(name), percent(value))).collect();
    sorted.sort_unstable();
    sorted.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Only `A-Z a-z 0-9 - _ . ~` stay; a blank is `%20`.
pub(crate) fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// `2023-11-14T22:13:20Z`.
fn seconds_text(now: Time) -> String {
    Time::from_secs(now.secs()).to_string()
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    // HMAC takes a key of any length: the error cannot come.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _infallible = write!(out, "{byte:02x}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_secs(1_700_000_000);
    const PARAM: &str = r#"{"name":"张*","type":"SOS"}"#;

    fn signature(header: &str) -> &str {
        header.rsplit("Signature=").next().unwrap()
    }

    /// Made with the signing functions of the official SDKs (tea_openapi 0.4.6).
    #[test]
    fn acs3_for_sms_and_voice() {
        let sms = query(&[
            ("TemplateCode", "SMS_1"),
            ("SignName", "阿里云"),
            ("PhoneNumbers", "13800000000"),
            ("TemplateParam", PARAM),
        ]);
        assert_eq!(
            sms,
            "PhoneNumbers=13800000000&SignName=%E9%98%BF%E9%87%8C%E4%BA%91&TemplateCode=SMS_1&TemplateParam=\
             %7B%22name%22%3A%22%E5%BC%A0%2A%22%2C%22type%22%3A%22SOS%22%7D"
        );
        let voice = query(&[
            ("CalledNumber", "13800000000"),
            ("TtsCode", "TTS_1"),
            ("TtsParam", PARAM),
            ("PlayTimes", "2"),
            ("OutId", "p-1"),
        ]);
        for (host, action, nonce, query, expected) in [
            (
                "dysmsapi.aliyuncs.com",
                "SendSms",
                "nonce-0001",
                sms,
                "c3b28c973dc58b52baf5aa25390dd21f772ccc64e6e48c4adbd4463911672213",
            ),
            (
                "dyvmsapi.aliyuncs.com",
                "SingleCallByTts",
                "nonce-0002",
                voice,
                "c6480c3bd691ddbb80d369a85628ed7fffc5fbaf94419ed819d3a10f82c81092",
            ),
        ] {
            let (key_id, secret, version) = ("AK", "testSecret", "2017-05-25");
            let headers = Acs3 { host, action, version, now: NOW, nonce, key_id, secret, query: &query }.headers();
            assert_eq!(headers[2].1, "2023-11-14T22:13:20Z");
            assert_eq!(signature(&headers[5].1), expected, "{action}");
        }
    }

    #[test]
    fn tc3_for_sms_and_voice() {
        for (service, body, expected) in [
            (
                "sms",
                r#"{"PhoneNumberSet": ["+8613800000000"], "SmsSdkAppId": "1400006666", "TemplateId": "1110", "SignName": "\u817e\u8baf\u4e91", "TemplateParamSet": ["\u5f20*", "SOS", "12349"]}"#,
                "9a8cd9f1df293b6b73106d72f5448f8862857689697c62175d21aa9cc96165be",
            ),
            (
                "vms",
                r#"{"TemplateId": "1110", "CalledNumber": "+8613800000000", "VoiceSdkAppid": "1400006666", "TemplateParamSet": ["\u5f20*", "SOS"], "PlayTimes": 2, "SessionContext": "page-0001"}"#,
                "ecfce4e9ea3ca512206d8edfa22743f85f8cd073e652c20cfd8b42c1081e2343",
            ),
        ] {
            let host = &format!("{service}.tencentcloudapi.com");
            let (secret_id, secret) = ("ID", "testSecretKey");
            let header = Tc3 { host, service, now: NOW, secret_id, secret, body: body.as_bytes() }.authorization();
            let start = format!("TC3-HMAC-SHA256 Credential=ID/2023-11-14/{service}/tc3_request, SignedHeaders=");
            assert!(header.starts_with(&start), "{header}");
            assert_eq!(signature(&header), expected, "{service}");
        }
    }

    #[test]
    fn robots() {
        let signed = dingtalk("SECtest0123456789", 1_700_000_000_000);
        assert_eq!(signed, "yBKp5IlG6qCzcQWmgyRK/ziJBdVNJmHfFE2ST/CzT/g=");
        assert_eq!(percent(&signed), "yBKp5IlG6qCzcQWmgyRK%2FziJBdVNJmHfFE2ST%2FCzT%2Fg%3D");
        assert_eq!(feishu("testsecret", 1_700_000_000), "AOc8oJ7//5OlQlfWC3nRL0R+IkuzcD1FKcAyibRK9Q8=");
    }

    #[test]
    fn only_unreserved_characters_stay() {
        assert_eq!(percent("aZ09-_.~ *+/张"), "aZ09-_.~%20%2A%2B%2F%E5%BC%A0");
        assert_eq!(query(&[("b", "2"), ("a-", "3"), ("a", "1&")]), "a=1%26&a-=3&b=2");
    }
}
