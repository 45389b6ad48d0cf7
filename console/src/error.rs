//! Every refusal of the API: an HTTP status, a stable code, and one sentence in both languages that says what to do.

use std::borrow::Cow;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

/// Why the console could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "cannot open {listen} for the console: {cause}; stop the program that uses it or set console.listen to another port"
    )]
    Listen { listen: String, cause: std::io::Error },
}

/// A refused request.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    zh: Cow<'static, str>,
    en: Cow<'static, str>,
    extra: Vec<(&'static str, String)>,
}

pub(crate) type Answer<T> = Result<T, ApiError>;

impl ApiError {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        zh: impl Into<Cow<'static, str>>,
        en: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, code, zh: zh.into(), en: en.into(), extra: Vec::new() }
    }

    /// Adds one field to the error object (who claimed it, which rule is bad).
    #[must_use]
    pub(crate) fn with(mut self, key: &'static str, value: String) -> Self {
        self.extra.push((key, value));
        self
    }

    pub(crate) fn not_signed_in() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "not_signed_in", "请先登录。", "Sign in first.")
    }

    pub(crate) fn not_allowed() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "not_allowed",
            "您的角色无权进行此操作,请联系管理员或签约团队。",
            "Your role may not do this; ask an administrator or the elder's team.",
        )
    }

    pub(crate) fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "没有找到,请刷新列表后重试。",
            "There is no such thing; reload the list and try again.",
        )
    }

    pub(crate) fn bad_request(zh: impl Into<Cow<'static, str>>, en: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_request", zh, en)
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "该地址不支持此方法,请参阅 docs/api.md。",
            "This address does not take that method; see docs/api.md.",
        )
    }

    /// Too much at once; nothing was done and the same request may be sent again.
    pub(crate) fn busy() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "系统繁忙,请几秒后重试。",
            "The server is busy; try again in a few seconds.",
        )
    }

    /// No answer in time. The work goes on, so it may yet be done.
    pub(crate) fn late() -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "late",
            "服务器未能及时答复,操作可能已完成;请刷新后确认,再决定是否重试。",
            "The server did not answer in time and may still do it; reload and look before you try again.",
        )
    }

    /// An inner failure. Logged here, once; the caller's text never reaches the browser.
    pub(crate) fn internal(doing: &'static str, cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(doing, error = %cause, "console request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "服务器内部错误,已记录;请重试,仍失败请联系运维。",
            "The server failed and has logged why; try again, then call operations.",
        )
    }

    pub(crate) fn too_large(bytes_max: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("请求内容过大,上限 {bytes_max} 字节。"),
            format!("The body is too large; at most {bytes_max} bytes."),
        )
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut error = Map::new();
        error.insert("code".to_owned(), Value::from(self.code));
        error.insert("message_zh".to_owned(), Value::from(self.zh));
        error.insert("message_en".to_owned(), Value::from(self.en));
        for (key, value) in self.extra {
            error.insert(key.to_owned(), Value::from(value));
        }
        let mut body = Map::new();
        body.insert("error".to_owned(), Value::Object(error));
        (self.status, Json(Value::Object(body))).into_response()
    }
}
