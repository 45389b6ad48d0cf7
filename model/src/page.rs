//! A page (寻呼): one attempt chain to one person by one channel. Finished only when a named human accepted it.

use crate::alarm::words;
use serde::{Deserialize, Serialize};

words! {
    /// Where a page stands. "Sent" is not "delivered", "delivered" is not "accepted".
    PageState {
        /// Written together with the alarm; nothing was sent yet.
        Queued = "queued", "待发送", "Queued";
        /// An attempt is under way. Found after a crash it becomes `InDoubt`.
        Sending = "sending", "发送中", "Sending";
        /// The provider has it.
        ProviderAccepted = "provider_accepted", "已发出", "Sent";
        /// The carrier or the client said so.
        Delivered = "delivered", "已送达", "Delivered";
        /// The person opened it.
        Read = "read", "已查看", "Read";
        /// A named person took over.
        Accepted = "accepted", "已接手", "Accepted";
        Declined = "declined", "无法接手", "Declined";
        /// Will be tried again.
        TempFailed = "temp_failed", "重试中", "Retrying";
        /// Will not be tried again by this channel.
        PermFailed = "perm_failed", "发送失败", "Failed";
        /// Sent, but no answer: may have arrived. Sent again with the same key.
        InDoubt = "in_doubt", "结果未知", "In doubt";
        /// Somebody else accepted, or the alarm was resolved.
        Superseded = "superseded", "已取消", "Superseded";
        /// The person answered that it is a false alarm.
        MarkedFalse = "marked_false", "回复误报", "Answered: false alarm";
        /// No receipt and no answer in time; the next channel has its turn.
        Expired = "expired", "超时", "Expired";
    }
}

impl PageState {
    /// The pager still has work with this page.
    pub const fn is_due(self) -> bool {
        matches!(self, Self::Queued | Self::Sending | Self::TempFailed | Self::InDoubt)
    }
}
