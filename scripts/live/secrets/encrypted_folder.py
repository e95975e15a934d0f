"""Secrets that SOPS encrypts, in `clusters/<cluster>/secrets/<namespace>/<name>.yaml`."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from scripts.checks.static import encrypted
from scripts.core import programs
from scripts.core.findings import Finding, RepositoryError
from scripts.model import sops
from scripts.model.manifests import ENCRYPTED
from scripts.model.secrets import MissingSecret, Place, Values, manifest, redacted

# What Flux decrypts.
VALUES = "^(data|stringData)$"
_TIMEOUT = 120


@dataclass(frozen=True)
class EncryptedFolder:
    """The folder of one cluster.

    Attributes:
        root: Of the tree.
        cluster: The folder below `clusters/`.
        age: Recipients of age, separated by commas; empty for what sops finds by itself.
    """

    root: Path
    cluster: str
    age: str = ""

    @property
    def path(self) -> Path:
        """The folder; it need not exist."""
        return self.root / "clusters" / self.cluster / ENCRYPTED

    def file(self, place: Place) -> Path:
        """Return where a Secret is written."""
        namespace, name = place
        return self.path / namespace / f"{name}.yaml"

    def name(self, path: Path) -> str:
        """Return a path as a person reads it."""
        return str(path.relative_to(self.root))

    def there(self) -> dict[Place, tuple[Path, frozenset[str]]]:
        """Return the Secrets that are there: the file and the names of the keys of each."""
        found = {}
        for path, item in sops.secrets(self.path):
            metadata = item.get("metadata") or {}
            keys = frozenset((item.get("data") or {}) | (item.get("stringData") or {}))
            found[metadata.get("namespace", ""), metadata.get("name", "")] = path, keys
        return found

    def values(self, place: Place, path: Path, need: MissingSecret) -> Values:
        """Decrypt a Secret; return its values.

        Raises:
            RepositoryError: If sops cannot, as it has no key.
        """
        answer = self._sops("decrypt", "--input-type=yaml", "--output-type=yaml", str(path))
        if answer.returncode:
            text = f"cannot be decrypted here, and {need} must have the same value"
            fix = "name the key by SOPS_AGE_KEY_FILE, or delete the file to have both made"
            raise RepositoryError(Finding(self.name(path), None, text, fix))
        found: dict[str, bytes] = {}
        for item in yaml.safe_load_all(answer.stdout):
            if (item["metadata"].get("namespace", ""), item["metadata"]["name"]) == place:
                data, plain = item.get("data") or {}, item.get("stringData") or {}
                found |= {key: base64.b64decode(value) for key, value in data.items()}
                found |= {key: value.encode() for key, value in plain.items()}
        return found

    def write(self, secrets: Mapping[Place, Values]) -> list[Path]:
        """Encrypt all of them, then write the files, none over one that is there.

        Raises:
            RepositoryError: If sops refuses one, or leaves a value as it is: nothing is written.
        """
        for place in secrets:
            if self.file(place).exists():
                text = f"is there and holds no Secret {'/'.join(place)}; nothing was written"
                fix = "rename it, or delete it"
                raise RepositoryError(Finding(self.name(self.file(place)), None, text, fix))
        texts = {self.file(place): self._encrypted(place, secrets[place]) for place in secrets}
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        return list(texts)

    def _encrypted(self, place: Place, content: Values) -> str:
        path = self.file(place)
        options = [f"--encrypted-regex={VALUES}", f"--filename-override={path}"]
        options += [f"--age={self.age}"] if self.age else []
        plain = yaml.safe_dump(manifest(place, content), sort_keys=False)
        answer = self._sops("encrypt", *options, stdin=plain)
        if answer.returncode:
            lines = redacted(answer.stderr, content).strip().splitlines()
            text = f"was not encrypted: {lines[-1][:300] if lines else 'sops gives no reason'}"
            fix = "name who may decrypt it, by --age=<recipient> or a creation rule in .sops.yaml"
            raise RepositoryError(Finding(self.name(path), None, text, fix))
        if left := list(encrypted.unencrypted(answer.stdout, self.name(path))):
            text = f"would be written with values in plain text: {left[0].message}"
            fix = f"have .sops.yaml encrypt {VALUES}"
            raise RepositoryError(Finding(self.name(path), None, text, fix))
        return answer.stdout

    def _sops(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run sops; the caller judges the exit code.

        What is to be encrypted comes by standard input and never is on a disk. sops looks for
        `.sops.yaml` from where it runs upwards.
        """
        answer = programs.run(
            ("sops", *arguments),
            "install it: https://github.com/getsops/sops/releases",
            folder=self.path if self.path.is_dir() else self.path.parent,
            stdin=stdin,
            timeout=_TIMEOUT,
        )
        if answer.returncode == programs.TIMED_OUT:
            fix = "see whether its key service answers"
            raise RepositoryError(Finding("sops", None, answer.stderr, fix))
        return answer
