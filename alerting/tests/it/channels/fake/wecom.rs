//! 企业微信 as its pages describe it: tokens that end, members, the check for doubles, silent limits; and the group robot.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use model::Time;
use serde_json::{Value, json};

use super::server::{Provider, Reply, Request, reply, within};

pub(crate) const SECRET: &str = "app-secret-Zq81";
pub(crate) const ROBOT_KEY: &str = "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa";
const MINUTE: Duration = Duration::from_mins(1);

#[derive(Default)]
pub(crate) struct Wecom {
    /// Token in force and its end.
    token: Option<(String, Time)>,
    pub(crate) tokens_given: usize,
    /// Members who may see the application, in lower case.
    pub(crate) members: HashSet<String>,
    /// Those whom the answer names although it says 0.
    pub(crate) unlicensed: HashSet<String>,
    pub(crate) hidden: HashSet<String>,
    seen: HashMap<String, Time>,
    sent: HashMap<String, Vec<Time>>,
    /// What arrived: member and body.
    pub(crate) arrived: Vec<(String, Value)>,
    robot: Vec<Time>,
    robot_blocked: Option<Time>,
    pub(crate) robot_said: Vec<Value>,
}

impl Wecom {
    pub(crate) fn with(members: &[&str]) -> Self {
        Self { members: members.iter().map(|id| id.to_lowercase()).collect(), ..Self::default() }
    }

    /// The token ends before its time.
    pub(crate) fn revoke(&mut self) {
        self.token = None;
    }

    fn gettoken(&mut self, request: &Request, now: Time) -> Reply {
        if request.parameter("corpid") != "ww1" {
            return said(40_013);
        }
        if request.parameter("corpsecret") != SECRET {
            return said(40_001);
        }
        if self.token.as_ref().is_none_or(|token| token.1 <= now) {
            self.tokens_given += 1;
            self.token =
                Some((format!("token-{}-{}", self.tokens_given, "x".repeat(180)), now + 2 * Duration::from_hours(1)));
        }
        let token = &self.token.as_ref().unwrap().0;
        reply(200, &json!({"errcode": 0, "errmsg": "ok", "access_token": token, "expires_in": 7200}))
    }

    fn send(&mut self, request: &Request, now: Time) -> Reply {
        match &self.token {
            Some((token, until)) if *token == request.parameter("access_token") => {
                if *until <= now {
                    return said(42_001);
                }
            }
            _ => return said(40_014),
        }
        let body = request.json();
        if body["agentid"] != 1_000_002 {
            return said(40_056);
        }
        if !is_card(&body) {
            return said(40_058);
        }
        let users: Vec<String> =
            body["touser"].as_str().unwrap_or_default().split('|').map(str::to_lowercase).collect();
        let bad = |list: &HashSet<String>| {
            users.iter().filter(|user| list.contains(*user)).cloned().collect::<Vec<_>>().join("|")
        };
        let (hidden, unlicensed) = (bad(&self.hidden), bad(&self.unlicensed));
        if hidden.is_empty() && unlicensed.is_empty() && !users.iter().all(|user| self.members.contains(user)) {
            return said(81_013);
        }
        if hidden.is_empty() && unlicensed.is_empty() {
            self.deliver(&users, &body, request, now);
        }
        reply(
            200,
            &json!({"errcode": 0, "errmsg": "ok", "invaliduser": hidden, "invalidparty": "", "invalidtag": "",
                    "unlicenseduser": unlicensed, "msgid": format!("msg-{}", self.arrived.len()), "response_code": "r"}),
        )
    }

    /// Doubles and what is above a member's limit go nowhere, and the answer does not say so.
    fn deliver(&mut self, users: &[String], body: &Value, request: &Request, now: Time) {
        let interval = Duration::from_secs(body["duplicate_check_interval"].as_u64().unwrap_or(1_800));
        let text = String::from_utf8(request.body.clone()).unwrap();
        let double = self.seen.get(&text).is_some_and(|seen| now - interval < *seen);
        if body["enable_duplicate_check"] == 1 && double {
            return;
        }
        self.seen.insert(text, now);
        for user in users {
            let sent = self.sent.entry(user.clone()).or_default();
            if within(sent, now, MINUTE) >= 30 || within(sent, now, Duration::from_hours(1)) >= 1_000 {
                continue;
            }
            sent.push(now);
            self.arrived.push((user.clone(), body.clone()));
        }
    }

    fn robot(&mut self, request: &Request, now: Time) -> Reply {
        if request.parameter("key") != ROBOT_KEY {
            return said(93_000);
        }
        let body = request.json();
        let text = body["text"]["content"].as_str().unwrap_or_default();
        if body["msgtype"] != "text" || text.is_empty() || text.len() > 2_048 {
            return said(40_058);
        }
        if self.robot_blocked.is_some_and(|until| now < until) || within(&self.robot, now, MINUTE) >= 20 {
            self.robot_blocked = Some(self.robot_blocked.filter(|until| now < *until).unwrap_or(now + MINUTE));
            return said(45_009);
        }
        self.robot.push(now);
        self.robot_said.push(body);
        said(0)
    }
}

impl Provider for Wecom {
    fn answer(&mut self, request: &Request, now: Time) -> Reply {
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/cgi-bin/gettoken") => self.gettoken(request, now),
            ("POST", "/cgi-bin/message/send") => self.send(request, now),
            ("POST", "/cgi-bin/webhook/send") => self.robot(request, now),
            _ => reply(404, &json!({})),
        }
    }
}

/// The forms we use, with the lengths the pages give.
fn is_card(body: &Value) -> bool {
    let fits = |value: &Value, most: usize| value.as_str().is_some_and(|text| !text.is_empty() && text.len() <= most);
    let card = &body["textcard"];
    match body["msgtype"].as_str() {
        Some("textcard") => fits(&card["title"], 128) && fits(&card["description"], 512) && fits(&card["url"], 2_048),
        _ => false,
    }
}

fn said(code: i64) -> Reply {
    reply(200, &json!({"errcode": code, "errmsg": format!("hint: [1700], from ip: 10.0.0.1, {SECRET}, code {code}")}))
}
