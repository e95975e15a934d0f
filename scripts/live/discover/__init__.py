"""Where the application runs, read from a cluster or from its own manifests, as a proposal.

`cluster` and `folder` read objects, and nothing else here knows where they come from; `parts` says
which of them are the application; `routes` reads an OpenAPI document; `risks` says what would make
monitoring blind or full; `inventory` edits `application.yaml`.
"""
