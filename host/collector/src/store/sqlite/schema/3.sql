-- The notifications that stand for all of a run's when more are folded, as JSON; empty where the record stands for them. None in a run that
-- was kept before there was this column: its notifications are read when the next one comes.
ALTER TABLE runs ADD COLUMN parts TEXT;
