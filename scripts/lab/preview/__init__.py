"""Every dashboard as a page and a picture, without a cluster: `make preview`.

The panels are those of `base/dashboards`, the data the results of `make prove`. Python decides what
each panel shows (`frames`) and assembles self-contained pages (`pages`); `page.js` draws them with
uPlot, the charting library of Grafana; `browser` opens them in a headless Chromium.
`drawing` does the same for `make pictures`, with the dashboards that changed.
"""
