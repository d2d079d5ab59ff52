-- Jobs, as DX has them: the name is the one that is unique in the run. A job is one row, replaced by its fold with each report. The row of the
-- run itself has no body; of a step that an older version kept, it has none until it is folded when the database is opened.
ALTER TABLE jobs ADD COLUMN body TEXT;
-- Whether the start is the time of receipt, because none was given.
ALTER TABLE jobs ADD COLUMN assumed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN by_policies INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
-- Since when DX does not have this state; none when it has, or is not to get it.
ALTER TABLE jobs ADD COLUMN waiting_since INTEGER;
-- When DX refused it last: others go first.
ALTER TABLE jobs ADD COLUMN tried INTEGER NOT NULL DEFAULT 0;
-- A digest of the request that DX answered for good.
ALTER TABLE jobs ADD COLUMN sent TEXT;

CREATE INDEX jobs_waiting ON jobs (run, tried, id) WHERE waiting_since IS NOT NULL;
CREATE INDEX jobs_to_fold ON jobs (run) WHERE body IS NULL AND name <> '';

-- The number of a run's jobs, and the bytes of their texts.
ALTER TABLE runs ADD COLUMN jobs INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN job_bytes INTEGER NOT NULL DEFAULT 0;

-- The record stands for all notifications.
ALTER TABLE runs DROP COLUMN parts;
