"""The API groups of Flux and Argo CD, which are also the prefixes of their labels and annotations.

https://fluxcd.io/flux/components/, https://argo-cd.readthedocs.io/en/stable/user-guide/annotations-and-labels/
"""

# The suffix of all of Flux' groups, three of which this repository uses.
TOOLKIT = "toolkit.fluxcd.io"
HELM, KUSTOMIZE, SOURCE = f"helm.{TOOLKIT}", f"kustomize.{TOOLKIT}", f"source.{TOOLKIT}"
FLUX = (HELM, KUSTOMIZE, SOURCE)

ARGO_CD = "argoproj.io"
# The annotation on each object that Argo CD applies; it begins with the Application's name.
TRACKING_ID = f"argocd.{ARGO_CD}/tracking-id"
