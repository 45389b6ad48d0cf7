//! The link in a page, for a phone without a login: `/a/{token}` asks once more, and only the button answers. Opening it changes
//! nothing: chats open links by themselves to show a preview.

use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::PersonId;
use model::page::PageState;
use model::people::Role;
use store::records::{ActionError, AlarmView, PageView, Reply};

use crate::App;
use crate::error::{Answer, ApiError};
use crate::input;

const BODY_BYTES_MAX: usize = 1_024;
const STYLE: &str = "body{font:18px/1.6 sans-serif;margin:0 auto;max-width:30em;padding:1em;color:#1f2937;background:#f3f4f6}\
    h1{font-size:1.4em}button{font:inherit;display:block;width:100%;min-height:3.2em;margin:.8em 0;border-radius:.4em;\
    border:2px solid #1f2937;background:#fff}button.yes{background:#006064;color:#fff;border-color:#006064}";

/// A waiting page, its alarm, and whether its person reads English.
struct Found {
    page: PageView,
    alarm: AlarmView,
    english: bool,
    role: Role,
}

/// `GET /a.css`
pub(crate) async fn style() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=86400")];
    (headers, STYLE).into_response()
}

/// `GET /a/{token}`: what it is about, and two buttons.
pub(crate) async fn ask(State(app): State<App>, Path(token): Path<String>) -> Answer<Response> {
    Ok(match find(&app, token).await? {
        Some(found) => html(found.english, &question(&found)),
        None => over(),
    })
}

/// `POST /a/{token}` with `answer=accept` or `answer=decline`. Works once: an answered page takes no other answer.
pub(crate) async fn answer(State(app): State<App>, Path(token): Path<String>, request: Request) -> Answer<Response> {
    let body = input::raw_body(request.into_body(), BODY_BYTES_MAX).await?;
    let reply = match body.as_ref() {
        b"answer=accept" => Reply::Accept,
        b"answer=decline" => Reply::Decline,
        _ => return Err(ApiError::bad_request("请使用页面上的按钮。", "Use the buttons of the page.")),
    };
    let Some(Found { page, english, .. }) = find(&app, token).await? else { return Ok(over()) };
    let (records, person, id) = (app.deps.records.clone(), PersonId(page.person.id), page.id);
    let done = app.calls.run("page link", move || {
        let done = records.answer_page(id, person, reply, None)?;
        records.audit(Some(person), "page_link", &format!("page/{id}"), done.state.slug())?;
        Ok::<_, ActionError>(())
    });
    match done.await? {
        Ok(()) => {
            let said = match (reply, english) {
                (Reply::Accept, false) => "已接手。请登录查看详情并记录处置结果。",
                (Reply::Accept, true) => "It is yours. Sign in for the details and to record the outcome.",
                (_, false) => "已记录:无法接手。系统正在寻呼下一位。",
                (_, true) => "Recorded: you cannot. The next person is being paged.",
            };
            let open = if english { "Open" } else { "打开" };
            Ok(html(english, &format!("<h1>{said}</h1><p><a href=\"/phone/pages/{id}\">{open}</a></p>")))
        }
        Err(ActionError::Store(error)) => Err(ApiError::internal("page link", &error)),
        Err(_) => Ok(over()),
    }
}

/// `None`: no such link, its time is over, or its page waits for no answer.
async fn find(app: &App, token: String) -> Answer<Option<Found>> {
    let records = app.deps.records.clone();
    let found = app.calls.run("page link", move || {
        let Some(page) = records.page_of_link(&token)? else { return Ok(None) };
        let Some((page, alarm)) = records.page(page)? else { return Ok(None) };
        let answered = matches!(
            page.state,
            PageState::Accepted | PageState::Declined | PageState::Superseded | PageState::MarkedFalse
        );
        let person = records.person(PersonId(page.person.id))?;
        let Some(person) = person.filter(|person| !person.disabled && !answered && !alarm.is_done()) else {
            return Ok(None);
        };
        Ok(Some(Found { page, alarm, english: person.language == "en", role: person.role }))
    });
    found.await?.map_err(|error: store::records::Error| ApiError::internal("page link", &error))
}

fn question(Found { page, alarm, english, role }: &Found) -> String {
    let elder = alarm.elder_name.as_deref().map(model::mask::name).unwrap_or_default();
    let (_, title_zh, title_en) = alarm.named_to(*role);
    let title = if *english { title_en } else { title_zh };
    let (priority, yes, no) = if *english {
        (alarm.priority.en(), "I take it", "I cannot")
    } else {
        (alarm.priority.zh(), "我已接手", "无法接手")
    };
    format!(
        "<h1>{} {priority} {}</h1><p>{} · {} · #{}</p><form method=\"post\">\
         <button class=\"yes\" name=\"answer\" value=\"accept\">{yes}</button>\
         <button name=\"answer\" value=\"decline\">{no}</button></form>",
        alarm.priority.slug(),
        escaped(title),
        escaped(&elder),
        wall_clock(alarm.started_at),
        page.id,
    )
}

/// The same for every link that does not work: a stranger learns nothing.
fn over() -> Response {
    let mut response = html(
        false,
        "<h1>链接已失效或已处理</h1><p>This link is over, or the page was answered.</p><p><a href=\"/\">登录 / Sign in</a></p>",
    );
    *response.status_mut() = StatusCode::GONE;
    response
}

fn html(english: bool, body: &str) -> Response {
    let language = if english { "en" } else { "zh-CN" };
    let text = format!(
        "<!doctype html><html lang=\"{language}\"><head><meta charset=\"utf-8\"><title>守望 Vigil</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">\
         <link rel=\"stylesheet\" href=\"/a.css\"></head><body><main>{body}</main></body></html>"
    );
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, text).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// `11-22 12:34` in Asia/Shanghai (UTC+8, no daylight saving).
fn wall_clock(at: model::Time) -> String {
    const EIGHT_HOURS_US: i64 = 8 * 3_600_000_000;
    at.plus_us(EIGHT_HOURS_US).to_string().chars().skip(5).take(11).map(|c| if c == 'T' { ' ' } else { c }).collect()
}
