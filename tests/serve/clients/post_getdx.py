"""Posts runs to a collector by PyPI's client of DX, and prints its answers. Usage: post_getdx.py URL, with the token in DX_TOKEN."""

import json
import os
import sys

from getdx import DXClient, DXDataCloudConfig
from getdx.errors import DXAPIError

ARGUMENTS = {
    "pipeline_name": "integration_tests",
    "pipeline_source": "CircleCI",
    "reference_id": "getdx-1",
    "started_at": "2025-01-01T12:05:00",
    "finished_at": "2025-01-01T12:10:00",
    "status": "success",
    "repository": "getdx/some_repo",
    "commit_sha": "ab" * 20,
    "pr_number": 7,
    "head_branch": "main",
    "email": "john@getdx.com",
}


def post(token, **changed):
    """The answer to an upsert: its JSON, or the name and the status of the error that the client makes of it."""
    config = DXDataCloudConfig(token=token, base_url=sys.argv[1] + "/api")
    with DXClient(data_cloud=config) as client:
        try:
            return client.data_cloud.pipeline_runs.upsert(**(ARGUMENTS | changed))
        except DXAPIError as error:
            return [type(error).__name__, getattr(error, "status_code", None)]


token = os.environ["DX_TOKEN"]
print(
    json.dumps(
        {
            "run": post(token),
            "unix times": post(token, reference_id="getdx-2", started_at=1735733100, finished_at=1735733400, status="aborted"),
            "wrong time": post(token, started_at="soon"),
            "wrong token": post("wrong"),
        }
    )
)
