"""Admission policies are in force, and act in our namespaces alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from scripts.core.findings import Finding, Violation
from scripts.core.yamlfile import Json, get, leaves
from scripts.model.manifests import NAMESPACES, ClusterSync, Repository

POLICY, BINDING = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"
ADMISSION_KINDS = frozenset({POLICY, BINDING})
# The API server sets it to the namespace's name, and lets nobody change it.
NAME_LABEL = "kubernetes.io/metadata.name"
SELECTOR = ("spec", "matchResources", "namespaceSelector")
# How an expression tells one namespace from another.
COMPARED = re.compile(r"request\.namespace\s*[!=]=\s*'([^']*)'")


def check(repository: Repository) -> list[Finding]:
    """Check every policy and every binding."""
    findings: list[Finding] = []
    for sync in repository.syncs:
        findings += repository.locate(sync, bound(sync))
        for item in sync.objects():
            if item["kind"] == BINDING:
                findings += repository.locate(sync, selects_our_namespaces(item))
            elif item["kind"] == POLICY:
                findings += repository.locate(sync, compares_with_our_namespaces(item))
    return findings


def bound(sync: ClusterSync) -> Iterator[Violation]:
    """A policy has a binding, without which it does nothing, and a binding has its policy."""
    policies = {o["metadata"]["name"] for o in sync.objects() if o["kind"] == POLICY}
    bindings = {
        o["metadata"]["name"]: get(o, "spec", "policyName")
        for o in sync.objects()
        if o["kind"] == BINDING
    }
    for name in sorted(policies - set(bindings.values())):
        text = "has no binding: it refuses nothing"
        yield Violation(POLICY, name, (), text, f"add a {BINDING} with policyName: {name}")
    for name, policy in bindings.items():
        if policy not in policies:
            fix = f"name one of {', '.join(sorted(policies)) or 'those that there are'}"
            text = f"binds the policy {policy}, which is not there"
            yield Violation(BINDING, name, ("spec", "policyName"), text, fix)


def selects_our_namespaces(binding: Mapping[str, Json]) -> Iterator[Violation]:
    """A binding selects namespaces by their names, and these are ours."""
    name = str(binding["metadata"]["name"])
    selector = get(binding, *SELECTOR) or {}
    lists = [
        expression.get("values") or []
        for expression in selector.get("matchExpressions") or []
        if (expression.get("key"), expression.get("operator")) == (NAME_LABEL, "In")
    ]
    if not lists:
        text = "does not name its namespaces: it would act in those of the application, too"
        fix = f"select {NAME_LABEL} with the operator In, and name {_list(NAMESPACES)}"
        yield Violation(BINDING, name, SELECTOR, text, fix)
        return
    # All expressions of a selector must be true.
    selected = frozenset.intersection(*(frozenset(map(str, values)) for values in lists))
    for other in sorted(selected - NAMESPACES):
        text = f"acts in the namespace {other}, which is not ours"
        yield Violation(BINDING, name, SELECTOR, text, f"name only {_list(NAMESPACES)}")


def compares_with_our_namespaces(policy: Mapping[str, Json]) -> Iterator[Violation]:
    """A namespace that an expression makes an exception of is one of ours."""
    for keys, value in leaves(policy["spec"]):
        for name in COMPARED.findall(value) if isinstance(value, str) else ():
            if name not in NAMESPACES:
                text = f"compares with the namespace {name!r}, which is not ours"
                fix = f"name one of {_list(NAMESPACES)}"
                yield Violation(POLICY, policy["metadata"]["name"], ("spec", *keys), text, fix)


def _list(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))
