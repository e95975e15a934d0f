"""`make secrets`: make the Secrets that a cluster needs and lacks; what is there stays as it is."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable, Mapping, Sequence
from textwrap import indent

from scripts import tools
from scripts.core import findings, kubectl
from scripts.core.findings import (
    DIM,
    GREEN,
    Finding,
    RepositoryError,
    colour,
    confirmed,
    counted,
    execute,
    progress,
    report,
)
from scripts.core.yamlfile import Json
from scripts.live.secrets.cluster import ClusterSecrets
from scripts.live.secrets.encrypted_folder import EncryptedFolder
from scripts.model import api_groups, clusters, credentials, object_storage
from scripts.model.credentials import NeededSecret
from scripts.model.manifests import ENCRYPTED, ClusterSync, Repository, decrypts, group
from scripts.model.secrets import Account, MissingSecret, Place, administrator, plan, values

NOTHING: Mapping[str, str] = {}


def options() -> argparse.Namespace:
    """Return the arguments of the command line."""
    arguments = argparse.ArgumentParser(prog="python -m scripts.live.secrets", description=__doc__)
    clusters.add_cluster(arguments)
    arguments.add_argument("--yes", action="store_true", help="do not ask before creating")
    text = "encrypt into clusters/<cluster>/secrets, for Flux, and leave the cluster alone"
    arguments.add_argument("--sops", action="store_true", help=text)
    text = "with --sops: whom to encrypt for, where .sops.yaml does not say so"
    arguments.add_argument("--age", default="", metavar="RECIPIENT", help=text)
    given = arguments.parse_args()
    if given.age and not given.sops:
        arguments.error("--age goes with --sops")
    return given


def create(
    sync: ClusterSync,
    needed: Sequence[NeededSecret],
    cluster: ClusterSecrets,
    facts: Mapping[str, str] = NOTHING,
    *,
    yes: bool,
) -> int:
    """Create in the cluster what it lacks; return the exit code.

    Args:
        sync: The cluster by one of its engines.
        needed: What it reads.
        cluster: Where Secrets are created.
        facts: What the environment says, for what only the user can make.
        yes: Whether to create without asking.

    Raises:
        RepositoryError: Before anything is created: if the cluster cannot be read, if a Secret is
            there in part, if nobody brings a namespace. Later: if something is refused.
    """
    cluster.check_reachable()
    own = [one for one in needed if not one.created_by]
    found = plan(own, {(one.namespace, one.name): cluster.keys(_place(one)) for one in own})
    _check_shared(found.make, needed)
    known = {_like(one): cluster.values(_like(one)) for one in found.make if one.copy_from}
    content = values(found.make, known)
    spaces = _lacking(sync, found.make, cluster)
    print(f"clusters/{sync.cluster} in {cluster.name}:")
    for place in found.existing:
        print(colour(f"  there    {'/'.join(place)}", DIM))
    _print_synced(needed)
    for name in spaces:
        print(f"  create   namespace {name}")
    _print_planned(found.make, "create")
    unmade = report_given(found.give, shlex.join(("kubectl", *cluster.options)), facts)
    if found.make:
        count = counted(len(found.make), "Secret")
        question = f"Create {count} in {cluster.name}?"
        if not yes and not confirmed("secrets", f"create {count} in {cluster.name}", question):
            print("nothing was created")
            return 1
        for item in spaces.values():
            cluster.namespace(item)
        for place, one in content.items():
            cluster.secret(place, one)
            print(colour(f"created {'/'.join(place)}", GREEN), flush=True)
    else:
        print("nothing to create")
    account = administrator(sync)
    if account and account.place in {*content, *found.existing}:
        _print_login(account, cluster)
    return 1 if report(unmade) else 0


def encrypt(
    sync: ClusterSync,
    needed: Sequence[NeededSecret],
    folder: EncryptedFolder,
    facts: Mapping[str, str] = NOTHING,
) -> int:
    """Write what the cluster's folder lacks; return the exit code.

    Args:
        sync: The cluster by one of its engines.
        needed: What it reads.
        folder: The cluster's folder.
        facts: As for `create`.

    Raises:
        RepositoryError: If a Secret is there in part, or sops refuses one; then nothing is written.
    """
    if sync.engine != "flux":
        text = "is synced by Argo CD, which decrypts nothing"
        fix = "run `make secrets` without --sops, or use External Secrets: README.md"
        raise RepositoryError(Finding(f"clusters/{sync.cluster}", None, text, fix))
    files = folder.there()
    own = [one for one in needed if not one.created_by or _place(one) in files]
    there = {_place(one): files[_place(one)][1] if _place(one) in files else None for one in own}
    found = plan(own, there)
    known = {
        _like(m): folder.values(_like(m), files[_like(m)][0], m) for m in found.make if m.copy_from
    }
    content = values(found.make, known)
    for place in found.existing:
        print(colour(f"  there    {folder.name(files[place][0])}", DIM))
    _print_planned(found.make, "encrypt")
    unmade = report_given(found.give, "kubectl", facts, sops=True)
    for path in folder.write(content):
        print(colour(f"wrote {folder.name(path)}", GREEN))
    if not found.make:
        print("nothing to write")
    _print_flux_steps(sync, folder)
    return 1 if report(unmade) else 0


def _lacking(
    sync: ClusterSync, make: Iterable[MissingSecret], cluster: ClusterSecrets
) -> dict[str, Json]:
    """Return the namespaces that are to be created, as the sync brings them: so it adopts them.

    Raises:
        RepositoryError: If the sync does not bring one, or one is being deleted.
    """
    declared = {o["metadata"]["name"]: o for o in sync.objects() if o["kind"] == "Namespace"}
    lacking = [name for name in sorted({one.namespace for one in make}) if cluster.lacks(name)]
    for name in lacking:
        if name not in declared:
            text = f"is not there, and clusters/{sync.cluster} does not bring it"
            fix = f"kubectl create namespace {name}"
            raise RepositoryError(Finding(f"namespace {name}", None, text, fix))
    return {name: declared[name] for name in lacking}


def _print_planned(make: Iterable[MissingSecret], verb: str) -> None:
    first: dict[str, MissingSecret] = {}
    for one in make:
        made = ", ".join(map(str, one.declared.keys))
        if one.copy_from:
            made = f"as in {one.copy_from}, where it is read for that"
        elif (before := first.setdefault(one.declared.name, one)) is not one:
            made = f"as in {before.namespace}"
        print(f"  {verb:<8} {one}: {made}; {one.declared.why}")


def _print_synced(needed: Iterable[NeededSecret]) -> None:
    for one in needed:
        if one.created_by:
            print(colour(f"  synced   {one}: {one.created_by}", DIM))


def _check_shared(make: Iterable[MissingSecret], needed: Iterable[NeededSecret]) -> None:
    """See that nothing is made that must be like what only the sync knows.

    Raises:
        RepositoryError: If something is.
    """
    brought = {one.name: one for one in needed if one.created_by}
    for one in make:
        if like := brought.get(one.declared.name):
            text = f"must have the same value as {like}, which comes from {like.created_by}"
            fix = "have it come from there, too"
            raise RepositoryError(Finding(f"Secret {one}", None, text, fix))


def report_given(
    give: Iterable[MissingSecret], kubectl_: str, facts: Mapping[str, str], *, sops: bool = False
) -> list[Finding]:
    """Say what only the user can make.

    Args:
        give: The Secrets.
        kubectl_: The command that leads to the cluster.
        facts: What the environment says, to fill in.
        sops: Whether they are encrypted into the cluster's folder.

    Returns:
        A finding for each that something waits for.
    """
    found = []
    for one in give:
        name = one.declared.name
        what = ", ".join(f"{key.name}: {key.given}" for key in one.declared.given)
        literals = [f"--from-literal={k.name}={k.value}" for k in one.declared.keys if k.value]
        files = [f"--from-file={key.name}" for key in one.declared.given]
        command = (f"--namespace={one.namespace}", "create", "secret", "generic", name)
        fix = f"{kubectl_} {shlex.join((*command, *literals, *files))}"
        if sops:
            fix = f"{fix} --dry-run=client --output=yaml, and encrypt it with sops"
        if one.declared.optional:
            print(f"  optional {one}: {one.declared.optional}; {what}")
        else:
            text = f"is missing, and only you have {what}"
            found.append(Finding(f"Secret {one}", None, text, f"{fix} (files named as the keys)"))
        for key in one.declared.given:
            for title, text in key.filled(facts):
                print(f"  {key.name} of {one}, {title}:\n{indent(text, '    ')}", end="")
    return found


def _print_login(account: Account, cluster: ClusterSecrets) -> None:
    namespace, name = account.place
    command = (*cluster.options, f"--namespace={namespace}", "get", "secret", name)
    path = f"--output=jsonpath={{.data.{account.password}}}"
    print("Grafana's password, for whoever may read the Secret:")
    print(f"  {shlex.join(('kubectl', *command, path))} | base64 -d")


def _print_flux_steps(sync: ClusterSync, folder: EncryptedFolder) -> None:
    """Say what is to be done once, so that Flux decrypts and applies the folder."""
    path = f"clusters/{sync.cluster}/{ENCRYPTED}"
    for item in sync.objects():
        of_flux = item["kind"] == "Kustomization" and group(item) == api_groups.KUSTOMIZE
        if of_flux and decrypts(sync.cluster, item["spec"].get("path", "")):
            print("commit them: Flux decrypts and applies them with the next sync")
            return
    print("once, so that Flux can decrypt them and applies them; then commit:")
    print("  kubectl --namespace=flux-system create secret generic sops-age --from-file=age.agekey")
    print(
        "  flux create kustomization monitoring-secrets --source=GitRepository/flux-system"
        f" --path=./{path} --prune=true --interval=10m --retry-interval=30s"
        " --decryption-provider=sops --decryption-secret=sops-age --export"
        f" > clusters/{sync.cluster}/flux/secrets.yaml"
    )


def _place(one: NeededSecret) -> Place:
    return one.namespace, one.name


def _like(one: MissingSecret) -> Place:
    return one.copy_from, one.declared.name


def main() -> int:
    """Make what is missing; return the exit code."""
    given = options()
    repository = Repository()
    name = clusters.chosen(repository.root, given.cluster)
    progress("working out what the cluster reads")
    engines = repository.cluster(name)
    sync = engines.get("flux") or next(iter(engines.values()))
    needed = credentials.needed_secrets(sync, repository)
    storage = object_storage.read(repository, sync)
    facts = storage.facts if storage else NOTHING
    if given.sops:
        return encrypt(sync, needed, EncryptedFolder(tools.ROOT, name, given.age), facts)
    return create(sync, needed, ClusterSecrets(kubectl.context()), facts, yes=given.yes)


def interruptible() -> int:
    """Run until somebody interrupts; what was made by then stays."""
    text = "interrupted: what was made stays, and the next run makes the rest"
    return findings.interruptible(main, text)


if __name__ == "__main__":
    execute(interruptible)
