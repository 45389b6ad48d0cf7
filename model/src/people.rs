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
        /// Leads the dispatchers' shift: takes over, voids, is told when nobody arrives.
        Supervisor = "supervisor", "值班长", "Supervisor";
        /// Goes there: 网格员, 健康小组长, village doctor, key holder, family. Sees address and phone, not the clinical history.
        Responder = "responder", "上门人员", "Responder";
    }
    /// Place of a person in a family-doctor team (1+1+X, 3+X, 4+1+X), which a rota and an escalation step name.
    Duty {
        Doctor = "doctor", "全科医生", "Family doctor";
        Nurse = "nurse", "护士", "Nurse";
        PublicHealth = "public_health", "公卫医师", "Public-health physician";
        VillageDoctor = "village_doctor", "村医", "Village doctor";
        GridWorker = "grid_worker", "网格员", "Grid worker";
        GroupLeader = "group_leader", "健康小组长", "Health-group leader";
        Specialist = "specialist", "专科医生", "Specialist";
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
        matches!(self, Self::Dispatcher | Self::Supervisor | Self::Administrator)
    }

    /// Can be on call and accept a page.
    pub const fn accepts_pages(self) -> bool {
        matches!(self, Self::Doctor | Self::Nurse | Self::Responder | Self::Supervisor)
    }
}
