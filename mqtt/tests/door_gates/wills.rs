//! Last wills: when they fire, with which cause, and when they do not.

use vigil_mqtt::door::{CloseReason, Config, LinkChange, Verdict};

use crate::support::*;

fn with_will(v5: bool, topic: &str, delay: u32, expiry: u32) -> Connect<'_> {
    let properties = if v5 { [&[0x11][..], &expiry.to_be_bytes()].concat() } else { Vec::new() };
    Connect { will: Some((topic, "lost", 1, true, delay)), properties, ..Connect::of(v5, "gw1") }
}

#[tokio::test]
async fn a_will_fires_with_its_cause_or_not_at_all() {
    let topic = state("gw1");
    for (what, v5, last_words, cause) in [
        ("3.1.1 DISCONNECT", false, vec![0xE0, 0], None),
        ("v5 DISCONNECT", true, vec![0xE0, 0], None),
        ("v5 DISCONNECT 0x00", true, vec![0xE0, 1, 0], None),
        ("v5 DISCONNECT 0x04", true, vec![0xE0, 1, 4], Some(CloseReason::DisconnectedWithWill)),
        ("socket closed", false, vec![], Some(CloseReason::Reset)),
        ("protocol error", true, vec![0xF0, 0], Some(CloseReason::Protocol)),
        ("not its topic", false, publish(false, 1, 1, "x", b""), Some(CloseReason::NotAuthorised)),
    ] {
        let house = House::open().await;
        let mut client = house.client(&with_will(v5, &topic, 0, 0)).await;
        client.send(&last_words).await;
        drop(client);
        house.intake.until(what, |intake| intake.links().len() == 2).await;
        house.stats(what, |stats| stats.tasks == 0).await;
        let wills = house.intake.wills();
        assert_eq!(wills.iter().map(|will| will.will).collect::<Vec<_>>(), Vec::from_iter(cause.map(Some)), "{what}");
        let expected = cause.unwrap_or(CloseReason::Disconnected);
        assert_eq!(house.intake.links(), [LinkChange::Up, LinkChange::Lost { cause: expected }], "{what}");
        assert_eq!(house.retained.0.lock().unwrap().contains_key(&topic), cause.is_some(), "{what}");
        assert_eq!(house.handle.stats().wills, u64::from(cause.is_some()));
    }
}

#[tokio::test]
async fn a_delayed_will_waits_and_a_return_voids_it() {
    let topic = state("gw1");
    let house = House::open().await;
    drop(house.client(&with_will(true, &topic, 1, 60)).await);
    house.intake.until("lost", |intake| intake.links().len() == 2).await;
    assert_eq!(house.intake.wills(), [], "it waits");
    drop(house.client(&Connect::v5("gw1")).await);
    house.intake.until("up and lost again", |intake| intake.links().len() == 4).await;
    drop(house.client(&with_will(true, &topic, 1, 60)).await);
    house.intake.until("fired after its delay", |intake| intake.wills().len() == 1).await;
    // A session that ends with the link does not delay: the standard's "whichever is first".
    drop(house.client(&with_will(true, &topic, 3_000, 0)).await);
    house.intake.until("fired at once", |intake| intake.wills().len() == 2).await;
}

#[tokio::test]
async fn our_own_stop_fires_only_the_wills_of_links_lost_before() {
    let topic = state("gw1");
    let house = House::open().await;
    drop(house.client(&with_will(true, &topic, 3_000, 3_000)).await);
    house.intake.until("lost", |intake| intake.links().len() == 2).await;
    let other = state("gw2");
    let mut connected = house.client(&Connect { will: Some((&other, "lost", 1, true, 0)), ..Connect::v5("gw2") }).await;
    let intake = house.intake.clone();
    house.stop.request();
    connected.disconnected(0x8B).await;
    drop(connected);
    house.stopped().await;
    let wills = intake.wills();
    assert_eq!(wills.iter().map(|will| will.topic.clone()).collect::<Vec<_>>(), [topic]);
    assert_eq!(wills[0].will, Some(CloseReason::Reset));
}

#[tokio::test]
async fn a_will_is_kept_until_the_intake_takes_it() {
    let topic = state("gw1");
    let house = House::with(Config { ..test_config() }).await;
    house.intake.set(Mode::Answer(|_| Verdict::Busy));
    drop(house.client(&with_will(false, &topic, 0, 0)).await);
    house.intake.until("first try", |intake| intake.wills().len() == 1).await;
    house.intake.set(Mode::Answer(stored));
    house.stats("stored at last", |stats| stats.wills == 1).await;
    assert_eq!(house.intake.wills().len(), 2);
}
