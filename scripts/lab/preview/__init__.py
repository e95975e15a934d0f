"""Every dashboard as a page and a picture, without a cluster: `make preview`.

The panels are those of `base/dashboards`, the data the results of `make prove`. Python decides what
each panel shows (`grafana.frames`) and assembles self-contained pages (`grafana.pages`), whose
script draws them with Grafana's own libraries (`grafana.library`); a headless Chromium opens them
(`servers.browser`). `drawing` does the same for `make pictures`, with the dashboards that changed,
and `gallery` takes the README's pictures.
"""
