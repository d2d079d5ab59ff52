-- What lists are filtered by, besides the branch and the person.
ALTER TABLE runs ADD COLUMN source TEXT;
ALTER TABLE runs ADD COLUMN repository TEXT;
ALTER TABLE runs ADD COLUMN commit_sha TEXT;
ALTER TABLE runs ADD COLUMN pr_number INTEGER;
UPDATE runs SET source = json_extract(record, '$.pipeline_source'), repository = json_extract(record, '$.repository'),
    commit_sha = json_extract(record, '$.commit_sha'), pr_number = json_extract(record, '$.pr_number');

CREATE INDEX runs_by_source ON runs (source, place) WHERE source IS NOT NULL;
CREATE INDEX runs_by_repository ON runs (repository, place) WHERE repository IS NOT NULL;
CREATE INDEX runs_by_commit ON runs (commit_sha, place) WHERE commit_sha IS NOT NULL;
CREATE INDEX runs_by_pr ON runs (pr_number, place) WHERE pr_number IS NOT NULL;
