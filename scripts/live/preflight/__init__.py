"""Whether a cluster is ready for what this repository installs: read with kubectl, then judged.

`kubectl` reads, and nothing else here talks to a cluster; `stack` says what is needed; `points`,
`capacity` and `storage` compare the two and are functions of parsed JSON alone.
"""
