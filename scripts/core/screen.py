"""How much fits on a screen: the width of text, and of Grafana's panels.

The width of a character is the advance of Inter, the font of Grafana, as the npm package
`@fontsource-variable/inter` 5.3.0 has it, in thousandths of the font's size. What stands beside a
title or a cell's text is that of `@grafana/ui` 13.2 (`components/PanelChrome`, `components/Table`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

# The laptop that every dashboard must be readable on, with Grafana's menu closed.
WINDOW_PIXELS = 1366
COLUMNS = 24
# A page has 16 px on either side and 8 px between columns.
_PAGE, _GAP = 32, 8

REGULAR, MEDIUM = 400, 500
# Of a panel's title, a table's cells and a stat's names.
TITLE_PIXELS = CELL_PIXELS = 14
# Border (2), padding (16), three gaps (24), the icon of the description (24), and the menu (34),
# which keeps its place while it is hidden.
_BESIDE_TITLE = 100
# Border and padding of a panel, whose content is this much narrower.
CHROME = 18
# Between the values of a stat, and on both sides of each, which depends on its height.
_TILE_GAP, _LOW_PADDING, _HIGH_PADDING, _HIGH = 8, 16, 24, 100
# Padding and border of a table's cell.
_BESIDE_CELL = 13
# The arrow in the head of the column that a table is sorted by.
_SORT_ARROW = 20

# From the space to the tilde.
_ADVANCES = {
    REGULAR: (
        "281 288 466 633 642 982 644 300 365 365 501 662 288 460 288 360 631 407 610 618 646 "
        "593 620 566 619 620 288 302 662 662 662 511 966 690 654 730 722 601 590 746 743 269 "
        "571 672 565 903 753 765 639 765 644 642 646 744 690 985 682 679 629 365 360 365 471 "
        "456 323 562 612 571 612 583 370 613 591 242 242 549 242 876 591 600 612 612 376 528 "
        "327 591 562 818 546 562 552 426 333 426 662"
    ),
    MEDIUM: (
        "267 304 494 639 646 993 653 313 369 369 521 667 303 462 303 370 646 415 616 627 656 "
        "603 630 571 629 630 303 315 667 667 667 527 982 709 657 733 722 603 589 748 745 272 "
        "575 688 565 913 756 767 642 769 648 646 653 740 709 1003 701 696 641 369 370 369 477 "
        "463 337 568 618 577 618 587 379 620 602 252 252 559 252 888 602 604 618 618 387 539 "
        "340 602 575 829 557 575 559 440 346 440 667"
    ),
}
# Any other character: as wide as the widest of those above, so that nothing is cut by surprise.
_WIDEST = 1003
_FIRST = ord(" ")


def text_width(text: str, pixels: float, weight: int = REGULAR) -> float:
    """Return how wide a text is, in pixels.

    Args:
        text: On one line.
        pixels: The font's size.
        weight: REGULAR or MEDIUM.
    """
    advances = _TABLES[weight]
    known = (ord(character) - _FIRST for character in text)
    return sum(advances[k] if 0 <= k < len(advances) else _WIDEST for k in known) * pixels / 1000


def panel_width(columns: int, window: int = WINDOW_PIXELS) -> float:
    """Return how wide a panel of so many of the 24 columns is, in pixels."""
    column = (window - _PAGE - _GAP * (COLUMNS - 1)) / COLUMNS
    return columns * column + (columns - 1) * _GAP


def title_room(columns: int) -> float:
    """Return how many pixels a panel's title has."""
    return panel_width(columns) - _BESIDE_TITLE


def title_width(title: str) -> float:
    """Return how many pixels a panel's title needs."""
    return text_width(title, TITLE_PIXELS, MEDIUM)


def heading_width(heading: str) -> float:
    """Return how wide a table's column has to be for its heading, in pixels."""
    return text_width(heading, CELL_PIXELS, MEDIUM) + _BESIDE_CELL + _SORT_ARROW


def cell_width(text: str) -> float:
    """Return how wide a table's column has to be for a text, in pixels."""
    return text_width(text, CELL_PIXELS) + _BESIDE_CELL


def name_rooms(columns: int, height: int, count: int) -> list[float]:
    """Return how many pixels the name of each value of a stat panel has.

    Args:
        columns: Of the grid, that the panel takes.
        height: In units of the grid.
        count: Of its values.
    """
    width, high = panel_width(columns) - CHROME, height * 38 - 8 - 40 - 2
    # The grid whose cells are the largest; those of the last row share it.
    per_row = max(
        range(1, count + 1), key=lambda n: (min(width / n, high / math.ceil(count / n)), -n)
    )
    rows = math.ceil(count / per_row)
    padding = _HIGH_PADDING if high / rows > _HIGH else _LOW_PADDING
    last = count - per_row * (rows - 1)
    each = [per_row] * (count - last) + [last] * last
    return [(width - _TILE_GAP * (n - 1)) / n - padding for n in each]


def column_widths(fixed: Sequence[float | None], columns: int, least: float) -> list[float]:
    """Return how wide each column of a table is drawn, in pixels.

    Args:
        fixed: The width that each column is given; None for a share of what is left.
        columns: Of the grid, that the table takes.
        least: Width that a column without one has at least.
    """
    room = panel_width(columns) - 2 - sum(width or 0 for width in fixed)
    without = sum(width is None for width in fixed)
    share = max(least, room / without) if without else 0
    return [share if width is None else width for width in fixed]


_TABLES = {weight: tuple(map(int, text.split())) for weight, text in _ADVANCES.items()}
