"""The template of Alertmanager's configuration, and its matchers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from scripts.core.yamlfile import Json

TEMPLATE = "base/config/alertmanager/alertmanager.yaml"
_MATCHER = re.compile(r'([^\s"{,=!~]+)"?\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|[^",}]*)')


class AlertMatcher(NamedTuple):
    """A label, how it is compared, and with what."""

    label: str
    operator: str
    value: str

    def __str__(self) -> str:
        """Return it as Alertmanager reads it: `severity=~"warning|info"`."""
        return f'{self.label}{self.operator}"{self.value}"'


def matchers(texts: Iterable[Json]) -> list[AlertMatcher]:
    """Return the matchers of a list; a string may have several, separated by commas."""
    return [
        AlertMatcher(label, operator, value.strip(' "'))
        for text in texts
        for label, operator, value in _MATCHER.findall(str(text))
    ]
