-- Statistics of a pipeline are read from this index alone. The id keeps the order of lists.
DROP INDEX runs_by_pipeline;
CREATE INDEX runs_by_pipeline ON runs (pipeline, place, id, branch, status, started, finished);

-- The attempts of a commit in a pipeline are found without reading the runs of other pipelines.
DROP INDEX runs_by_commit;
CREATE INDEX runs_by_commit ON runs (commit_sha, place, id, pipeline) WHERE commit_sha IS NOT NULL;

-- The results of a commit in a pipeline: whether a run is flaky must not depend on the number of runs that the commit has.
CREATE INDEX results_by_commit ON runs (commit_sha, pipeline, status) WHERE commit_sha IS NOT NULL AND status IN (2, 4);
