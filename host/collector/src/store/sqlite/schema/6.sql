-- Statistics of a pipeline are read from this index alone. The id keeps the order of lists.
DROP INDEX runs_by_pipeline;
CREATE INDEX runs_by_pipeline ON runs (pipeline, place, id, branch, status, started, finished);

-- The attempts of a commit in a pipeline.
CREATE INDEX runs_by_attempt ON runs (pipeline, commit_sha, status) WHERE commit_sha IS NOT NULL;
