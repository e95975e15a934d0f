"""`make e2e`: each cluster synced by real Flux or Argo CD into a real Kubernetes, and disrupted.

The programs are those of a cluster, as processes on loopback; see `scripts/servers/kubernetes`.
What is not real is what a container would do: kwok says that pods run, and the few that are looked
into (Prometheus, Alertmanager, Loki, kube-state-metrics, the operator) run here beside it, each
with the configuration and as the service account that it has in the cluster.
"""
