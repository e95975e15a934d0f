"""`make discover`: application.yaml proposed by a cluster, or by the application's manifests."""
