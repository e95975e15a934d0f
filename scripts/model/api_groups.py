"""The API groups of Flux and Argo CD, which are also the prefixes of their labels and annotations.

https://fluxcd.io/flux/components/, https://argo-cd.readthedocs.io/en/stable/user-guide/annotations-and-labels/
"""

# The suffix of all of Flux' groups, three of which this repository uses.
TOOLKIT = "toolkit.fluxcd.io"
HELM, KUSTOMIZE, SOURCE = f"helm.{TOOLKIT}", f"kustomize.{TOOLKIT}", f"source.{TOOLKIT}"
FLUX = (HELM, KUSTOMIZE, SOURCE)

# The annotation of an object that is to stay when git has it no more, for kustomize-controller and
# for Helm; below, for Argo CD, as an option among others.
PRUNE = f"{KUSTOMIZE}/prune"
RESOURCE_POLICY = "helm.sh/resource-policy"

ARGO_CD = "argoproj.io"
SYNC_OPTIONS = f"argocd.{ARGO_CD}/sync-options"
# The annotation on each object that Argo CD applies; it begins with the Application's name.
TRACKING_ID = f"argocd.{ARGO_CD}/tracking-id"
