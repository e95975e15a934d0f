"""The API groups of Flux' and of Argo CD's objects, which also begin their labels and annotations.

https://fluxcd.io/flux/components/, https://argo-cd.readthedocs.io/en/stable/user-guide/annotations-and-labels/
"""

# The end of all of Flux' groups, of which this repository uses three.
TOOLKIT = "toolkit.fluxcd.io"
HELM, KUSTOMIZE, SOURCE = f"helm.{TOOLKIT}", f"kustomize.{TOOLKIT}", f"source.{TOOLKIT}"
FLUX = (HELM, KUSTOMIZE, SOURCE)

ARGO_CD = "argoproj.io"
# What Argo CD writes on each object that it applies: the Application's name comes first.
TRACKING_ID = f"argocd.{ARGO_CD}/tracking-id"
