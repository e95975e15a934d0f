"""Every object is valid by the API's schemas, as kubeconform finds; unknown kinds are findings."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from scripts import tools
from scripts.core.findings import Finding
from scripts.core.yamlfile import Json
from scripts.model import kubernetes, schemas
from scripts.model.manifests import CRD, Repository


def invalid(objects: Iterable[Mapping[str, Json]]) -> dict[str, set[str]]:
    """Validate objects against every supported version of Kubernetes.

    Objects that were valid before are skipped: the cache has them by their content, and by the
    versions of the schemas, kubeconform and this module.
    CustomResourceDefinitions are left out: they are upstream's, and most of what there is to read.

    Returns:
        Messages by kind and name, each with the versions of Kubernetes that it applies to.
    """
    code = _digest(Path(__file__).read_text())[:12]
    validator = f"{schemas.folder().name}-{tools.version('kubeconform')}-{code}"
    known = tools.cache() / "valid" / validator
    distinct = {json.dumps(o, sort_keys=True) for o in objects if o.get("kind") != CRD}
    pending = {_digest(o): o for o in sorted(distinct)}
    pending = {digest: o for digest, o in pending.items() if not (known / digest).exists()}
    if not pending:
        return {}
    stream = "\n---\n".join(pending.values())
    places = [f"-schema-location={place}" for place in schemas.locations()]

    def validate(version: str) -> list[dict[str, Any]]:
        flags = ("-strict", "-output=json", f"-kubernetes-version={version}", "-n=1")
        run = tools.run("kubeconform", *flags, *places, "-", stdin=stream)
        answer: list[dict[str, Any]] = json.loads(run.stdout or "{}").get("resources") or []
        if run.returncode and not answer:
            raise RuntimeError(run.stdout + run.stderr)
        return answer

    versions = schemas.kubernetes_versions()
    with ThreadPoolExecutor(len(versions)) as pool:
        answers = dict(zip(versions, pool.map(validate, versions), strict=True))
    found: dict[tuple[str, str], list[str]] = {}
    for version, resources in answers.items():
        for resource in resources:
            name = f"{resource['kind']} {resource['name']}"
            for message in _messages(resource):
                found.setdefault((name, message), []).append(version)
    result: dict[str, set[str]] = {}
    for (name, message), where in found.items():
        suffix = "" if len(where) == len(versions) else f" (Kubernetes {', '.join(where)})"
        result.setdefault(name, set()).add(message + suffix)
    for digest, text in pending.items():
        item = json.loads(text)
        if _name(item) not in result:
            tools.write(known / digest, "")
    return result


def check(repository: Repository) -> list[Finding]:
    """Return a finding for each object that a supported Kubernetes would refuse."""
    findings = []
    objects = [item for sync in repository.syncs for item in sync.objects()]
    for name, messages in invalid(objects).items():
        kind, _, short = name.partition(" ")
        for message in messages:
            place = repository.where(kind, short, *_keys(message))
            fix = "see the kind's API reference"
            if "could not find schema" in message:
                fix = "correct apiVersion and kind, or add the CRD's module to scripts/schemas.yaml"
                apis = {str(o["apiVersion"]) for o in objects if _name(o) == name}
                instead = {kubernetes.lifecycle(api, kind).replacement for api in apis} - {""}
                fix = f"use {', '.join(sorted(instead))}" if instead else fix
            findings.append(Finding(*place, f"{name}: {message}", fix))
    return findings


def _name(item: Mapping[str, Json]) -> str:
    return f"{item.get('kind')} {(item.get('metadata') or {}).get('name')}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _keys(message: str) -> list[str]:
    """Return the keys that lead to what a message is about."""
    at = re.search(r"\(at '/([^']*)'\)", message)
    unknown = re.search(r"additional properties '([^']+)'", message)
    return [*(at[1].split("/") if at else ()), *([unknown[1]] if unknown else ())]


def _messages(resource: Mapping[str, Any]) -> list[str]:
    if resource["status"] == "statusValid":
        return []
    # kubeconform's list of errors stops at the outermost field; its message names the innermost.
    details = re.findall(r"- at '(/[^']*)': (.+?)(?= - at '|$)", resource["msg"], re.DOTALL)
    return [f"{text} (at '{path}')" for path, text in details] or [str(resource["msg"])]
