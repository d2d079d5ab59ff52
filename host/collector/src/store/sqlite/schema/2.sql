-- Whether there were policies when a notification was kept, and whether they hold it: then it is no reason to tell DX of its run.
ALTER TABLE notifications ADD COLUMN by_policies INTEGER NOT NULL DEFAULT 0;
ALTER TABLE notifications ADD COLUMN held INTEGER NOT NULL DEFAULT 0;

-- A digest of the record that DX accepted last.
ALTER TABLE runs ADD COLUMN sent TEXT;

-- Runs that DX refused for good.
CREATE INDEX runs_refused ON runs (place) WHERE waiting_since IS NULL AND json_extract(dx_answer, '$.accepted') = 0;
