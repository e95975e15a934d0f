"""`make kind`: HEAD on a kind cluster with real pods, synced by Flux or Argo CD."""
