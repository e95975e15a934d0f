"""Whether Grafana's home page is there within 30 s of deployment, measured on a real cluster.

A round deletes Grafana's pod, whose Deployment makes a new one at once, and takes the time until
the pod is Ready, until the home dashboard's first row has data, and until it has through the public
URL. Nothing else is changed; Flux and Argo CD see no drift.
"""
