"""Arguments of Thanos' parts as clusters have them, as far as they decide what is answered."""

from scripts.model.rendered import REPLICA_LABEL
from scripts.servers.thanos import COMPACT, FRONTEND, QUERY, SIDECAR, STORE

DECLARED = {
    SIDECAR: [SIDECAR],
    STORE: [STORE],
    COMPACT: [COMPACT, "--wait"],
    QUERY: [QUERY, f"--query.replica-label={REPLICA_LABEL}"],
    FRONTEND: [FRONTEND],
}
