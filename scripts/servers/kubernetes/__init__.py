"""A real Kubernetes without containers: its own programs as plain processes, and a client.

etcd, kube-apiserver, kube-controller-manager and kube-scheduler are Kubernetes' own; kwok plays the
kubelets, so that pods become ready without anything running in them.
"""
