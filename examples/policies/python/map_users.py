"""A policy in Python: DX learns people by the user names that it knows them by, and never by one of a service account.

Collectors also learn the team of the person who started a run: an attribute, which DX has no field for.
"""

import dataclasses

from wit_world import exports
from wit_world.imports import hooks
from wit_world.imports.types import Attribute, Notification, Verdict, Verdict_Discard

# From the version control system's names to DX's.
USERS = {"mona": "mona.lisa", "octo": "octo.cat"}
TEAMS = {"mona": "payments"}
# Whose runs DX is not told of.
SERVICE_ACCOUNTS = {"renovate[bot]", "dependabot[bot]"}


def mapped(said: Notification) -> Notification:
    return dataclasses.replace(
        said,
        github_username=USERS.get(said.github_username, said.github_username),
        gitlab_username=USERS.get(said.gitlab_username, said.gitlab_username),
        attributes=with_team(said),
    )


def with_team(said: Notification) -> list[Attribute]:
    team = TEAMS.get(said.github_username)
    if team is None:
        return said.attributes
    return [one for one in said.attributes if one.key != "team"] + [Attribute("team", team)]


def by_service_account(said: Notification) -> bool:
    return said.github_username in SERVICE_ACCOUNTS


class Hooks(exports.Hooks):
    """The next plugin in line sees what this one passes on, and its verdict goes back unchanged. So do its violations, which it raises."""

    def pipeline_start(self, event: Notification) -> Verdict:
        if by_service_account(event):
            return Verdict_Discard(f"{event.github_username} is no person")
        return hooks.pipeline_start(mapped(event))

    def step(self, event: Notification) -> Verdict:
        return hooks.step(mapped(event))

    def pipeline_finish(self, history: list[Notification]) -> Verdict:
        for event in history:
            if by_service_account(event):
                return Verdict_Discard(f"{event.github_username} is no person")
        return hooks.pipeline_finish([mapped(event) for event in history])
