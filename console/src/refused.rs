//! Why an action on an alarm or a page was not done, in words for the person who tried.

use axum::http::StatusCode;
use store::records::ActionError;

use crate::error::ApiError;

/// Why an action was not done, for the person who tried.
pub(crate) fn refused(error: &ActionError) -> ApiError {
    let conflict = |code, zh, en: &'static str| ApiError::new(StatusCode::CONFLICT, code, zh, en);
    match error {
        ActionError::AlreadyClaimedBy(name) => ApiError::new(
            StatusCode::CONFLICT,
            "claimed_by_other",
            format!("{name} 已接单,请处理其他告警或与其联系。"),
            format!("{name} has it already; take another alarm or call them."),
        )
        .with("by", name.clone()),
        ActionError::AlreadyResolved => conflict(
            "already_resolved",
            "该告警已处置完成,请刷新列表。",
            "This alarm is resolved already; reload the list.",
        ),
        ActionError::NeedsOutcome => conflict(
            "needs_outcome",
            "紧急和高优先级告警结束前必须选择处置结果。",
            "An urgent or high alarm needs an outcome; choose one.",
        ),
        ActionError::KeyReused => conflict(
            "key_reused",
            "该 Idempotency-Key 已用于其他操作,请换一个新的。",
            "This Idempotency-Key was used for another action; send a new one.",
        ),
        ActionError::Gone => ApiError::not_found(),
        ActionError::NotAllowed => ApiError::not_allowed(),
        ActionError::NoteTooLong(max) => ApiError::bad_request(
            format!("备注最多 {max} 个字符,请缩短。"),
            format!("A note has at most {max} characters; shorten it."),
        ),
        ActionError::NeedsReason => ApiError::bad_request("请填写原因。", "Give a reason."),
        ActionError::ClaimFirst => conflict("claim_first", "请先接单,再进行此操作。", "Claim the alarm first."),
        ActionError::NotOffered => conflict(
            "not_offered",
            "该告警没有(或不再)移交给您,请刷新列表。",
            "This alarm is not offered to you, or not any more; reload the list.",
        ),
        ActionError::NoReceiver => ApiError::bad_request(
            "请选择可以接手的人员:移交给其他座席员或值班长,上门请选医护、上门人员或填写称呼。",
            "Choose somebody who can take it: another dispatcher or supervisor for a hand-over; a doctor, nurse or responder, or \
             somebody in words, to go there.",
        ),
        ActionError::NotParkable => {
            conflict("not_parkable", "紧急告警和求助不能搁置。", "A P1 or a call for help cannot be parked.")
        }
        ActionError::ParkTooLong { minutes_max } => ApiError::bad_request(
            format!("搁置时间应在将来,且不超过 {minutes_max} 分钟。"),
            format!("Park it until a time within the next {minutes_max} minutes."),
        ),
        ActionError::NotEngaged => {
            conflict("not_engaged", "还没有派人上门或医生接手。", "Nobody was sent or has accepted yet.")
        }
        ActionError::NotDone => conflict(
            "not_done",
            "该告警尚未处置,无需重新打开。",
            "This alarm is not resolved; there is nothing to reopen.",
        ),
        ActionError::Store(error) => ApiError::internal("action", error),
    }
}
