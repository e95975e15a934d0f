"""`make diff`: what a change of this repository changes in the clusters, before it is merged.

Both revisions (`revisions`) are built and rendered through the charts as every check here does it
(`sides`); what differs is told object by object (`objects`) and in words (`readers`), put together
(`compare`) into one `model`, which all `outputs` are made from.
"""
