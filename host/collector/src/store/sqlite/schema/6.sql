-- Statistics of a pipeline are read from this index alone. The id keeps the order of lists.
DROP INDEX runs_by_pipeline;
CREATE INDEX runs_by_pipeline ON runs (pipeline, place, id, branch, status, started, finished, commit_sha);

-- The attempts of a commit in a pipeline are found without reading the runs of other pipelines.
DROP INDEX runs_by_commit;
CREATE INDEX runs_by_commit ON runs (commit_sha, place, id, pipeline) WHERE commit_sha IS NOT NULL;

-- The results of a commit in a pipeline: whether a run is flaky must not depend on the number of runs that the commit has. Only a run that ends
-- writes here.
CREATE INDEX results_by_commit ON runs (pipeline, commit_sha, status) WHERE commit_sha IS NOT NULL AND status IN (2, 4);

-- Commits that are no hexadecimal numbers. A search for other text looks at these alone.
CREATE INDEX runs_by_odd_commit ON runs (commit_sha) WHERE commit_sha GLOB '*[^0-9a-fA-F]*';
