//! Who is paged: the first on call when an alarm is raised, then the next at every repetition, round and round.

use model::{PersonId, Priority, TeamId};
use store::records::{AlarmView, NewPage, Records};

use crate::channel;

/// Pages for a new, worsened or reopened alarm. P3 and technical alarms page nobody.
pub(crate) fn first(records: &Records, alarm: &AlarmView) -> Vec<NewPage> {
    if !matches!(alarm.priority, Priority::P1 | Priority::P2) {
        return Vec::new();
    }
    on_call(records, alarm).into_iter().take(1).map(page).collect()
}

/// Pages for an alarm that nobody has taken: the person after the one paged last.
pub(crate) fn next(records: &Records, alarm: &AlarmView) -> Result<Vec<NewPage>, store::records::Error> {
    let people = on_call(records, alarm);
    let last = records.alarm(alarm.id)?.and_then(|detail| detail.pages.last().map(|page| page.person.id));
    let place = last.and_then(|last| people.iter().position(|person| person.0 == last));
    let turn = place.map_or(0, |place| place + 1);
    Ok(people.get(turn).or(people.first()).copied().map(page).into_iter().collect())
}

fn on_call(records: &Records, alarm: &AlarmView) -> Vec<PersonId> {
    let team = alarm.team.as_ref().map(|team| TeamId(team.id));
    records.on_call(team).unwrap_or_else(|error| {
        // The alarm is still raised and shown as "nobody on call"; its deadline brings the next try.
        tracing::error!(%error, alarm = %alarm.id, "cannot read who is on call");
        Vec::new()
    })
}

fn page(person: PersonId) -> NewPage {
    NewPage { person, channel: channel::FIRST.to_owned(), due_at: None }
}
