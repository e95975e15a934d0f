"""Making the Secrets that a cluster needs, once, from what `base/secrets.yaml` declares.

`plan` decides what is missing and makes values, and knows neither kubectl nor sops; `cluster` reads
and creates with kubectl; `files` encrypts with sops into the cluster's folder.
"""
