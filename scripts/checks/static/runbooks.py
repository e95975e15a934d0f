"""Each alert has a runbook that can be asked: its queries are valid, and say what they show.

One that fails during an incident is worse than none. What they show is proven by `make prove`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set

from scripts.checks.static import alerts, catalogue, routing
from scripts.core.findings import Finding, RepositoryError
from scripts.model import runbooks
from scripts.model.dashboards import DashboardQuery
from scripts.model.manifests import Repository
from scripts.model.runbooks import ANYTHING, HEADINGS, RUNBOOKS, Runbook

# Labels whose values are those of one cluster: a page may compare them with the alert's alone.
OF_ONE_CLUSTER = ("namespace", "pod", "node", "instance")


def check(repository: Repository) -> list[Finding]:
    """Check the page of every alert of every cluster sync."""
    labels = routing.alert_labels_of(repository).labels
    findings: list[Finding] = []
    asked: list[DashboardQuery] = []
    pages = runbooks.pages(repository.root)
    own = {
        item["metadata"]["name"]
        for sync in repository.syncs
        for item in sync.objects()
        if item["kind"] == "Namespace"
    }
    for name in sorted(labels.keys() - {path.stem for path in pages}):
        fix = f"write it: {', '.join(HEADINGS)}"
        findings.append(Finding(f"{RUNBOOKS}/{name}.md", None, f"{name} has no runbook", fix))
    for path in pages:
        place = path.relative_to(repository.root).as_posix()
        if path.stem not in labels:
            fix = "rename the page, or delete it"
            findings.append(Finding(place, None, "no alert has this name", fix))
        try:
            book = runbooks.read(path, repository.root)
        except RepositoryError as error:
            findings += error.findings
            continue
        findings += of_page(book, labels, own)
        asked += [
            DashboardQuery(f"{place}:{query.line}", query.language, query.text)
            for query in book.queries
        ]
    findings += alerts.expressions(asked)
    options = next((sync for sync in repository.syncs if not sync.synced), None)
    if options:
        names = catalogue.Names(options.objects())
        for query, text, fix in catalogue.unknown_names(names, asked):
            findings.append(Finding(query.where, None, text, fix))
    return findings


def of_page(
    book: Runbook, labels: Mapping[str, Set[str]], own: Set[str] = frozenset()
) -> Iterator[Finding]:
    """Yield what is wrong with a page whose form is right.

    Args:
        book: The page.
        labels: Every label that an alert can have, by the alert's name.
        own: Namespaces that every cluster has, as this repository makes them.
    """
    if not book.queries:
        fix = "ask for what the alert is about in a promql or logql block"
        yield Finding(book.path, None, "it has no query", fix)
        return
    first = book.queries[0]
    if ANYTHING in {
        reading.kind if reading else ANYTHING for reading in (first.firing, first.quiet)
    }:
        text = "the first query does not tell whether the alert fires"
        fix = "ask first for what differs: `**Firing:** rows, …. **Quiet:** nothing.`"
        yield Finding(book.path, first.line, text, fix)
    for label in book.labels:
        if label not in labels.get(book.alert, {label}):
            text, fix = f"{book.alert} has no label {label!r}", "name labels that it has"
            yield Finding(book.path, None, text, fix)
        if not any(label in query.labels for query in book.queries):
            text = f"no query compares the alert's label {label!r}"
            yield Finding(
                book.path, None, text, f'write {label}="an example" in one, or leave it out'
            )
    for query in book.queries:
        for label in sorted(set(OF_ONE_CLUSTER) - set(query.labels)):
            found = re.search(runbooks.example(label), query.text)
            if found and found[0] not in {f'namespace="{name}"' for name in own}:
                text = f"{found[0]} holds on one cluster only"
                fix = (
                    f"write that the alert's label `{label}` belongs into the queries, or a pattern"
                )
                yield Finding(book.path, query.line, text, fix)
