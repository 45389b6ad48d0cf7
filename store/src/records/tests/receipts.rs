//! Receipts of providers, answers by SMS, code and link: nothing twice, nothing back, nothing lost.

use model::page::PageState;
use model::{AlarmId, Handling, PageId};

use super::*;

const SMS: &str = "aliyun_sms";

/// An SOS whose page went to the doctor by SMS, with voice to follow; the provider calls it `ref-N`.
fn paged(house: &House) -> (AlarmId, PageId) {
    // Each of an elder of their own: a second press of one elder need not page again.
    let elder = house.records.create_elder(&new_elder("李四", Some(house.team))).unwrap();
    let subject = Subject::Elder(elder);
    let told = house.change("sos", house.clock.now(), raised(Priority::P1, SOS, house.clock.now(), false));
    let alarm = AlarmId::of(subject, "sos", told.at);
    let raised = Transition { alarm, subject: subject.to_u32(), ..told };
    let page = NewPage { chain: vec!["aliyun_voice".into()], ..NewPage::to(house.doctor, SMS) };
    let cursor = Seq(house.records.alerting_cursor().unwrap().0 + 1);
    let plan = move |_: &AlarmView| vec![page.clone()];
    house.records.apply(std::slice::from_ref(&raised), cursor, house.clock.now(), &plan).unwrap();
    let page = house.page_of(raised.alarm, house.doctor).id;
    let attempt = house.records.start_attempt(page, house.clock.now()).unwrap().unwrap();
    let accepted = SendResult::Accepted { provider_ref: Some(format!("ref-{page}")) };
    house.records.finish_attempt(attempt, &accepted, "", None).unwrap();
    (raised.alarm, page)
}

fn state(house: &House, page: PageId) -> PageState {
    house.records.page(page).unwrap().unwrap().0.state
}

fn receipt(house: &House, page: PageId, state: PageState) -> bool {
    house.records.page_receipt(SMS, &format!("ref-{page}"), state, house.clock.now()).unwrap()
}

#[test]
fn receipts_move_forward_only_and_twice_is_once() {
    let house = house();
    let (alarm, page) = paged(&house);
    assert!(!house.records.page_receipt(SMS, "unknown", PageState::Delivered, START).unwrap());
    assert!(!house.records.page_receipt("tencent_sms", &format!("ref-{page}"), PageState::Delivered, START).unwrap());
    assert!(receipt(&house, page, PageState::Delivered));
    let told = house.kinds(alarm);
    assert!(receipt(&house, page, PageState::Delivered));
    assert_eq!(house.kinds(alarm), told, "the second time nothing is written");
    assert!(receipt(&house, page, PageState::Read));
    assert!(receipt(&house, page, PageState::Delivered), "late");
    assert!(receipt(&house, page, PageState::PermFailed), "the failure of a read message is nonsense");
    assert_eq!(state(&house, page), PageState::Read);
    house.records.accept_page(page, house.doctor, None).unwrap();
    assert!(receipt(&house, page, PageState::Read));
    assert_eq!(state(&house, page), PageState::Accepted);
    assert!(
        house.records.page_receipt(SMS, "x", PageState::Accepted, START).is_err(),
        "no provider accepts for a person"
    );
}

#[test]
fn a_message_that_failed_goes_on_by_the_next_channel_once() {
    let house = house();
    let (alarm, page) = paged(&house);
    for _ in 0..3 {
        assert!(receipt(&house, page, PageState::PermFailed));
    }
    let pages = house.records.alarm(alarm).unwrap().unwrap().pages;
    let seen: Vec<_> = pages.iter().map(|page| (page.channel.as_str(), page.state)).collect();
    assert_eq!(seen, [(SMS, PageState::PermFailed), ("aliyun_voice", PageState::Queued)]);
}

