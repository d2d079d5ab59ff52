"""A source in Python: the deliveries of Kiln, a CI system that is made up."""

import json
from dataclasses import fields

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.translating import Delivery, Translation, Translation_Ignored, Translation_Notifications
from wit_world.exports.types import Notification

# DX's words for Kiln's results. What is not known yet, or not known to this source, has none.
STATUS = {"passed": "success", "failed": "failure", "stopped": "cancelled", "running": "running"}

# The fields of a notification about which nothing is known.
ABSENT = {field.name: None for field in fields(Notification)} | {
    "allowed_to_fail": False,
    "urgent": False,
    "attributes": [],
}


def value(of: dict, field: str, kind: type):
    """A value of the body, or None if it is missing or null. One of another type cannot become a notification, and would end the call."""
    found = of.get(field)
    if found is not None and (type(found) is not kind or kind is int and abs(found) >= 2**63):
        raise ValueError(f"{field} is no {kind.__name__}")
    return found


def required(of: dict, field: str, kind: type):
    found = value(of, field, kind)
    if found is None:
        raise ValueError(f"{field} is missing")
    return found


def notifications(build: dict) -> list[Notification]:
    """One notification of the run, and one of each step."""
    run = ABSENT | {
        "pipeline_name": required(build, "pipeline", str),
        "pipeline_source": "Kiln",
        "reference_id": f"kiln/{required(build, 'repository', str)}/{required(build, 'id', int)}",
    }
    whole = run | {
        "started_at": required(build, "started", str),
        "finished_at": value(build, "ended", str),
        "status": STATUS.get(value(build, "result", str)),
        "repository": build["repository"],
        "commit_sha": value(build, "commit", str),
        "pr_number": value(build, "pull_request", int),
        "source_url": required(build, "url", str),
        "head_branch": value(build, "branch", str),
        "email": value(build, "person", str),
    }
    steps = [
        run
        | {
            "step": required(step, "name", str),
            "started_at": value(step, "started", str),
            "finished_at": value(step, "ended", str),
            "status": STATUS.get(value(step, "result", str)),
        }
        for step in value(build, "steps", list) or []
    ]
    return [Notification(**known) for known in [whole, *steps]]


class Translating(exports.Translating):
    def translate(self, delivery: Delivery) -> Translation:
        headers = {header.name: header.value for header in delivery.headers}
        settings = {setting.name: setting.value for setting in delivery.settings}
        event = headers.get("x-kiln-event")
        if event is None:
            raise Err("the header X-Kiln-Event is missing")
        if not event.startswith("build."):
            return Translation_Ignored("the event is about no build")
        try:
            build = json.loads(delivery.body)["build"]
            only = settings.get("only", "")
            if not required(build, "repository", str).startswith(only):
                return Translation_Ignored(f"its repository is not below {only}")
            return Translation_Notifications(notifications(build))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as why:
            # A delivery that is no event of Kiln. Any other exception ends the call, and the delivery is tried again.
            raise Err(f"the body is no event of Kiln: {why}")
