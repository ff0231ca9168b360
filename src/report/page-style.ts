/**
 * The style sheet of a report page: up to 72rem wide, plots by twos where there is room, light and dark after the reader's setting. The eight
 * series colours are Okabe and Ito's palette (distinguishable without colour vision), lightened on dark paper.
 */
export const pageStyle = `
:root { color-scheme: light dark;
  --paper: #ffffff; --ink: #1c1f24; --faint: #5b6470; --grid: #e3e6ea; --accent: #005b94; --soft: #f4f6f8; --mark: #e6f2e6;
  --series-1: #0072b2; --series-2: #d55e00; --series-3: #008a63; --series-4: #b0508c;
  --series-5: #a87700; --series-6: #2b8fc4; --series-7: #4a4a4a; --series-8: #7a5cc0; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #14171b; --ink: #e8eaed; --faint: #a3abb5; --grid: #2c3239; --accent: #7cc4f5; --soft: #1d2127; --mark: #1d3323;
  --series-1: #56b4e9; --series-2: #ff8c42; --series-3: #2fcf9f; --series-4: #e39cc6;
  --series-5: #f0c03c; --series-6: #9bd3f5; --series-7: #c8c8c8; --series-8: #b39df0; } }
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main { max-width: 72rem; margin: 0 auto; padding: 1.5rem 1rem 4rem }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .5rem } h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem }
p { max-width: 46rem; margin: .5rem 0 } .summary { font-size: 1.1rem } .note, figcaption { color: var(--faint) }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; background: var(--soft); border-radius: 3px }
code { padding: .1em .3em } pre { padding: .7rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere }
figure { margin: .5rem 0 } .plot { position: relative; height: 26rem } .plot.tall { height: var(--rows) }
.scroll { overflow-x: auto } .scroll:focus-visible, summary:focus-visible { outline: 2px solid var(--accent) }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; min-width: min(100%, 20rem) }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--grid); text-align: left; vertical-align: top }
thead th { border-bottom-color: var(--faint); position: sticky; top: 0; background: var(--paper) }
.number { text-align: right; white-space: nowrap } tr.highlighted > * { background: var(--mark); font-weight: 600 }
summary { cursor: pointer; color: var(--accent); padding: .3rem 0 }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .8rem; margin: 1rem 0 }
.facts div { background: var(--soft); border-radius: 6px; padding: .7rem .9rem } .facts dt { color: var(--faint); font-size: .85rem }
.facts dd { margin: 0 } .facts .value { font-size: 1.45rem; font-weight: 600; line-height: 1.25 }
dl.environment { display: grid; grid-template-columns: max-content 1fr; gap: .15rem .9rem; margin: .5rem 0; font-size: .9rem }
dl.environment dt { color: var(--faint) } dl.environment dd { margin: 0; overflow-wrap: anywhere }
@media (max-width: 30rem) { .plot { height: 22rem } h1 { font-size: 1.35rem } th, td { padding: .3rem .45rem } }
/* A narrow page shows each row as a card: its first cell as the title, the others under it by name. */
@media (max-width: 30rem) { section > .scroll { overflow-x: visible } section > .scroll thead { display: none }
  section > .scroll :is(table, tbody, tr, td) { display: block }
  section > .scroll tr { border-bottom: 1px solid var(--faint); padding: .5rem 0 }
  section > .scroll td { border: 0; padding: .1rem 0; text-align: left; white-space: normal; overflow-wrap: anywhere }
  section > .scroll td:first-child { font-weight: 600 } section > .scroll td:empty { display: none }
  section > .scroll td:not(:first-child)[data-label] { display: grid; grid-template-columns: 45% 1fr; gap: .6rem }
  section > .scroll td:not(:first-child)[data-label]::before { content: attr(data-label); color: var(--faint) } }
@media (min-width: 64rem) { main { display: grid; grid-template-columns: 1fr 1fr; column-gap: 2rem }
  main > * { grid-column: 1 / -1; min-width: 0 } main > .half { grid-column: auto } .half .plot { height: 21rem } }
@media print { .plot { height: 20rem } figure details { display: none } section { break-inside: avoid } }
`
