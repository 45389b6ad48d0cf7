-- Figures about alarms are made from the history: what was raised, and what people did, by time.

CREATE INDEX alarm_event_by_time ON alarm_event (recorded_at);
