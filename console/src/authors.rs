//! Who saved the version of the rules that a number comes from, and when: whoever looks at a limit sees who answers for it, also where its source
//! is a guideline that somebody has edited since.

use std::cell::RefCell;
use std::collections::HashMap;

use model::ElderId;
use model::layer::Origin;
use serde_json::{Value, json};
use store::records::Records;

use crate::error::Answer;
use crate::rules::saved;
use crate::view;

/// Answers for the layers of one elder, each version looked up once.
pub(crate) struct Authors<'a> {
    records: &'a Records,
    elder: ElderId,
    known: RefCell<HashMap<(String, u32), Value>>,
}

impl<'a> Authors<'a> {
    pub(crate) fn new(records: &'a Records, elder: ElderId) -> Self {
        Self { records, elder, known: RefCell::default() }
    }

    /// Adds `saved_by` (a name; null: shipped with the program) and `saved_at` to what is said of a layer.
    pub(crate) fn add(&self, origin: &Origin, answer: &mut Value) -> Answer<()> {
        let key = (origin.layer.clone(), origin.version);
        let known = self.known.borrow().get(&key).cloned();
        let found = if let Some(found) = known {
            found
        } else {
            let version = saved("rules", self.records.version_saved(origin, self.elder))?;
            let name = version.and_then(|version| view::person_name(self.records, version.by));
            let found = json!({ "saved_by": name, "saved_at": version.map(|version| version.at) });
            self.known.borrow_mut().insert(key, found.clone());
            found
        };
        for word in ["saved_by", "saved_at"] {
            answer[word] = found[word].clone();
        }
        Ok(())
    }
}
