"""A source in Python: the deliveries of Kiln, a CI system that is made up."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.translating import Delivery, Translation, Translation_Ignored, Translation_Notifications
from wit_world.exports.types import Notification

# DX's words for Kiln's results. What is not known yet, or not known to this source, has none.
STATUS = {"passed": "success", "failed": "failure", "stopped": "cancelled", "running": "running"}


def notification(build, **fields) -> Notification:
    """A notification of this run. What is not given is absent."""
    absent = dict.fromkeys(
        (
            "started_at",
            "finished_at",
            "status",
            "repository",
            "commit_sha",
            "pr_number",
            "source_url",
            "head_branch",
            "email",
            "github_username",
            "gitlab_username",
            "step",
            "step_id",
        )
    )
    return Notification(
        pipeline_name=build["pipeline"],
        pipeline_source="Kiln",
        reference_id=f"kiln/{build['repository']}/{build['id']}",
        allowed_to_fail=False,
        urgent=False,
        attributes=[],
        **{**absent, **fields},
    )


def notifications(build) -> list[Notification]:
    """One notification of the run, and one of each step."""
    whole = notification(
        build,
        started_at=build["started"],
        finished_at=build.get("ended"),
        status=STATUS.get(build.get("result")),
        repository=build["repository"],
        commit_sha=build.get("commit"),
        pr_number=build.get("pull_request"),
        source_url=build["url"],
        head_branch=build.get("branch"),
        email=build.get("person"),
    )
    steps = [
        notification(
            build,
            step=step["name"],
            started_at=step.get("started"),
            finished_at=step.get("ended"),
            status=STATUS.get(step.get("result")),
        )
        for step in build.get("steps", [])
    ]
    return [whole, *steps]


class Translating(exports.Translating):
    def translate(self, delivery: Delivery) -> Translation:
        headers = {header.name: header.value for header in delivery.headers}
        settings = {setting.name: setting.value for setting in delivery.settings}
        event = headers.get("x-kiln-event")
        if event is None:
            raise Err("the header X-Kiln-Event is missing")
        if not event.startswith("build."):
            return Translation_Ignored(f"{event} is about no build")
        try:
            build = json.loads(delivery.body)["build"]
            only = settings.get("only", "")
            if not build["repository"].startswith(only):
                return Translation_Ignored(f"{build['repository']} is not below {only}")
            return Translation_Notifications(notifications(build))
        except (ValueError, KeyError, TypeError, AttributeError) as why:
            raise Err(f"the body is no event of Kiln: {why!r}")
