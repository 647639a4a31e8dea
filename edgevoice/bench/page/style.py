"""How the page looks. Colours tell series apart for people who do not see red and green, on either ground (after the
palette of Okabe & Ito, 2008)."""

CSS = """
:root {
  color-scheme: light dark;
  --ground: #f5f6f8; --card: #ffffff; --edge: #e2e5ea; --ink: #1c2128; --soft: #626b77; --grid: #e9ecf0;
  --warn: #8a5a00; --warn-ground: #fff6df; --warn-edge: #f0dca6;
  --c0: #0b6fb8; --c1: #d2600a; --c2: #08856a; --c3: #b4568b; --c4: #6a5acd; --c5: #9a7b00;
  --c6: #2f93c4; --c7: #6b7280;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0e1116; --card: #171b22; --edge: #2a303a; --ink: #e8ebf0; --soft: #98a2b0; --grid: #262c35;
    --warn: #f0c674; --warn-ground: #26210f; --warn-edge: #4c421c;
    --c0: #58aee8; --c1: #f59a50; --c2: #3cc3a0; --c3: #dd8fbb; --c4: #a597f2; --c5: #d8bb3f;
    --c6: #8fd3f4; --c7: #a3acb8;
  }
}
* { box-sizing: border-box }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums;
}
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 48px }
header { margin-bottom: 20px }
h1 { font-size: 26px; line-height: 1.2; letter-spacing: -.01em; margin: 0 0 4px }
h2 { font-size: 18px; margin: 0 0 2px }
h3 { font-size: 14px; margin: 22px 0 6px }
p.below { margin-top: 8px; font-size: 13px }
p { margin: 0 0 12px; color: var(--soft); max-width: 74ch }
small { color: var(--soft); font-size: 12px; font-weight: 400 }
section, .board, .tiles > div {
  background: var(--card); border: 1px solid var(--edge); border-radius: 12px;
}
section { padding: 20px 22px; margin-top: 16px }
.board { padding: 14px 22px 16px; margin-top: 12px }
.board h2 { font-size: 16px }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(190px, 1fr)); gap: 10px 24px; margin: 8px 0 0 }
dt { color: var(--soft); font-size: 12px }
dd { margin: 0; overflow-wrap: anywhere }
dd.unknown { color: var(--soft) }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(180px, 1fr)); gap: 12px; margin-top: 16px }
.tiles > div { padding: 14px 18px }
.tiles span { display: block; color: var(--soft); font-size: 13px }
.tiles b { display: block; font-size: 28px; line-height: 1.25; letter-spacing: -.02em }
details.caution { background: var(--warn-ground); border: 1px solid var(--warn-edge); border-radius: 12px;
  margin-top: 16px; padding: 10px 18px }
details.caution summary { color: var(--warn); font-weight: 600; cursor: pointer }
details.caution ul { margin: 8px 0 4px; padding-left: 20px }
svg { display: block; width: 100%; overflow: visible }
.rows { margin: 10px 0 4px }
.row { display: grid; grid-template-columns: minmax(150px, 250px) 1fr 160px; gap: 0 18px; align-items: center }
.row .name { padding: 3px 0; line-height: 1.25; overflow-wrap: anywhere }
.row .name small, th small { display: block }
.row .figure { text-align: right; white-space: nowrap; line-height: 1.25 }
.row .figure small { margin-left: 8px }
.grid { stroke: var(--grid); stroke-width: 1; shape-rendering: crispEdges }
.tick { fill: var(--soft); font-size: 12px }
.label { fill: var(--ink); font-size: 12.5px; paint-order: stroke; stroke: var(--card); stroke-width: 5px }
.digit, .names { display: none }
.digit { fill: var(--ink); font-size: 11px; font-weight: 600 }
.digit.on { fill: var(--card) }
.span { stroke: var(--c); stroke-width: 1.5; opacity: .4 }
.touch { fill: transparent }
.dot { fill: var(--c); opacity: .28 }
.box { fill: var(--c); opacity: .38; rx: 3px }
.whisker { stroke: var(--c); stroke-width: 1.5 }
.median { stroke: var(--c); stroke-width: 3.5; stroke-linecap: round }
.point { fill: var(--c) }
.hollow { fill: var(--card); stroke: var(--c); stroke-width: 2.5 }
.part { fill: var(--c); stroke: var(--card); stroke-width: 1; rx: 3px }
.part.pale { opacity: .45 }
polyline { fill: none; stroke: var(--c); stroke-width: 2; vector-effect: non-scaling-stroke; stroke-linejoin: round }
polyline.pale { opacity: .5; stroke-width: 1.25 }
.c0 { --c: var(--c0) } .c1 { --c: var(--c1) } .c2 { --c: var(--c2) } .c3 { --c: var(--c3) }
.c4 { --c: var(--c4) } .c5 { --c: var(--c5) } .c6 { --c: var(--c6) } .c7 { --c: var(--c7) }
.plot { margin: 14px 0 6px; padding-left: 44px; padding-right: 8px }
.plot figcaption { color: var(--soft); font-size: 12px; margin: 0 0 8px -44px }
.plot .x { color: var(--soft); font-size: 12px; text-align: right }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(380px, 100%), 1fr)); gap: 0 36px }
.pair > * { min-width: 0 }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 8px 0; font-size: 13px }
.legend span { display: inline-flex; align-items: center; gap: 6px }
.legend i, th i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; background: var(--c) }
.legend i.pale { opacity: .45 }
.legend i.ring { background: none; border: 2.5px solid var(--soft); border-radius: 50% }
.legend i.round { background: var(--soft); border-radius: 50% }
th i { margin-right: 7px }
.scroll { overflow-x: auto; margin: 8px -22px 0; padding: 0 22px }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; white-space: nowrap }
th, td { text-align: right; padding: 6px 0 6px 14px; border-bottom: 1px solid var(--grid); vertical-align: top }
thead th { color: var(--soft); font-weight: 500; font-size: 12px; border-bottom-color: var(--edge) }
th:first-child { text-align: left; padding-left: 0; font-weight: 500 }
td.why { text-align: left; color: var(--soft); white-space: normal; min-width: 240px }
tbody tr:last-child > * { border-bottom: 0 }
ul { color: var(--soft); padding-left: 20px; margin: 6px 0 }
code { font: 12.5px ui-monospace, "Liberation Mono", monospace; overflow-wrap: anywhere }
footer { color: var(--soft); font-size: 12.5px; margin-top: 20px }
@media (max-width: 640px) {
  main { padding: 18px 12px 36px }
  section, .board { padding: 16px 14px }
  h1 { font-size: 22px }
  .tiles { grid-template-columns: 1fr 1fr; gap: 8px }
  .tiles > div { padding: 10px 12px }
  .tiles b { font-size: 22px }
  dl { grid-template-columns: 1fr 1fr; gap: 8px 14px }
  .row { grid-template-columns: 1fr auto; gap: 0 12px; margin-bottom: 8px }
  .row .name small { display: inline; margin-left: 6px }
  .row svg { grid-column: 1 / -1; grid-row: 2 }
  .label { display: none }
  .digit { display: inline }
  .point, .hollow { r: 9px }
  .names { display: block; color: var(--soft); font-size: 12.5px; padding-left: 24px; margin: 4px 0 }
  .row.axis { margin: -6px 0 0 }
  .row.axis .name { display: none }
  .row.axis .figure { grid-column: 1 / -1; grid-row: 3 }
  .row.axis svg { grid-row: 2 }
  .scroll { margin: 8px -14px 0; padding: 0 14px }
}
@media print { body { background: none } section, .board { break-inside: avoid } }
"""
