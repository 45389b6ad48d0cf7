//! A small file that is replaced as a whole: what must outlive a restart and changes seldom.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::whole;

/// The file, and who is writing it.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    path: PathBuf,
    one: Arc<tokio::sync::Mutex<()>>,
}

impl Kept {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, one: Arc::default() }
    }

    /// What was kept; the default when there is nothing or it cannot be read. Blocking.
    pub(crate) fn load<T: DeserializeOwned + Default>(&self) -> T {
        let Ok(text) = std::fs::read(&self.path) else { return T::default() };
        serde_json::from_slice(&text).unwrap_or_else(|error| {
            // Without the cause's text, which may quote the content.
            tracing::error!(path = %self.path.display(), line = error.line(), "cannot be read; it is begun anew");
            T::default()
        })
    }

    /// Replaces the file: readable by this user alone, on disk when this returns. A failure is said; the old file stays.
    pub(crate) async fn save(&self, content: &(impl Serialize + Sync)) {
        // Plain data with text keys: writing it to memory cannot fail.
        let text = serde_json::to_vec(content).unwrap_or_default();
        let _one = self.one.lock().await;
        let path = self.path.clone();
        let saved = tokio::task::spawn_blocking(move || whole::replace(&path, &text)).await;
        if let Ok(Err(error)) = saved {
            tracing::error!(path = %self.path.display(), %error, "cannot be saved");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_saved_is_loaded_and_rubbish_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Kept::new(dir.path().join("x.json"));
        assert_eq!(kept.load::<Vec<u32>>(), Vec::<u32>::new());
        kept.save(&vec![1, 2]).await;
        assert_eq!(kept.load::<Vec<u32>>(), [1, 2]);
        std::fs::write(dir.path().join("x.json"), "{").unwrap();
        assert_eq!(kept.load::<Vec<u32>>(), Vec::<u32>::new());
    }
}