#[test]
fn a_code_names_one_waiting_page_and_is_free_again_afterwards() {
    let house = house();
    let (alarm, page) = paged(&house);
    let code = house.records.page_code(page).unwrap();
    assert!((4..=6).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
    assert_eq!(house.records.page_code(page).unwrap(), code, "the same at every attempt");
    assert_eq!(house.records.page_of_code(&code).unwrap(), Some((page, house.doctor)));
    assert_eq!(house.records.page_of_code("12").unwrap(), None);
    house.pass(1);
    let (_, other) = paged(&house);
    assert_ne!(house.records.page_code(other).unwrap(), code);
    house.records.accept_page(page, house.doctor, None).unwrap();
    assert_eq!(house.records.page_of_code(&code).unwrap(), None, "an answered page takes no code");
    assert_eq!(house.view(alarm).handling, Handling::Engaged);
}

fn reply(house: &House, phone: &str, code: Option<&str>, reply: Reply, key: &str) -> Replied {
    let at = ReplyAt { sent_at: house.clock.now(), key };
    house.records.reply_from(SMS, phone, code, reply, at).unwrap()
}

#[test]
fn a_reply_by_sms_answers_the_last_page_of_that_number_once() {
    let house = house();
    let (first_alarm, first) = paged(&house);
    house.pass(5);
    let (_, second) = paged(&house);
    house.pass(5);
    assert_eq!(reply(&house, "13700000000", None, Reply::Accept, "1"), Replied::NoPage, "a stranger");
    assert_eq!(reply(&house, "+8613900000000", None, Reply::Accept, "2"), Replied::Done(second));
    // The provider pushes it again: it must not mean the other page now.
    assert_eq!(reply(&house, "+8613900000000", None, Reply::Accept, "2"), Replied::Before);
    assert_eq!(state(&house, first), PageState::ProviderAccepted);
    assert_eq!(reply(&house, "13900000000", None, Reply::Decline, "3"), Replied::Done(first));
    assert_eq!(state(&house, first), PageState::Declined);
    assert!(house.kinds(first_alarm).contains(&"declined"));
    assert_eq!(reply(&house, "13900000000", None, Reply::Accept, "4"), Replied::NoPage);
}

#[test]
fn a_reply_with_a_code_means_that_page_and_no_other() {
    let house = house();
    let (_, first) = paged(&house);
    house.pass(5);
    let (_, second) = paged(&house);
    let code = house.records.page_code(first).unwrap();
    assert_eq!(reply(&house, "13900000000", Some("0"), Reply::Accept, "1"), Replied::NoPage);
    assert_eq!(reply(&house, "13900000000", Some(&code), Reply::Accept, "2"), Replied::Done(first));
    assert_eq!(state(&house, second), PageState::ProviderAccepted);
}

#[test]
fn a_reply_older_than_the_page_is_about_another() {
    let house = house();
    let sent_at = house.clock.now();
    house.pass(60);
    paged(&house);
    let at = ReplyAt { sent_at, key: "1" };
    let answer = house.records.reply_from(SMS, "13900000000", None, Reply::Accept, at).unwrap();
    assert_eq!(answer, Replied::NoPage);
}

#[test]
fn a_false_alarm_by_reply_is_theirs_and_still_needs_an_outcome() {
    let house = house();
    let (alarm, page) = paged(&house);
    let done = house.records.reply_to(SMS, &format!("ref-{page}"), Reply::MarkFalse, "call-1").unwrap();
    assert_eq!(done, Replied::Done(page));
    assert_eq!(state(&house, page), PageState::MarkedFalse);
    let view = house.view(alarm);
    assert_eq!((view.handling, view.accepted_by.unwrap().id), (Handling::Engaged, house.doctor));
    assert_eq!(house.records.reply_to(SMS, "nobody", Reply::Accept, "call-2").unwrap(), Replied::NoPage);
}

#[test]
fn somebody_elses_alarm_cannot_be_taken_by_reply() {
    let house = house();
    let (alarm, page) = paged(&house);
    house.records.resolve(alarm, house.dispatcher, Some(Outcome::Test), "", None).unwrap();
    let late = house.records.reply_to(SMS, &format!("ref-{page}"), Reply::Accept, "k").unwrap();
    assert!(matches!(late, Replied::Refused(_)), "{late:?}");
}

#[test]
fn a_link_opens_one_page_until_its_time() {
    let house = house();
    let (_, page) = paged(&house);
    let token = house.records.link_token(page, house.clock.now().plus_us(3_600_000_000)).unwrap();
    assert_eq!(house.records.page_of_link(&token).unwrap(), Some(page));
    let again = Records::open(house.dir.path(), house.clock.clone()).unwrap();
    assert_eq!(again.page_of_link(&token).unwrap(), Some(page), "also after a restart");
    let (body, mac) = token.rsplit_once('.').unwrap();
    let (_, until) = body.split_once('.').unwrap();
    for forged in [
        format!("{}.{until}.{mac}", page.0 + 1),
        format!("{page}.ffffffffff.{mac}"),
        format!("{body}.{}", "0".repeat(mac.len())),
        format!("{body}."),
        body.to_owned(),
        String::new(),
        "x".repeat(10_000),
    ] {
        assert_eq!(house.records.page_of_link(&forged).unwrap(), None, "{forged:.40}");
    }
    house.pass(3_600);
    assert_eq!(house.records.page_of_link(&token).unwrap(), None, "its time is over");
}
