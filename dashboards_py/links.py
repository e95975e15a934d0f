"""Data links: what a click on a value opens."""

from __future__ import annotations

from scripts.core.yamlfile import Json


def data_link(title: str, uid: str, *keep: str, **values: str) -> Json:
    """Link a value to another dashboard, for the same time range.

    Args:
        title: What the link shows, as the menu names it.
        uid: The dashboard that it opens.
        keep: Variables that both dashboards have, and that keep their value.
        values: Variable of that dashboard to value, such as `${__field.labels.app}`.
    """
    kept = "".join(f"&${{{name}:queryparam}}" for name in keep)
    parameters = "".join(f"&var-{name}={value}" for name, value in values.items())
    return {"title": title, "url": f"/d/{uid}?${{__url_time_range}}{kept}{parameters}"}
