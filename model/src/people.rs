//! People: who signs in, who is paged, and what each role may see.

use crate::alarm::words;
use serde::{Deserialize, Serialize};

words! {
    /// What a person may do. Scopes: `docs/glossary.md`.
    Role {
        Dispatcher = "dispatcher", "座席员", "Dispatcher";
        Doctor = "doctor", "家庭医生", "Doctor";
        Nurse = "nurse", "社区护士", "Nurse";
        Administrator = "administrator", "管理员", "Administrator";
    }
    /// Sex as on the identity card (GB/T 2261.1).
    Sex {
        Male = "male", "男", "Male";
        Female = "female", "女", "Female";
        Unknown = "unknown", "未知", "Unknown";
    }
}

impl Role {
    /// Sees the whole alarm stream of the call centre.
    pub const fn watches_alarms(self) -> bool {
        matches!(self, Self::Dispatcher | Self::Administrator)
    }

    /// Can be on call and accept a page.
    pub const fn accepts_pages(self) -> bool {
        matches!(self, Self::Doctor | Self::Nurse)
    }
}
