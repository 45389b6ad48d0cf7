/** Every English string of the app. The type makes a missing or misspelt key an error of `npm run check`. */
import { handlingEn } from "./handling";
import { numbersEn } from "./numbers";
import { trendsEn } from "./trends";
import { writerEn } from "./writer";
import { rotaEn } from "./rota";
import { rulesEn } from "./rules";
import type { Strings } from "./zh";

export const en: Strings = {
  // The house
  app_name: "Vigil", app_sub: "Care at home, watched over", other_language: "中文", sign_out: "Sign out", skip: "Skip to content",
  nav_desk: "Alarms", nav_elders: "Elders", nav_phone: "My pages", nav_admin: "Admin", nav_label: "Main menu",
  loading: "Loading…", retry: "Try again", cancel: "Cancel", close: "Close", save: "Save", back: "Back", more: "Show more", search: "Search",
  not_found_title: "No such page", not_found_text: "The address may be wrong, or the content has moved.", go_home: "Go to the start", error_title: "That did not work",
  not_for_role_title: "Not available to you", not_for_role: "Your role cannot use this page.", ago: (text) => `${text} ago`, day: "d", unknown: "unknown", years: (n) => `${n} y`,
  seconds: (n) => `${n} s`, minutes: (n) => `${n} min`, hours: (n) => `${n} h`, days: (n) => `${n} d`,
  just_now: "just now",
  // Login
  login_title: "Sign in", login_name: "Account", login_password: "Password", login_go: "Sign in", login_busy: "Signing in…",
  login_need_both: "Enter account and password", login_bad: "Wrong account or password", login_locked: "Too many attempts. Try again in 15 minutes.",
  session_ended: "Your session has ended: please sign in again", session_ended_desk: "Your session has ended: the alarm desk has stopped", session_ended_seen: "I know",
  // Desk
  desk_title: "Alarm desk", unclaimed: "Unclaimed", count_label: "Alarm counts", connected: "Connected", connecting: "Connecting…",
  lost: (s) => `Connection lost for ${s} s`, skew: (s) => `This computer's clock is ${s} s off the server's. Timers follow the server; please set the clock.`,
  duty_start: "Start duty", sound_off: "Sound is off: press “Start duty” and listen for the test tone before watching", sound_on: "Sound is on", mute: "Mute 60 s", unmute: (s) => `Unmute (${s} s)`,
  muted: (s) => `Muted, ${s} s left`, test_tone: "Test tone", filter_state: "State", filter_open: "Open", filter_all: "All", filter_priority: "Priority", filter_text: "Name, address, device",
  new_alarms: (n) => (n === 1 ? "1 new alarm" : `${n} new alarms`), strip_title: "New urgent alarm", empty_title: "No open alarms", empty_text: "New alarms appear here by themselves.",
  empty_filter: "No alarm matches the filter", clear_filter: "Clear filter", outside_filter: "Outside the filter", missing: (n) => `${n} more alarms are not shown: narrow the filter or handle those above first`,
  col_priority: "Priority", col_elapsed: "Elapsed", col_elder: "Elder", col_what: "What", col_address: "Address", col_pages: "Page", col_handling: "Handling", col_actions: "Actions",
  claim: "Claim", claiming: "Claiming…", release: "Release", resolve: "Resolve", open_detail: "Details", mine: "me", claimed_by: (name) => `Claimed by ${name}`, accepted_by: (name) => `Accepted by ${name}`,
  limit_of: (limit) => `limit ${limit}`, silent_for: (text) => `no data for ${text}`, late_mark: "Found late", sounded: (at) => `Sounded at the gateway ${at}`, sounded_not: (at) => `Gateway could not sound it ${at}`, hook_failed: "could not sound", repeats: (n) => `×${n}`, repeats_label: (n) => `raised ${n} times`,
  no_elder: "No elder bound", nobody_to_page: "Nobody to page", said_claimed: "Claimed", said_released: "Released", said_resolved: "Outcome recorded", happened: (at) => `happened ${at}`, same_measurement: "same measurement", said_note: "Note recorded", keys: "Keys",
  alarm_list: "Alarm list", new_p1: (text) => `New urgent alarm: ${text}`, help: "Keyboard help", p1_waiting: (n) => `${n} urgent unclaimed: back to the alarm desk`,
  key_move: "Previous / next", key_claim: "Claim", key_open: "Open details", key_resolve: "Resolve", key_close: "Close details or window", key_mute: "Mute 60 s", key_new: "Show new alarms", key_help: "Show this help",
  // Detail
  detail: "Alarm details", elder_card: "Elder", timeline: "What happened", pages_title: "Pages", page_none: "No pages", attempts: "Attempts", trend_day: "Last 24 hours",
  copy_brief: "Copy 120 brief", copied: "Brief copied", copy_failed: "The browser does not allow copying: select the text below", phone: "Phone", address: "Address", notes: "Notes", device: "Device", team: "Team", started: "Began", raised: "Raised",
  add_note: "Add note", note_placeholder: "Write down what was done", system: "System", elder_page: "Open the elder's page", no_phone: "No phone number",
  brief: (p) => `[Ambulance brief] ${p.name}, ${p.sex}, ${p.age}.\nWhat: ${p.what} (${p.at}).\nAddress: ${p.address}\nPhone: ${p.phone}\nNotes: ${p.notes}`,
  // Resolve
  resolve_title: "Resolve", outcome: "Outcome", outcome_needed: "Choose an outcome", note: "Note", resolve_rest: (what) => `Close the same measurement too: ${what}`, resolve_go: "Record outcome",
  // Elders
  elders_title: "Elders", elders_search: "Name, address or phone", elders_search_masked: "Elder number or team name", elders_empty: "No elder found", elders_cut: (n) => `Only the first ${n} are listed: narrow the search`, open_alarms: (n) => (n === 1 ? "1 open alarm" : `${n} open alarms`), last_data: "Last data", no_data_yet: "No data yet", birth: "Born", devices: "Devices", devices_none: "No device bound",
  latest: "Latest readings", no_value: "No value", taken: "Taken", alarms_of: "Alarms", alarms_none: "No alarms", summary: "Overview", name: "Name", sex_age: "Sex / age",
  trends: "Trends", range_day: "24 hours", range_week: "7 days", range_month: "30 days", range_label: "Time range", as_table: "As a table", as_chart: "As a chart", trend_empty: "No data in this time", gap: "Gap", gap_why: (why) => `Gap: ${why}`, no_data: "no data", no_data_before: "No data before this", no_data_since: "No data since", short_metric: { systolic: "Sys", diastolic: "Dia", arterial_systolic: "Sys", arterial_diastolic: "Dia" },
  mean: "Mean", min: "Lowest", max: "Highest", n_readings: "Readings", time: "Time", table_cut: (n) => `Only the latest ${n} rows are listed`, blood_pressure: "Blood pressure", trend_pane: (name) => `Trend of ${name}`, table_of: (name) => `Table of ${name}`, chart_help: "Hatched grey: no data (point at it for the reason). Tinted ground: alarm range.",
  // ECG
  ecg: "ECG", ecg_empty: "No ECG in this time", ecg_recording: "Recording", ecg_zoom: "Zoom", ecg_smaller: "Smaller", ecg_larger: "Larger", ecg_pages: "Pages", ecg_before: "Before", ecg_after: "After", ecg_keys: "ECG: arrow keys turn pages, plus and minus zoom", ecg_paper: (s) => `and ${s} s · 25 mm/s · 10 mm/mV ·`, ecg_label: (at, s, leads) => `ECG from ${at}, ${s} s, leads ${leads}`, ecg_cut: "Only the latest recordings are listed", ecg_rate: (rate) => `heart rate ${rate}/min`, ecg_pause: (s) => `pause ${s} s`, ecg_verdicts: { usable: "signal usable", doubtful: "signal doubtful", unusable: "signal unusable: conclude nothing from it" }, ecg_reasons: { rate: "sampled too slowly", short: "too short", lead_off: "lead off", flat: "flat line", clipped: "clipped", noise: "noise", baseline: "wandering baseline", no_beats: "no beats seen" }, ecg_before_alarm: "ECG of the 30 s before the alarm",
  origin: (raw) => `device wrote ${raw}`, uncertain: (s) => `time ±${s} s`,
  // Rules
  rules_title: "Alarm rules", rules_own: "Own rules", rules_default: "Default rules", rules_source: "Source", rules_by: (name, at) => `Changed by ${name}, ${at}`, rules_why: "Reason", edit: "Edit thresholds", col_rule: "Rule", col_limit: "Limit", col_hold: "Hold", col_margin: "Clear margin", at_once: "at once",
  rule_high: "≥", rule_low: "≤", reason: "Reason for the change", reason_needed: "Give a reason", rules_saved: "Rules saved", hold_s: "Hold, seconds", version: (n) => `version ${n}`, not_a_number: "Enter a number", levels_crossed: (rule) => `“${rule}”: the more urgent a level, the further its limit must be from normal`, sides_crossed: (low, high) => `The limits of “${low}” must be below those of “${high}”`, rule_wrong: (rule) => `“${rule}”:`, silence_after: (text) => `no data for ${text}`, repeat_within: (text) => `same alarm within ${text}`,
  // Phone
  phone_title: "My pages", phone_empty: "No page needs you", phone_empty_text: "New pages appear here.", phone_engaged: "Taken over by me, not finished", page_title: "Page", what_happened: "What happened", last_readings: "Last readings", accept: "I take over", decline: "I cannot", decline_title: "I cannot take over", decline_reason: "Reason", decline_reasons: ["With another patient", "Outside my area", "Needs senior support", "Cannot reach the elder"], decline_go: "Confirm", decline_needed: "Choose or write a reason",
  ended_as: (what) => `Finished: ${what}`, accepted_done: "You took over. The alarm desk sees it.", arrived_done: (at) => `You arrived at ${at}. The alarm desk sees it.`, accepted_other: (name) => `${name} took over.`, declined_done: "The alarm desk knows you cannot take over.", superseded: "This page was cancelled. Nothing to do.", call: (number) => `Call ${number}`, queued: "Sent", repeat_n: (n) => `page no. ${n}`, updated: (at) => `Updated ${at}`, poll_failed: "No connection just now: this may be out of date", poll_failed_since: (at) => `No connection just now: this is as of ${at}`, sending: "Sending…",
  // Administration
  custody: "Missing and lost data", custody_text: "Every frame of a gateway is numbered: what did not come is asked for again, what is certainly lost has its cause.", custody_none: "Nothing is missing", custody_sums: (frames, readings) => `${frames} frames declared lost, ${readings} readings removed by thinning`,
  gap_range: "Frame numbers", gap_missing: "Missing", gap_lost: "Lost", gap_since: "Found", gap_asks: "Asked", ask_again: "Ask again", said_asked: "Asked again", losses: "Declared losses", lane: "Lane", by_whom: "Declared by", by_server: "Server", by_gateway: "Gateway", thinned: (kept, all) => `thinned: ${kept} of ${all} readings kept`,
  gap_state: { open: "Not asked yet", asked: "Asked", filled: "Came", lost: "Lost" },
  loss_cause: { disk_budget: "Gateway storage full", corrupt: "Storage damaged", outbox_lost: "Outbox lost", acknowledged: "Delivered, then missing at the server", flooding: "Device floods", overflow: "Buffer overflow" },
  gateways: "Gateways", gateways_text: "Connection, versions and health of every gateway. Administrators push configuration and the list of devices; rules are pushed by themselves. In force is what the gateway has confirmed.", gateways_none: "No gateway is registered yet", site: "Site", seen: "Last seen", firmware: "Firmware", versions: "Versions (in force / wanted)", gateway_health: "Health", unsent: "Oldest unsent", gateway_states: { up: "Online", sleeping: "Asleep", lost: "Offline" }, gateway_new: "Never connected", gateway_disabled: "Disabled", push_words: { config: "Configuration", rules: "Rules", devices: "Devices" }, push_refused: (reason) => `refused: ${reason}`, push_waits: "not confirmed yet", gateways_more: (n) => `Only the first ${n} are shown`,
  admin_title: "Administration", unattributed: "Unbound devices", unattributed_text: "Readings of these devices are kept, but belong to no elder, so they are not judged.", unattributed_none: "Every device is bound", quarantine: "Quarantined frames", quarantine_text: "Frames that could not be read are kept here and can be replayed after a fix.", quarantine_none: "No frame in quarantine", gateway: "Gateway", topic: "Topic", cause: "Cause", size: "Size", received: "Received", replay: "Replay", replayed: "Replayed", said_replayed: "Replay requested", health: "System health", health_ok: "OK", health_bad: "Not OK", check: "Check", state: "State", detail_col: "Detail", bytes: (n) => `${n} bytes`,
  // Health cabins
  nav_cabin: "Cabin queue", cabin_title: "Measurements without a person", cabin_text: "Measured at shared devices by somebody unknown. The values are kept; given to an elder they go to the record and are judged again.", cabin_empty: "No measurement waits", cabin_empty_text: "Every measurement at a shared device has its person.",
  cabin_choose: "Choose", cabin_choose_one: (place, at) => `Choose ${place} ${at}`, cabin_values: "Values", cabin_waveform: "(with a waveform)", cabin_before: (name, at) => `handled before by ${name}, ${at}`,
  cabin_give: (n) => (n === 1 ? "Give 1 measurement" : `Give ${n} measurements`), cabin_find: "Find the elder by name or number", cabin_elder_needed: "Choose an elder", cabin_reasons: ["Confirmed in person", "Forgot to sign in", "Another's card was used"], cabin_remember: "From now on this card or code means this elder", cabin_go: "Give", cabin_moved: (n) => (n === 1 ? "1 measurement given" : `${n} measurements given`),
  numbers: numbersEn,
  trend: trendsEn,
  writer: writerEn,
  handling_more: handlingEn,
  rules_more: rulesEn,
  rota: rotaEn,
  // Words of the model
  hooks: { command: "Local program", gpio: "Siren or lamp", http: "Device in the same network" },
  sex: { male: "male", female: "female", unknown: "unknown" },
  priority: { P1: "Urgent", P2: "High", P3: "Attention", T: "Technical" },
  condition: { present: "Present", cleared: "Cleared", unknown: "Data lost" },
  handling: { open: "Unclaimed", claimed: "Claimed", engaged: "Accepted", resolved: "Resolved", closed: "Closed", parked: "Parked", void: "Void" },
  outcomes: { true_emergency: "True emergency, helped", true_handled: "True, handled", referred: "Referred", false_alarm: "False alarm", test: "Test", no_answer: "No answer, passed on" },
  channels: { webhook: "push", console: "screen", wecom_app: "WeCom", wecom_robot: "WeCom group", dingtalk: "DingTalk group", feishu: "Feishu group", aliyun_sms: "SMS (Aliyun)", aliyun_voice: "call (Aliyun)", tencent_sms: "SMS (Tencent)", tencent_voice: "call (Tencent)", smtp: "e-mail", command: "program", demo: "demo phone" },
  attempt_results: { sending: "sending", accepted: "received", retry: "failed, will retry", refused_person: "refused by the receiver", refused_config: "channel set up wrongly", in_doubt: "outcome unknown" },
  page_states: { queued: "Queued", sending: "Sending", provider_accepted: "Sent", delivered: "Delivered", read: "Read", accepted: "Accepted", declined: "Declined", temp_failed: "Retrying", perm_failed: "Failed", in_doubt: "In doubt", superseded: "Cancelled", marked_false: "Answered: false alarm", expired: "Expired" },
  qualities: { ok: "OK", motion: "moving", low_battery: "low battery", clock_suspect: "time in doubt", unit_suspect: "unit in doubt", out_of_range: "out of range", questionable: "in doubt", noisy: "noisy signal", absent: "no value", sensor_off: "sensor off", measurement_failed: "measurement failed", lead_off: "lead off", over_range: "over range", under_range: "under range", special_value: "special value" },
};
