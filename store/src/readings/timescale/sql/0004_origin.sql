-- Retention asks for what came before an instant; the key begins with the subject.
CREATE INDEX origin_ts ON origin (ts);
