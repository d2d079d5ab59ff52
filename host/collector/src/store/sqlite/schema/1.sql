-- Times are milliseconds since 1970, UTC. A status is its rank in DX's priorities: 0 unknown, 1 running, 2 success, 3 cancelled, 4 failure.

-- The next id to be given out, of whatever kind. One row.
CREATE TABLE sequence (next INTEGER NOT NULL) STRICT;
INSERT INTO sequence VALUES (1);

-- A pipeline stays when its runs are removed: its counters are never used again. The counts spare every page a count over all runs.
CREATE TABLE pipelines (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    last_counter INTEGER NOT NULL,
    last_changed INTEGER NOT NULL,
    unknown INTEGER NOT NULL DEFAULT 0,
    running INTEGER NOT NULL DEFAULT 0,
    success INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0,
    failure INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    reference_id TEXT NOT NULL UNIQUE,
    pipeline INTEGER NOT NULL REFERENCES pipelines (id),
    counter INTEGER NOT NULL,
    -- The start, or the first arrival where that was earlier: what lists are ordered by.
    place INTEGER NOT NULL,
    status INTEGER NOT NULL,
    started INTEGER NOT NULL,
    finished INTEGER,
    -- Its number among the completed runs; none while it is running or unknown.
    completion INTEGER,
    branch TEXT,
    email TEXT,
    github TEXT,
    gitlab TEXT,
    first_arrived INTEGER NOT NULL,
    last_arrived INTEGER NOT NULL,
    notifications INTEGER NOT NULL,
    text_bytes INTEGER NOT NULL,
    -- Of how many notifications the record is the fold; fewer than there are where folding follows later.
    folded INTEGER NOT NULL,
    -- Since when DX does not know everything; none when it does.
    waiting_since INTEGER,
    -- Of how many notifications, from the first, it knows.
    covered INTEGER NOT NULL DEFAULT 0,
    dx_answer TEXT,
    record TEXT NOT NULL
) STRICT;

CREATE INDEX runs_by_place ON runs (place);
CREATE INDEX runs_by_pipeline ON runs (pipeline, place);
CREATE UNIQUE INDEX runs_by_counter ON runs (pipeline, counter);
CREATE INDEX runs_by_completion ON runs (pipeline, completion) WHERE completion IS NOT NULL;
CREATE INDEX runs_by_status ON runs (status, place);
CREATE INDEX runs_by_branch ON runs (branch, place) WHERE branch IS NOT NULL;
CREATE INDEX runs_by_email ON runs (email, place) WHERE email IS NOT NULL;
CREATE INDEX runs_by_github ON runs (github, place) WHERE github IS NOT NULL;
CREATE INDEX runs_by_gitlab ON runs (gitlab, place) WHERE gitlab IS NOT NULL;
CREATE INDEX runs_waiting ON runs (waiting_since) WHERE waiting_since IS NOT NULL;
CREATE INDEX runs_to_fold ON runs (id) WHERE folded < notifications;

-- The key is the run's id times 16,384, plus the number of the notification within the run, from 0: a run's notifications lie together,
-- in their order, without an index of their own.
CREATE TABLE notifications (
    key INTEGER PRIMARY KEY,
    arrived INTEGER NOT NULL,
    token TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;

-- The steps of a run. The empty name is the run itself.
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs (id),
    name TEXT NOT NULL,
    UNIQUE (run, name)
) STRICT;
