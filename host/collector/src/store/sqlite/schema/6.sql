-- Statistics of a pipeline are read from this index alone. The id keeps the order of lists.
DROP INDEX runs_by_pipeline;
CREATE INDEX runs_by_pipeline ON runs (pipeline, place, id, branch, status, started, finished, commit_sha);

-- The attempts of a commit in a pipeline, and their results: whether a run is flaky must not depend on the number of runs that the commit has.
CREATE INDEX runs_by_attempt ON runs (pipeline, commit_sha, status, place) WHERE commit_sha IS NOT NULL;

-- Commits that are no hexadecimal numbers. A search for other text looks at these alone.
CREATE INDEX runs_by_odd_commit ON runs (commit_sha) WHERE commit_sha GLOB '*[^0-9a-fA-F]*';
