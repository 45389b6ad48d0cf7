//! What providers send back: receipts, replies by SMS, keys pressed during a call; and for webhooks a signed word of the receiver.
//!
//! `POST /callback/{channel}/{word}`: the word is the secret of the configuration (`[alerting.callbacks]`); a wrong one is 404, as
//! if nothing were there. `POST /callback/webhook` carries a Standard Webhooks signature instead. Everything may come twice. The
//! answer is what the provider wants to read, or it sends the same again.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Request, State};
use model::Time;
use model::page::PageState;
use serde::Deserialize;
use serde_json::{Value, json};
use store::records::{Records, Replied, Reply, ReplyAt};

use crate::App;
use crate::demo::verified;
use crate::error::{Answer, ApiError};
use crate::input;

/// Largest body, in bytes.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// Items of one body that are looked at.
const ITEMS_MAX: usize = 1_000;
/// A receipt may overtake our own line about the message: it is looked for again after so long.
const OVERTAKEN: Duration = Duration::from_secs(1);

/// One thing a provider says.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Receipt {
        reference: String,
        state: PageState,
    },
    /// A key pressed or a button, by the reference of the message.
    Answer {
        reference: String,
        reply: Reply,
        key: String,
    },
    /// A reply by SMS, by the number it came from.
    Sms {
        phone: String,
        text: String,
        sent_at: Option<Time>,
        key: String,
    },
}

