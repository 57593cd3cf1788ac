"""How the page looks: in light and dark, on a phone and on a wall. Nothing is loaded from elsewhere."""

from __future__ import annotations

__all__ = ["CSS", "POLICY"]

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
CSS = """
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--ink:#14181f;--soft:#5a6472;--line:#dfe3e8;--track:#eef0f3;
--ok:#15803d;--bad:#c81e3a;--run:#2563eb;--wait:#b7791f;--hit:#0f766e;--none:#8a94a3;--heat:37,99,235;
--c0:#2563eb;--c1:#c2410c;--c2:#15803d;--c3:#9333ea;--c4:#be123c;--c5:#0e7490;--c6:#a16207;--c7:#475569}
@media (prefers-color-scheme:dark){:root{--page:#0f1216;--card:#181c22;--ink:#e8ebef;--soft:#9aa5b4;--line:#2c333d;
--track:#232932;--ok:#4ade80;--bad:#fb7185;--run:#60a5fa;--wait:#fbbf24;--hit:#2dd4bf;--none:#768294;--heat:96,165,250;
--c0:#60a5fa;--c1:#fb923c;--c2:#4ade80;--c3:#c084fc;--c4:#fb7185;--c5:#22d3ee;--c6:#facc15;--c7:#a3b0c2}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;margin:0 auto;
padding:1.25rem clamp(.75rem,2.5vw,2.5rem) 3rem;max-width:100rem;background:var(--page);color:var(--ink)}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 .4rem;overflow-wrap:anywhere}
h2{font-size:1.05rem;margin:0 0 .8rem}h3{font-size:.92rem;margin:0 0 .5rem;overflow-wrap:anywhere}
section,header{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1rem 1.1rem;
margin:0 0 1rem;min-width:0}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,22rem),1fr));gap:1rem}
.wide{grid-template-columns:repeat(auto-fill,minmax(min(100%,30rem),1fr))}
.cards>*{min-width:0}
@media (min-width:1250px){.pair{display:grid;grid-template-columns:minmax(0,max-content) minmax(34rem,1fr);gap:0 1rem;
align-items:start}}
.soft,.note{color:var(--soft)}.note{font-size:.87rem;margin:.6rem 0 0}
.badge{display:inline-block;border-radius:99px;padding:.05rem .65rem;font-size:.85rem;font-weight:600;
color:var(--card);background:var(--none);white-space:nowrap}
.facts{display:flex;flex-wrap:wrap;gap:.35rem 1.6rem;margin:.5rem 0 0;padding:0;list-style:none}
.facts b{font-weight:600}.facts span{color:var(--soft);margin-right:.35rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.9rem;min-width:100%}
th,td{text-align:left;padding:.3rem 1rem .3rem 0;vertical-align:top;border-top:1px solid var(--line)}
th{font-weight:600;color:var(--soft);border-top:0;white-space:nowrap}
td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
tr.sum td{font-weight:600}
.words{max-width:34rem;min-width:14rem;overflow-wrap:anywhere}
code{font:.88em ui-monospace,SFMono-Regular,Menlo,monospace;overflow-wrap:anywhere}
.phase{font-weight:600;white-space:nowrap}
.ok{color:var(--ok)}.bad{color:var(--bad)}.run{color:var(--run)}.wait{color:var(--wait)}.hit{color:var(--hit)}
.none{color:var(--none)}
.badge.ok{background:var(--ok)}.badge.bad{background:var(--bad)}.badge.run{background:var(--run)}
.badge.wait{background:var(--wait)}.badge.ok,.badge.bad,.badge.run,.badge.wait,.badge.none{color:var(--card)}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;margin:.7rem 0 0;padding:0;list-style:none;font-size:.85rem;
color:var(--soft)}
.legend li{display:flex;align-items:center;gap:.4rem;min-width:0;overflow-wrap:anywhere}
.legend i{flex:none;width:.9rem;height:.7rem;border-radius:3px;background:currentColor}
.legend svg{flex:none;width:1.5rem;height:.7rem}
.gantt{font-size:.87rem}
.gantt>div{display:grid;grid-template:"name track long"/minmax(6rem,15rem) 1fr 4.2rem;gap:0 .8rem;align-items:center;
margin:.22rem 0}
.gantt .name{grid-area:name;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.gantt .long{grid-area:long;text-align:right;color:var(--soft);font-variant-numeric:tabular-nums;white-space:nowrap}
.track,.axis{grid-area:track}.bars .track{grid-area:auto}
.track{position:relative;height:1.15rem;background:var(--track);border-radius:4px;min-width:0}
.track i{position:absolute;top:.15rem;bottom:.15rem;min-width:3px;border-radius:3px;background:currentColor}
.track i.wait{opacity:.75;background:repeating-linear-gradient(135deg,currentColor 0 3px,transparent 3px 6px)}
.axis{position:relative;height:1.1rem;color:var(--soft);font-size:.78rem}
.axis span{position:absolute;transform:translateX(-50%);white-space:nowrap}
.axis span:first-child{transform:none}.axis span:last-child{transform:translateX(-100%)}
.bars{display:grid;grid-template-columns:minmax(4rem,auto) 1fr auto;gap:.45rem .8rem;align-items:center;font-size:.9rem}
.bars .track{height:1.4rem}.bars .track i{top:0;bottom:0}.bars .track u{position:absolute;top:-.2rem;bottom:-.2rem;
width:2px;background:var(--ink)}
.bars .name{overflow-wrap:anywhere}
svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif;fill:var(--ink)}
svg .t{fill:var(--soft);font-size:11px}svg .b{font-weight:600;font-size:12.5px}
svg .grid{stroke:var(--line);stroke-width:1}svg .edge{fill:none;stroke:var(--none);stroke-width:1.3}
svg .tip{fill:var(--none)}svg .box{fill:var(--card);stroke:currentColor;stroke-width:1.4}svg .mark{fill:currentColor}
svg .line{fill:none;stroke:currentColor;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}
svg .dot{fill:currentColor}
.chart{display:block;width:100%;height:auto;overflow:visible}
.matrix{border-spacing:2px;border-collapse:separate;min-width:0;font-size:.78rem}
.matrix td,.matrix th{border:0;padding:.15rem .3rem;text-align:center;min-width:1.7rem;border-radius:3px;
font-variant-numeric:tabular-nums}
.matrix th{font-weight:500}.matrix th.row{text-align:right;max-width:7rem;overflow:hidden;text-overflow:ellipsis}
.matrix th.col{writing-mode:vertical-rl;transform:rotate(180deg);text-align:left;max-height:7rem;vertical-align:bottom;
padding:.3rem .15rem}
details summary{cursor:pointer;color:var(--soft)}
@media (max-width:560px){body{font-size:14px}section,header{padding:.8rem .8rem}
.gantt>div{grid-template:"name long" "track track"/1fr auto;gap:.05rem .6rem;margin:0 0 .35rem}}
@media print{body{background:#fff}section,header{break-inside:avoid}}
.c0{color:var(--c0)}.c1{color:var(--c1)}.c2{color:var(--c2)}.c3{color:var(--c3)}.c4{color:var(--c4)}.c5{color:var(--c5)}
.c6{color:var(--c6)}.c7{color:var(--c7)}
"""
