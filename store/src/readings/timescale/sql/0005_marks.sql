-- No mark of a row that was moved to another subject holds its value any more. Those that older programs wrote lose it before the
-- first person is deleted.
ALTER TABLE state ADD COLUMN marks_blank boolean NOT NULL DEFAULT false;
-- A new schema has none.
UPDATE state SET marks_blank = NOT EXISTS (SELECT FROM reading);
