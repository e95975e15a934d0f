"""Who may read more than before: strangers in Grafana, and whoever reaches a Service."""

from __future__ import annotations

from collections.abc import Mapping

from scripts.diff.analyzers.wording import transition
from scripts.diff.model import Analysis, Danger, Flag, Sentence
from scripts.diff.objects import ClusterPair
from scripts.model.readers import Settings, asks_for_a_password, grafana, is_grafana, ways_in

GITHUB = ("auth.github", "enabled")
# What each of Grafana's settings lets people do; those are on or off.
SWITCHES: Mapping[tuple[str, str], str] = {
    ("auth.anonymous", "enabled"): "Whoever reaches Grafana reads it, without a name.",
    ("auth.github", "allow_assign_grafana_admin"): "An account of GitHub may become server admin.",
    GITHUB: "Accounts of GitHub sign in.",
    ("auth.jwt", "enabled"): "Who somebody is, a token says: whoever signs those is trusted.",
    ("auth.proxy", "enabled"): "Who somebody is, a header says: the proxy must be the only way in.",
    ("auth", "disable_login_form"): "Passwords are of no use any more: is there another way in?",
    ("public_dashboards", "enabled"): "Dashboards may be shown to the world, without a login.",
    ("security", "allow_embedding"): "Other sites may show it in a frame, and lead clicks to it.",
    ("security", "disable_brute_force_login_protection"): "A password may be guessed for ever.",
    ("snapshots", "enabled"): "Whoever has a snapshot's address reads it, without a login.",
    ("users", "allow_sign_up"): "Whoever reaches Grafana makes an account, and reads.",
    ("users", "viewers_can_edit"): "Every Viewer gets Explore, and so every log line.",
}
# What keeps people's sessions and browsers safe; those are on or off.
GUARDS: Mapping[tuple[str, str], str] = {
    ("auth.github", "role_attribute_strict"): "Whoever gets no role by the expression gets in.",
    ("security", "content_security_policy"): "A script of somebody else's may run in the page.",
    ("security", "cookie_secure"): "The session's cookie is sent without encryption, too.",
    ("security", "strict_transport_security"): "Browsers may ask without encryption.",
}
# Who may sign in.
PEOPLE = (
    ("auth.github", "allowed_organizations"),
    ("auth.github", "role_attribute_path"),
    ("auth.github", "team_ids"),
)
# What says where accounts are kept.
DATABASE = tuple(("database", key) for key in ("host", "name", "type", "url"))
# Of those that name a role, from the narrowest.
ROLES = ("none", "viewer", "editor", "admin")
ROLE_OF: Mapping[tuple[str, str], str] = {
    ("auth.anonymous", "org_role"): "What strangers may do grows.",
    ("users", "auto_assign_org_role"): "What each new account may do grows.",
}
FIX = "Take it out, or be sure who reaches Grafana: logs are in it."


def settings(pair: ClusterPair) -> Analysis:
    """Find settings of Grafana that let more people read, or people more."""
    before = {str(one.item): one for one in grafana(pair.before)}
    for after in grafana(pair.after):
        old = before.get(str(after.item), Settings(after.item, {}))
        for place, why in SWITCHES.items():
            if after.on(*place) and not old.on(*place):
                why += _people(after) if place == GITHUB else ""
                yield Flag(Danger.GRAFANA_OPENED, f"Grafana {'.'.join(place)}", why, FIX)
        for place, why in GUARDS.items():
            asked = place[0] != GITHUB[0] or after.on(*GITHUB)
            if old.on(*place) and not after.on(*place) and asked:
                yield Flag(Danger.GRAFANA_OPENED, f"Grafana {'.'.join(place)}", why, FIX)
        for place in PEOPLE if after.on(*GITHUB) else ():
            if old.get(*place) != after.get(*place) and old.on(*GITHUB):
                text = f"{transition('Who may sign in', old.get(*place), after.get(*place))}."
                yield Flag(Danger.GRAFANA_OPENED, f"Grafana {'.'.join(place)}", text, FIX)
        for place, why in ROLE_OF.items():
            if _rank(after.get(*place)) > _rank(old.get(*place)):
                text = f"{transition('Role', old.get(*place), after.get(*place))}. {why}"
                yield Flag(Danger.GRAFANA_OPENED, f"Grafana {'.'.join(place)}", text, FIX)


def accounts(pair: ClusterPair) -> Analysis:
    """Compare which database each Grafana keeps its accounts in."""
    before = {str(one.item): one for one in grafana(pair.before)}
    for after in grafana(pair.after):
        old = before.get(str(after.item))
        kept = [[one.get(*place) for place in DATABASE] for one in (old, after) if one]
        if old and kept[0] != kept[1]:
            text = "Its database is another one: accounts, sessions and tokens start anew"
            yield Sentence("Grafana", text)


def exposed(pair: ClusterPair) -> Analysis:
    """Find Services that are reached from outside, and were not."""
    known = {(str(way.service), way.text) for way in ways_in(pair.before)}
    for way in ways_in(pair.after):
        if (str(way.service), way.text) not in known:
            who = "anybody: it asks for no password"
            if is_grafana(pair.after, way.service):
                who = "who has an account there"
            elif asks_for_a_password(pair.after, way.service):
                who = "who has a password"
            why = f"It is reached from outside of the cluster, as {way.text}, by {who}."
            fix = "Be sure that this is meant, and what your cloud bills for it."
            yield Flag(Danger.EXPOSED, str(way.service), why, fix)


def _people(settings: Settings) -> str:
    """Return what says who may sign in, as it is written."""
    said = [f"{key} is {value}" for s, key in PEOPLE if (value := settings.get(s, key))]
    return f" Who: {', '.join(said)}." if said else " Nothing says who."


def _rank(role: str) -> int:
    name = role.strip().lower()
    return ROLES.index(name) if name in ROLES else len(ROLES)
