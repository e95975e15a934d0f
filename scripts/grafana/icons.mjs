// In place of react-inlinesvg, with which Grafana loads an icon from its server: a page has none. An
// icon takes its room; that which says that there is a description is drawn, as people look for it.

import { createElement } from "react";

export default function Icon({ src, width, height, className, style, innerRef }) {
  const shapes = src.endsWith("/info-circle.svg")
    ? [
        createElement("circle", { key: 1, cx: 12, cy: 12, r: 9, fill: "none", stroke: "currentColor", strokeWidth: 2 }),
        createElement("path", { key: 2, d: "M11 11h2v6h-2z M11 7h2v2h-2z" }),
      ]
    : src.endsWith("/ellipsis-v.svg")
      ? [5, 12, 19].map((cy) => createElement("circle", { key: cy, cx: 12, cy, r: 2 }))
      : [];
  return createElement("svg", { ref: innerRef, width, height, className, style, viewBox: "0 0 24 24" }, shapes);
}
