//! Links that open one page without signing in: for channels whose texts may hold a link. A link is the page's number, when it
//! ends, and a signature with a key that never leaves the records; it is spent when the page is answered.

use hmac::{Hmac, KeyInit, Mac};
use model::{PageId, Time};
use rusqlite::{OptionalExtension, params};
use sha2::Sha256;

use super::error::{Error, Result};
use super::{Records, hex};

/// Bytes of the signature that a link carries.
const MAC_BYTES: usize = 16;
/// Longest link looked at.
const TOKEN_BYTES_MAX: usize = 96;

impl Records {
    /// The last part of a link to this page that works until then.
    pub fn link_token(&self, page: PageId, until: Time) -> Result<String> {
        let key = self.link_key()?;
        let body = format!("{page}.{:x}", until.secs());
        let mac = hex(&sign(&key, &body)?[..MAC_BYTES]);
        Ok(format!("{body}.{mac}"))
    }

    /// The page a link names. `None`: it is not ours, or its time is over.
    pub fn page_of_link(&self, token: &str) -> Result<Option<PageId>> {
        if token.len() > TOKEN_BYTES_MAX {
            return Ok(None);
        }
        let Some((body, mac)) = token.rsplit_once('.') else { return Ok(None) };
        let Some((page, until)) = body.split_once('.') else { return Ok(None) };
        let (Ok(page), Ok(until)) = (page.parse::<u64>(), i64::from_str_radix(until, 16)) else { return Ok(None) };
        let expected = hex(&sign(&self.link_key()?, body)?[..MAC_BYTES]);
        if !same(expected.as_bytes(), mac.as_bytes()) || self.now().secs() >= until {
            return Ok(None);
        }
        Ok(Some(PageId(page)))
    }

    /// Made at the first call.
    fn link_key(&self) -> Result<Vec<u8>> {
        let select = "SELECT secret FROM link_key ORDER BY id LIMIT 1";
        if let Some(key) = self.read(|conn| Ok(conn.query_row(select, [], |row| row.get(0)).optional()?))? {
            return Ok(key);
        }
        let mut fresh = [0_u8; 32];
        getrandom::fill(&mut fresh).map_err(|_| Error::Invalid("the system gives no random bytes".into()))?;
        self.write(|tx| {
            tx.execute(
                "INSERT INTO link_key (id, secret, made_at) VALUES (1, ?1, ?2) ON CONFLICT DO NOTHING",
                params![&fresh[..], tx.now.0],
            )?;
            Ok(tx.query_row(select, [], |row| row.get(0))?)
        })
    }
}

fn sign(key: &[u8], body: &str) -> Result<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| Error::Invalid("a key of no length".into()))?;
    mac.update(b"page-link:");
    mac.update(body.as_bytes());
    Ok(mac.finalize().into_bytes().to_vec())
}

/// In a time that does not depend on where they differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}
