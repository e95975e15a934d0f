"""What a cluster of another size takes: pods, memory, volumes, buckets, money, and the steps due.

A model to order nodes and buckets by, not a promise: figures hold within FACTOR. `constants` says
what each number is and where it comes from; `make bench BENCH=plan` measures some of them anew.
"""

from __future__ import annotations

# How far what is measured, or rendered for an environment, may be from what is planned, either way.
FACTOR = 2.5
