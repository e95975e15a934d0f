"""Reading and creating in the cluster of one context of kubectl's."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass

from scripts.core import kubectl
from scripts.core.findings import Finding, RepositoryError
from scripts.core.kubectl import ForbiddenError
from scripts.core.yamlfile import Json
from scripts.live.preflight.cluster_state import KUBECTL, keys_of
from scripts.model.secrets import Place, Values, manifest, redacted

EXISTS = "(AlreadyExists)"
_AGAIN = "correct it and run `make secrets` again: it makes what is still missing"


@dataclass(frozen=True)
class ClusterSecrets:
    """A cluster, by the context that reaches it: it stays the same if the user changes theirs.

    Attributes:
        context: The context; empty for the cluster that kubectl runs in.
    """

    context: str

    @property
    def options(self) -> tuple[str, ...]:
        """What leads kubectl to it."""
        return (f"--context={self.context}",) if self.context else ()

    @property
    def name(self) -> str:
        """The context as a person reads it."""
        return f"the context {self.context}" if self.context else "the cluster that this runs in"

    def check_reachable(self) -> None:
        """Check that the API server answers.

        Raises:
            RepositoryError: If it does not.
        """
        KUBECTL.json("version", *self.options)

    def keys(self, place: Place) -> frozenset[str] | None:
        """Return the names of a Secret's keys; None where there is no such Secret.

        Raises:
            RepositoryError: If it may not be read.
        """
        try:
            return keys_of(*place, *self.options)
        except ForbiddenError:
            raise _unread(place) from None

    def values(self, place: Place) -> Values:
        """Return the values of a Secret.

        Raises:
            RepositoryError: If it cannot be read.
        """
        namespace, name = place
        try:
            found = KUBECTL.json("get", "secret", name, f"--namespace={namespace}", *self.options)
            return {key: base64.b64decode(value) for key, value in found["data"].items()}
        except (ForbiddenError, KeyError, binascii.Error):
            raise _unread(place) from None

    def lacks(self, namespace: str) -> bool:
        """Say whether there is no such namespace; who may not see namespaces is told when creating.

        Raises:
            RepositoryError: If it is being deleted.
        """
        try:
            found = KUBECTL.json("get", "namespace", namespace, "--ignore-not-found", *self.options)
        except ForbiddenError:
            return False
        if found and (found.get("status") or {}).get("phase") == "Terminating":
            text = "is being deleted, so nothing was made"
            fix = "wait until it is gone, then run `make secrets` again"
            raise RepositoryError(Finding(f"namespace {namespace}", None, text, fix))
        return not found

    def namespace(self, item: Mapping[str, Json]) -> None:
        """Create a namespace, unless somebody else has done so just now."""
        name = item["metadata"]["name"]
        if (error := self._create(item)) and EXISTS not in error:
            raise _refused(f"namespace {name}", error)

    def secret(self, place: Place, content: Values) -> None:
        """Create a Secret.

        Raises:
            RepositoryError: If the API server refuses it; so it does where there is one already.
        """
        if error := self._create(manifest(place, content)):
            where = f"Secret {'/'.join(place)}"
            if EXISTS in error:
                text = "was made by somebody else just now, and is left as it is"
                fix = "run `make secrets` again to see whether it is whole"
                raise RepositoryError(Finding(where, None, text, fix))
            raise _refused(where, redacted(error, content))

    def _create(self, item: Mapping[str, Json]) -> str:
        """Create an object; return why that failed, or nothing.

        It comes by standard input, as arguments and files are seen by others.
        """
        answer = KUBECTL.run("create", "--filename=-", *self.options, stdin=json.dumps(item))
        return kubectl.reason(answer.stderr) if answer.returncode else ""


def _refused(place: str, reason: str) -> RepositoryError:
    return RepositoryError(Finding(place, None, f"was not made: {reason[:300]}", _AGAIN))


def _unread(place: Place) -> RepositoryError:
    text = "may not be read, so nothing was made"
    fix = "use an account that may get Secrets there; no value is shown"
    return RepositoryError(Finding(f"Secret {'/'.join(place)}", None, text, fix))