/// `POST /callback/{channel}/{word}`
pub(crate) async fn provider(
    State(app): State<App>,
    Path((channel, word)): Path<(String, String)>,
    request: Request,
) -> Answer<Json<Value>> {
    let known = app.deps.paging.callbacks.iter().find(|(name, _)| *name == channel);
    if !known.is_some_and(|(_, secret)| same(secret.as_bytes(), word.as_bytes())) {
        return Err(ApiError::not_found());
    }
    let body = input::raw_body(request.into_body(), BODY_BYTES_MAX).await?;
    let parsed: Value = serde_json::from_slice(&body).map_err(|_| not_understood())?;
    let said = match channel.as_str() {
        "aliyun_sms" => items(&parsed).filter_map(aliyun_sms).collect(),
        "aliyun_voice" => items(&parsed).flat_map(aliyun_voice).collect(),
        "tencent_sms" => items(&parsed).filter_map(tencent_sms).collect(),
        "tencent_voice" => tencent_voice(&parsed),
        _ => return Err(ApiError::not_found()),
    };
    take(&app, channel.clone(), said).await?;
    let taken = if channel.starts_with("aliyun") {
        json!({ "code": 0, "msg": "接收成功" })
    } else {
        json!({ "result": 0, "errmsg": "OK" })
    };
    Ok(Json(taken))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Word {
    page: String,
    #[serde(default)]
    state: Option<WordState>,
    #[serde(default)]
    answer: Option<WordAnswer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum WordState {
    Delivered,
    Read,
    Failed,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum WordAnswer {
    Accept,
    Decline,
    FalseAlarm,
}

/// `POST /callback/webhook`: signed with the channel's own secret.
pub(crate) async fn webhook(State(app): State<App>, request: Request) -> Answer<Json<Value>> {
    let Some(secret) = &app.deps.paging.webhook_secret else { return Err(ApiError::not_found()) };
    let (parts, body) = request.into_parts();
    let body = input::raw_body(body, BODY_BYTES_MAX).await?;
    let Some(id) = verified(secret, &parts.headers, &body, app.deps.clock.now()) else {
        return Err(ApiError::not_found());
    };
    let word: Word = serde_json::from_slice(&body).map_err(|_| not_understood())?;
    let reference = format!("page-{}", word.page);
    let state = word.state.map(|state| match state {
        WordState::Delivered => PageState::Delivered,
        WordState::Read => PageState::Read,
        WordState::Failed => PageState::PermFailed,
    });
    let reply = word.answer.map(|answer| match answer {
        WordAnswer::Accept => Reply::Accept,
        WordAnswer::Decline => Reply::Decline,
        WordAnswer::FalseAlarm => Reply::MarkFalse,
    });
    let mut said: Vec<Said> =
        state.map(|state| Said::Receipt { reference: reference.clone(), state }).into_iter().collect();
    said.extend(reply.map(|reply| Said::Answer { reference, reply, key: id }));
    let done = take(&app, "webhook".to_owned(), said).await?;
    Ok(Json(json!({ "ok": true, "done": done })))
}

/// Writes down what was said; answers how much of it was about a page of ours.
async fn take(app: &App, channel: String, said: Vec<Said>) -> Answer<usize> {
    if said.is_empty() {
        return Ok(0);
    }
    let (channel, said) = (std::sync::Arc::<str>::from(channel), std::sync::Arc::<[Said]>::from(said));
    let mut done = run(app, &channel, &said, None).await?;
    if done.iter().any(|done| !done) {
        tokio::time::sleep(OVERTAKEN).await;
        done = run(app, &channel, &said, Some(done)).await?;
    }
    Ok(done.iter().filter(|done| **done).count())
}

async fn run(
    app: &App,
    channel: &std::sync::Arc<str>,
    said: &std::sync::Arc<[Said]>,
    before: Option<Vec<bool>>,
) -> Answer<Vec<bool>> {
    let (records, now) = (app.deps.records.clone(), app.deps.clock.now());
    let (channel, said) = (channel.clone(), said.clone());
    let found = app.calls.run("callback", move || {
        let one = |(place, said): (usize, &Said)| {
            if before.as_ref().is_some_and(|before| before[place]) {
                return Ok(true);
            }
            carry_out(&records, &channel, said, now).map_err(|error| ApiError::internal("callback", &error))
        };
        said.iter().enumerate().map(one).collect()
    });
    found.await?
}

fn carry_out(records: &Records, channel: &str, said: &Said, now: Time) -> store::records::Result<bool> {
    let replied = match said {
        Said::Receipt { reference, state } => return records.page_receipt(channel, reference, *state, now),
        Said::Answer { reference, reply, key } => records.reply_to(channel, reference, *reply, key)?,
        Said::Sms { phone, text, sent_at, key } => {
            let Some((reply, code)) = read_reply(text) else { return Ok(true) };
            // A clock of theirs that is ahead means now.
            let at = ReplyAt { sent_at: sent_at.map_or(now, |at| at.min(now)), key };
            records.reply_from(channel, phone, code.as_deref(), reply, at)?
        }
    };
    // Without the cause: it may hold the name of whoever was quicker.
    if matches!(replied, Replied::Refused(_)) {
        tracing::info!(channel, "a reply came too late or from somebody else");
    }
    Ok(replied != Replied::NoPage)
}

fn items(body: &Value) -> impl Iterator<Item = &Value> {
    let list = body.as_array().map_or_else(|| std::slice::from_ref(body), Vec::as_slice);
    list.iter().take(ITEMS_MAX)
}

/// `SmsReport` and `SmsUp`, told apart by what they hold.
fn aliyun_sms(item: &Value) -> Option<Said> {
    if let (Some(reference), Some(ok)) = (text(item, "biz_id"), item.get("success").and_then(truth)) {
        let state = if ok { PageState::Delivered } else { PageState::PermFailed };
        return Some(Said::Receipt { reference, state });
    }
    let (phone, words, key) = (text(item, "phone_number")?, text(item, "content")?, text(item, "sequence_id")?);
    let sent_at = text(item, "send_time").and_then(|at| local_time(&at));
    Some(Said::Sms { phone, text: words, sent_at, key })
}

/// `VoiceReport` and `VoiceCallReport`. Picked up is not answered: only a key is.
fn aliyun_voice(item: &Value) -> Vec<Said> {
    let Some(reference) = text(item, "call_id") else { return Vec::new() };
    let state = match text(item, "status_code").as_deref() {
        Some("200000" | "200001" | "200008") => Some(PageState::Delivered),
        Some(
            "200002" | "200003" | "200004" | "200005" | "200006" | "200007" | "200010" | "200011" | "200117" | "200118"
            | "200119" | "200121" | "476" | "482" | "400" | "500" | "999999",
        ) => Some(PageState::PermFailed),
        _ => None,
    };
    pressed(&reference, text(item, "dtmf"), state)
}

/// The receipt array and the single reply.
fn tencent_sms(item: &Value) -> Option<Said> {
    if let (Some(reference), Some(status)) = (text(item, "sid"), text(item, "report_status")) {
        let state = if status == "SUCCESS" { PageState::Delivered } else { PageState::PermFailed };
        return Some(Said::Receipt { reference, state });
    }
    let (phone, words) = (text(item, "mobile")?, text(item, "text")?);
    let phone = format!("{}{phone}", text(item, "nationcode").unwrap_or_default());
    let at = text(item, "time");
    // They give a reply no number: who, when and what is its name.
    let key = format!("{phone}/{}/{words}", at.as_deref().unwrap_or_default()).chars().take(100).collect();
    let seconds = at.as_deref().and_then(|at| at.parse::<i64>().ok()).map(Time::from_secs);
    let sent_at = seconds.or_else(|| at.as_deref().and_then(local_time));
    Some(Said::Sms { phone, text: words, sent_at, key })
}

fn tencent_voice(body: &Value) -> Vec<Said> {
    let mut said = Vec::new();
    if let Some(prompt) = body.get("voiceprompt_callback")
        && let Some(reference) = text(prompt, "callid")
    {
        let state =
            if text(prompt, "result").as_deref() == Some("0") { PageState::Delivered } else { PageState::PermFailed };
        said.push(Said::Receipt { reference, state });
    }
    if let Some(key) = body.get("voicekey_callback")
        && let Some(reference) = text(key, "callid")
    {
        said.extend(pressed(&reference, text(key, "keypress"), None));
    }
    if let Some(failed) = body.get("voice_failure_callback")
        && let Some(reference) = text(failed, "callid")
    {
        said.push(Said::Receipt { reference, state: PageState::PermFailed });
    }
    said
}

/// A key that means an answer comes before the receipt: an answered call did not fail.
fn pressed(reference: &str, keys: Option<String>, state: Option<PageState>) -> Vec<Said> {
    let reply = keys.and_then(|keys| match keys.trim_end_matches('#').chars().last() {
        Some('1') => Some(Reply::Accept),
        Some('2') => Some(Reply::Decline),
        Some('3') => Some(Reply::MarkFalse),
        _ => None,
    });
    let reference = reference.to_owned();
    match (reply, state) {
        (Some(reply), _) => vec![Said::Answer { key: reference.clone(), reference, reply }],
        (None, Some(state)) => vec![Said::Receipt { reference, state }],
        (None, None) => Vec::new(),
    }
}

/// `1`, `回复1`, `收到`, `1 4821`, `4821`; 2 or 无法 declines, 3 or 误报 is a false alarm. `None`: nobody can tell.
fn read_reply(text: &str) -> Option<(Reply, Option<String>)> {
    let plain: String = text
        .chars()
        .map(|c| match c {
            '0'..='9' => c,
            '\u{ff10}'..='\u{ff19}' => char::from_digit(u32::from(c) - 0xff10, 10).unwrap_or(' '),
            c if c.is_alphanumeric() => c,
            _ => ' ',
        })
        .collect();
    let (mut reply, mut code) = (None, None);
    for word in plain.replace("回复", " ").split_whitespace() {
        let is_digits = word.bytes().all(|byte| byte.is_ascii_digit());
        match word {
            _ if is_digits && (4..=6).contains(&word.len()) => code = Some(word.to_owned()),
            "1" | "收到" | "接手" | "好" | "好的" | "ok" | "OK" => reply = reply.or(Some(Reply::Accept)),
            "2" | "无法" | "不能" | "拒绝" | "no" => reply = reply.or(Some(Reply::Decline)),
            "3" | "误报" => reply = reply.or(Some(Reply::MarkFalse)),
            _ => {}
        }
    }
    // The code alone is an acceptance.
    reply.or(code.as_ref().map(|_| Reply::Accept)).map(|reply| (reply, code))
}

/// `2026-11-22 12:34:56` in Asia/Shanghai.
fn local_time(text: &str) -> Option<Time> {
    let (date, time) = text.trim().split_once(' ')?;
    Time::parse(&format!("{date}T{time}+08:00"))
}

/// A field as text, whether the provider wrote a string or a number.
fn text(item: &Value, key: &str) -> Option<String> {
    match item.get(key)? {
        Value::String(text) if !text.is_empty() && text.len() <= 500 => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn truth(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

/// In a time that does not depend on where they differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

fn not_understood() -> ApiError {
    ApiError::bad_request("内容不是所期望的 JSON。", "The body is not the JSON that is expected here.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read_as_people_write_them() {
        use Reply::{Accept, Decline, MarkFalse};
        for (text, expected) in [
            ("1", Some((Accept, None))),
            ("回复1", Some((Accept, None))),
            ("１", Some((Accept, None))),
            (" 1。", Some((Accept, None))),
            ("收到", Some((Accept, None))),
            ("1 4821", Some((Accept, Some("4821")))),
            ("4821", Some((Accept, Some("4821")))),
            ("482106,2", Some((Decline, Some("482106")))),
            ("2", Some((Decline, None))),
            ("3", Some((MarkFalse, None))),
            ("误报", Some((MarkFalse, None))),
            ("谁啊", None),
            ("", None),
            ("12", None),
            ("13800000000", None),
        ] {
            let expected = expected.map(|(reply, code)| (reply, code.map(str::to_owned)));
            assert_eq!(read_reply(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_pressed_key_is_an_answer_and_picking_up_is_not() {
        let said =
            |status: &str, dtmf: &str| aliyun_voice(&json!({ "call_id": "c", "status_code": status, "dtmf": dtmf }));
        assert!(matches!(said("200000", "1")[..], [Said::Answer { reply: Reply::Accept, .. }]));
        assert!(matches!(said("300000", "2")[..], [Said::Answer { reply: Reply::Decline, .. }]));
        assert!(matches!(said("200000", "")[..], [Said::Receipt { state: PageState::Delivered, .. }]));
        assert!(matches!(said("200005", "")[..], [Said::Receipt { state: PageState::PermFailed, .. }]));
        assert!(said("200101", "").is_empty(), "it is calling");
    }
}
