"""Who signs in by an account elsewhere: nobody unknown, and nobody as more than a Viewer.

What an expression gives somebody is asked of the library that Grafana has, as Grafana asks it: of
the person's profile, and where that gives nothing of the person's groups (searchRole in
pkg/login/social/connectors/social_base.go).
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from scripts import tools
from scripts.checks.rendered.access import at_setting
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json
from scripts.model.readers import Settings, grafana
from scripts.model.rendered import Cluster

TOOL = "jmespath"
GITHUB = "auth.github"
# What GitHub's `GET /user` answers, of what an expression may ask; what is not here is null.
# https://docs.github.com/en/rest/users/users#get-the-authenticated-user
STRANGER: Mapping[str, Json] = {
    "login": "stranger",
    "id": 1,
    "type": "User",
    "site_admin": False,
    "two_factor_authentication": True,
}
# Everybody writes these into a profile as they like, or can have as many as they like.
OWN_WORDS = ("bio", "blog", "company", "location", "name", "twitter_username")
OWN_NUMBERS = ("followers", "following", "public_gists", "public_repos")
MANY = 10**9
# Texts in an expression: raw, and in a literal of JSON.
_RAW = re.compile(r"'((?:[^'\\]|\\.)*)'")
_JSON = re.compile(r"`((?:[^`\\]|\\.)*)`")
_LOGIN = re.compile(r"[A-Za-z0-9](?:-?[A-Za-z0-9])*")
# More than a Viewer, and all roles that let somebody in.
HIGHER = frozenset({"admin", "editor", "grafanaadmin"})
ROLES = HIGHER | {"none", "viewer"}


class Judgement(NamedTuple):
    """What an expression gives.

    Attributes:
        error: Why it is none; empty for one.
        stranger: The role of somebody whom it does not name, or empty.
        listed: The roles of those whom it may name.
    """

    error: str
    stranger: str
    listed: frozenset[str]


def strangers_kept_out(cluster: Cluster) -> Iterator[Finding]:
    """GitHub's accounts are those of an organisation, a team or a list, not every one there is."""
    for settings in _with_github(cluster):
        teams = re.split(r"[\s,]+", settings.get(GITHUB, "team_ids").strip(' []"'))
        wrong = [team for team in teams if team and not team.strip('"').isdigit()]
        if wrong:
            text = (
                f"team_ids has {wrong[0]}, which is no number: Grafana then asks for no team at all"
            )
            fix = "write the teams' numbers: `gh api orgs/<organization>/teams` shows them as id"
            yield at_setting(cluster, settings, GITHUB, "team_ids", text, fix)
        restricted = settings.get(GITHUB, "allowed_organizations") or any(teams)
        if restricted:
            continue
        expression = settings.get(GITHUB, "role_attribute_path")
        role = judged(expression).stranger if expression else ""
        if role or not settings.on(GITHUB, "role_attribute_strict"):
            text = f"whoever has an account of GitHub signs in, as {role or 'what is the default'}"
            if expression and not role:
                text += ": without role_attribute_strict, also who gets no role by the expression"
            # https://github.com/grafana/grafana/blob/main/pkg/login/social/connectors/github_oauth.go
            if settings.get(GITHUB, "allowed_domains"):
                text += "; allowed_domains does not help, as GitHub's e-mail addresses are taken "
                text += "without asking whether they are verified"
            fix = (
                "set allowed_organizations, or team_ids, or a list of logins with "
                "role_attribute_strict: true and role_attribute_path: "
                "contains(['octocat', 'hubot'], login) && 'Viewer'"
            )
            key = "role_attribute_path" if role else "role_attribute_strict"
            yield at_setting(cluster, settings, GITHUB, key, text, fix)


