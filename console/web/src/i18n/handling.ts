/** Words of handling an alarm: hand-over, parking, somebody on the way, and outages. */
export const handlingZh = {
  more: "更多操作", hand_over: "移交", hand_over_to: "移交给", hand_over_go: "移交", offered: (name: string, s: number) => `已向 ${name} 移交,等待对方接受(${s} 秒)`, offered_me: (name: string) => `${name} 向您移交此告警`, accept: "接受", decline: "不接受", take_now: "请在一分钟内接受,否则退回",
  park: "搁置", park_for: "搁置时长", park_reason: "搁置原因", park_go: "搁置", parked: (until: string, reason: string) => `已搁置至 ${until}:${reason}`, park_for_min: (n: number) => (n < 60 ? `${n} 分钟` : `${n / 60} 小时`),
  dispatch: "派人上门", who: "派谁", who_other: "其他人(写明是谁)", dispatch_go: "已派出", sent: (who: string) => `${who} 正在前往`, arrive_by: (at: string) => `应于 ${at} 前到达`, overdue: "到达超时", arrived: "已到达", arrived_at: (at: string) => `${at} 已到达`,
  reopen: "重新打开", reopen_reason: "为什么重新打开", void: "作废", void_reason: "作废原因", void_test: "测试", void_wrong: "人员有误", void_note: "说明", go: "确定", needed: "请填写", done: "已记录", helpers_none: "没有可选的人",
  next: (step: number, at: string, names: string, channels: string) => `${at} 升级到第 ${step} 级:${names}(${channels})`, next_nobody: (step: number, at: string) => `${at} 升级到第 ${step} 级:目前无人可寻呼`, level: (n: number) => `已升至第 ${n} 级`, next_title: "接下来",
  incident: "停联事件", incident_gateway: (name: string, n: number) => `网关 ${name} 停联,${n} 位老人无人看护`, incident_site: (name: string, n: number) => `${name} 整片停联,${n} 位老人无人看护`, incident_since: (at: string) => `自 ${at}`, unwatched: "无人看护的老人(按风险)", risk: "风险", high_risk: "高风险", ability: (n: number) => `能力 ${n} 级`, alone: "独居", silent_since: "最后有数据", in_incident: "已归入停联事件", storm: (n: number) => `报警潮:10 分钟内 ${n} 条。同一原因的已合并显示,紧急告警始终单列。`,
};

export const handlingEn: typeof handlingZh = {
  more: "More", hand_over: "Hand over", hand_over_to: "Hand over to", hand_over_go: "Offer", offered: (name, s) => `Offered to ${name}, waiting (${s} s)`, offered_me: (name) => `${name} hands this alarm over to you`, accept: "Accept", decline: "Decline", take_now: "Accept within a minute, or it goes back",
  park: "Park", park_for: "For", park_reason: "Why", park_go: "Park", parked: (until, reason) => `Parked until ${until}: ${reason}`, park_for_min: (n) => (n < 60 ? `${n} min` : `${n / 60} h`),
  dispatch: "Send somebody", who: "Whom", who_other: "Somebody else (say who)", dispatch_go: "Sent", sent: (who) => `${who} is on the way`, arrive_by: (at) => `to arrive by ${at}`, overdue: "arrival overdue", arrived: "Arrived", arrived_at: (at) => `arrived at ${at}`,
  reopen: "Reopen", reopen_reason: "Why is it opened again", void: "Void", void_reason: "Why is it void", void_test: "A test", void_wrong: "The wrong person", void_note: "Note", go: "Do it", needed: "Please fill in", done: "Written down", helpers_none: "Nobody to choose",
  next: (step, at, names, channels) => `${at}: step ${step}, ${names} (${channels})`, next_nobody: (step, at) => `${at}: step ${step}, nobody to page at present`, level: (n) => `Level ${n}`, next_title: "Next",
  incident: "Outage", incident_gateway: (name, n) => `Gateway ${name} is out of reach: ${n} elders unwatched`, incident_site: (name, n) => `${name} is out of reach: ${n} elders unwatched`, incident_since: (at) => `since ${at}`, unwatched: "Unwatched elders, by risk", risk: "Risk", high_risk: "High risk", ability: (n) => `ability ${n}`, alone: "lives alone", silent_since: "Last heard", in_incident: "Part of an outage", storm: (n) => `Flood of alarms: ${n} in 10 minutes. Those of one cause are shown together; urgent ones always by themselves.`,
};
