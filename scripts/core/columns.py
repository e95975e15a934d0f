"""Tables as text, for a terminal."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

# Between two columns.
GAP = "  "


def aligned(rows: Sequence[Sequence[str]], left: Collection[int] | None = (0,)) -> Iterator[str]:
    """Yield a line for each row, with columns as wide as their longest cell.

    Args:
        rows: Cells; all rows have as many.
        left: The columns that are flush left, such as words; None for all. Others, such as
            numbers, are flush right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.ljust(width) if left is None or index in left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield GAP.join(cells).rstrip()
