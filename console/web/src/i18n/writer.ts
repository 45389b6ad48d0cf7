/** Words of how readings are stored. */
export const writerZh = {
  title: "读数入库", text: "读数先落入日志,再由写入器存入读数库。读数库停止不影响告警:读数在日志中等待,恢复后新读数优先,积压随后补写。", none: "还没有读数:第一台设备上传后,这里显示写入情况。",
  states: { starting: "正在连接读数库", failing: "读数库不接收,读数在日志中等待", draining: "正在补写积压", live: "实时" } as Record<string, string>,
  stores: { embedded: "内置库(SQLite)", timescale: "数据库服务器(PostgreSQL / TimescaleDB)" } as Record<string, string>,
  causes: {
    unreachable: "连接不上", timed_out: "超时", read_only: "只读", disk_full: "磁盘已满", locked: "被占用", refused: "数据被拒绝", too_large: "单批过大", paused: "正在备份", busy: "连接数已满", denied: "权限不足", damaged: "文件损坏", too_many_series: "序列过多", server_unfit: "服务器版本不符", foreign: "不是守望的库", newer: "库的版本更新", server: "服务器出错", file: "文件读写出错", other: "其他",
  } as Record<string, string>,
  trouble: (cause: string, since: string) => `${cause},自 ${since} 起`, waiting: (n: string) => `${n} 条日志等待入库`,
  progress: "补写进度", drained: (share: string, left: string) => `已补写 ${share},还剩 ${left} 条日志`, eta: (text: string) => `约 ${text}后完成`, eta_unknown: "暂时估计不出完成时间",
  lane: "队列", live: "实时", backlog: "积压", entries: "等待(日志条数)", lag: "滞后", rate: "每秒读数", batch: "每批读数", ranges: (n: number) => `${n} 段`,
  rows: "已存读数", size: "占用空间", per_reading: "每条读数", per_sealed: "压缩后每条读数", unknown: "未知", bytes: (n: string) => `${n} 字节`, oldest: "最早未入库的读数", all_stored: "全部已入库", waits: (text: string) => `已等待 ${text}`, worst: "近一分钟最大实时滞后", commit: "事务用时(中位 / 95 分位)", below: (text: string) => `不超过 ${text}`, above: (text: string) => `超过 ${text}`,
  retries: "失败后重试", no_retries: "没有失败", refused: "被拒收的日志条目", refused_none: "没有", refused_some: (n: string) => `${n} 条,见 readings-refused.ndjson`, cursors_why: "日志为每个读取者保留其存档点之后的条目:告警引擎每隔一阵存档一次,重启后从存档点重放,数千条属正常;尚未判断的条数见上方“系统状态”。", cursors: "各读取者的滞后", cursor: "读取者", cursor_lag: "落后(日志条数)",
  readers: { writer: "读数写入", alerting: "告警引擎", ledger: "帧台账", backup: "备份" } as Record<string, string>, per_second: (n: string) => `${n} 条/秒`, moment: (n: string) => `${n} 秒`, ms: (n: string) => `${n} 毫秒`,
};

export const writerEn: typeof writerZh = {
  title: "Storing readings", text: "Readings go into the journal first, and from there into the readings store. Alarms do not wait for the store: while it is away readings wait in the journal; when it is back new ones go first and the backlog follows.", none: "No readings yet: this shows how they are stored once the first device sends.",
  states: { starting: "Connecting to the readings store", failing: "The readings store takes nothing; readings wait in the journal", draining: "Storing the backlog", live: "Live" },
  stores: { embedded: "Embedded (SQLite)", timescale: "Database server (PostgreSQL / TimescaleDB)" },
  causes: {
    unreachable: "Not reachable", timed_out: "Timed out", read_only: "Read-only", disk_full: "Disk full", locked: "Locked", refused: "Readings refused", too_large: "Batch too large", paused: "A backup is running", busy: "No connection left", denied: "Permission missing", damaged: "File damaged", too_many_series: "Too many series", server_unfit: "Server's version does not fit", foreign: "Not a store of Vigil", newer: "The store is of a newer version", server: "Error of the server", file: "Error of a file", other: "Other",
  },
  trouble: (cause, since) => `${cause}, since ${since}`, waiting: (n) => `${n} entries of the journal wait`,
  progress: "Progress of the backlog", drained: (share, left) => `${share} stored, ${left} entries left`, eta: (text) => `about ${text} to go`, eta_unknown: "no end in sight yet",
  lane: "Queue", live: "Live", backlog: "Backlog", entries: "Waiting (entries)", lag: "Lag", rate: "Readings a second", batch: "Readings a batch", ranges: (n) => `${n} stretches`,
  rows: "Readings stored", size: "Space", per_reading: "A reading", per_sealed: "A reading, compressed", unknown: "not known", bytes: (n) => `${n} bytes`, oldest: "Oldest reading not stored", all_stored: "all are stored", waits: (text) => `waits for ${text}`, worst: "Worst live lag of the last minute", commit: "Time of a transaction (median / P95)", below: (text) => `at most ${text}`, above: (text) => `over ${text}`,
  retries: "Tried again after", no_retries: "no failure", refused: "Refused entries", refused_none: "none", refused_some: (n) => `${n}, in readings-refused.ndjson`, cursors_why: "The journal keeps, for each reader, what came after its checkpoint. The alarm engine makes one every so often and replays from it after a restart: thousands of entries are normal. What is not judged yet stands above, under state of the system.", cursors: "Lag of each reader", cursor: "Reader", cursor_lag: "Behind (entries)",
  readers: { writer: "Storing readings", alerting: "Alarm engine", ledger: "Ledger of frames", backup: "Backup" }, per_second: (n) => `${n}/s`, moment: (n) => `${n} s`, ms: (n) => `${n} ms`,
};
