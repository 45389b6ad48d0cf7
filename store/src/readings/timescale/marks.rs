//! What stays in the place of a row that was moved to another subject has no value. Marks that programs before format 5 wrote have
//! one, and it is another person's: they lose it once in the life of a schema, before the first person is deleted from it.

use deadpool_postgres::ClientWrapper;

use super::Error;
use super::chunk;
use super::migrate::Kind;
use super::rollup::unpack_without_limit;
use super::types::Micros;

/// What the newest reading of a series was before it was moved away, when others had come after it.
const LATEST: &str = "DELETE FROM latest l USING reading r
  WHERE r.subject = l.subject AND r.metric = l.metric AND r.ts = l.ts AND r.quality = 255";
const SERIES: &str =
    "SELECT DISTINCT subject, metric FROM reading WHERE quality = 255 AND value <> 0 AND ts >= $1 AND ts < $2";
/// Series by series: only what they have in a compressed chunk is unpacked.
const BLANK: &str = "UPDATE reading SET value = 0
  WHERE subject = $1 AND metric = $2 AND ts >= $3 AND ts < $4 AND quality = 255 AND value <> 0";

/// Afterwards nothing tells what was moved away but the series to which it went.
pub(super) async fn blank(db: &ClientWrapper, kind: Kind) -> Result<(), Error> {
    db.execute(LATEST, &[]).await?;
    if db.query_one("SELECT marks_blank FROM state", &[]).await?.try_get(0)? {
        return Ok(());
    }
    for chunk in chunk::list(db, kind, "reading").await? {
        let (from, to) = (Micros(chunk.from), Micros(chunk.to));
        let series = db.query(SERIES, &[&from, &to]).await?;
        if series.is_empty() {
            continue;
        }
        db.batch_execute("BEGIN; SET LOCAL plan_cache_mode = force_custom_plan").await?;
        unpack_without_limit(db, kind).await?;
        for of in series {
            let (subject, metric): (i64, i32) = (of.try_get(0)?, of.try_get(1)?);
            db.execute(BLANK, &[&subject, &metric, &from, &to]).await?;
        }
        db.batch_execute("COMMIT").await?;
    }
    db.execute("UPDATE state SET marks_blank = true", &[]).await?;
    Ok(())
}
