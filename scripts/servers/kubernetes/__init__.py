"""Kubernetes without containers: its programs as processes, kwok as the kubelets, and a client."""