def only_viewers(cluster: Cluster) -> Iterator[Finding]:
    """Nobody who signs in with GitHub is more than a Viewer, and somebody is one."""
    viewer = "let it give 'Viewer' alone: people change dashboards in git"
    for settings in _with_github(cluster):
        if settings.on(GITHUB, "allow_assign_grafana_admin"):
            text = "an account of GitHub may become an administrator of the server"
            fix = "remove allow_assign_grafana_admin"
            yield at_setting(cluster, settings, GITHUB, "allow_assign_grafana_admin", text, fix)
        role = settings.get("users", "auto_assign_org_role").strip().lower()
        if role in HIGHER:
            text = f"whom the expression gives no role, and who is there no more, is {role}"
            fix = "remove users.auto_assign_org_role: Viewer is the default"
            yield at_setting(cluster, settings, "users", "auto_assign_org_role", text, fix)
        mapped = settings.get(GITHUB, "org_mapping")
        if any(name in mapped.lower() for name in HIGHER):
            text = f"org_mapping makes people more than Viewers: {mapped}"
            yield at_setting(cluster, settings, GITHUB, "org_mapping", text, "remove org_mapping")
        if settings.on(GITHUB, "skip_org_role_sync"):
            text = "roles are not taken from GitHub, so one that somebody once got stays"
            fix = "remove skip_org_role_sync"
            yield at_setting(cluster, settings, GITHUB, "skip_org_role_sync", text, fix)
        expression = settings.get(GITHUB, "role_attribute_path")
        if not expression:
            continue
        found, key = judged(expression), "role_attribute_path"
        named = {text.lower() for text in texts(expression)} & HIGHER
        given = named | ({found.stranger.lower(), *map(str.lower, found.listed)} & HIGHER)
        if found.error:
            text = f"is no JMESPath expression, so nobody gets a role: {found.error}"
            fix = "write a text in single quotes: contains(['octocat', 'hubot'], login) && 'Viewer'"
            yield at_setting(cluster, settings, GITHUB, key, text, fix)
        elif given:
            text = f"makes somebody {', '.join(sorted(given))}: {expression}"
            yield at_setting(cluster, settings, GITHUB, key, text, viewer)
        elif not {found.stranger, *found.listed} & {"Viewer", "viewer"}:
            text = f"gives nobody the role Viewer: {expression}"
            yield at_setting(cluster, settings, GITHUB, key, text, viewer)


@functools.cache
def judged(expression: str) -> Judgement:
    """Return what a role_attribute_path gives a stranger, and those whom it may name.

    A stranger writes into a profile whatever the expression looks for, and takes a login that
    begins or ends with it.

    Raises:
        RepositoryError: If the tool stops with an error.
    """
    named = texts(expression)
    strangers = [{**STRANGER}]
    for text in named:
        words = dict.fromkeys(OWN_WORDS, text) | dict.fromkeys(OWN_NUMBERS, MANY)
        made = (f"{text}x", f"{text}-x", f"x{text}", f"x-{text}")
        logins = [login for login in made if _LOGIN.fullmatch(login)]
        strangers += [{**STRANGER, **words, "login": login} for login in ("stranger", *logins)]
    strangers.append({**STRANGER, **dict.fromkeys(OWN_NUMBERS, MANY)})
    listed: list[Mapping[str, Json]] = [{**STRANGER, "login": text} for text in named]
    groups = [{"groups": [text]} for text in named]
    answer = _asked(expression, [*strangers, {"groups": []}, *listed, *groups])
    if "error" in answer:
        return Judgement(str(answer["error"]), "", frozenset())
    found, count = [str(one) for one in answer["found"]], len(strangers) + 1
    let_in = [role for role in found[:count] if role.lower() in ROLES]
    # The highest, as that is the worst.
    let_in.sort(key=lambda role: role.lower() not in HIGHER)
    return Judgement("", let_in[0] if let_in else "", frozenset(filter(None, found[count:])))


def texts(expression: str) -> list[str]:
    """Return the texts that an expression has, each once."""
    found = [match[1].replace("\\'", "'") for match in _RAW.finditer(expression)]
    for match in _JSON.finditer(expression):
        found += re.findall(r'"((?:[^"\\]|\\.)*)"', match[1])
    return list(dict.fromkeys(found))


def _asked(expression: str, documents: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
    question = json.dumps({"expression": expression, "documents": documents})
    run = tools.run(TOOL, stdin=question)
    if run.returncode:
        text = f"stops with an error: {' '.join(run.stderr.split())[-400:]}"
        fix = "correct role_attribute_path, or report it with the expression"
        raise RepositoryError(Finding(f"scripts/tools/{TOOL}", None, text, fix))
    answer: dict[str, Json] = json.loads(run.stdout)
    return answer


def _with_github(cluster: Cluster) -> Iterator[Settings]:
    yield from (settings for settings in grafana(cluster) if settings.on(GITHUB, "enabled"))
