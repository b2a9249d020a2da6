import { createHash } from 'node:crypto'

/** The page's only style, in it itself; dark where the system is. */
export const style = `
:root{color-scheme:light dark;--ink:#1d1f21;--soft:#5c6268;--line:#d9dde1;--paper:#fff;--back:#f5f6f8;--code:#f0f2f4;--accent:#0a5fbf;--mark:#e8f1fc}
@media(prefers-color-scheme:dark){:root{--ink:#e7e9eb;--soft:#a0a7ae;--line:#373d43;--paper:#1c2024;--back:#131619;--code:#262b30;--accent:#7db8ff;--mark:#1d2d40}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;overflow-wrap:anywhere}
main{max-width:46rem;margin:0 auto;padding:1.5rem 1rem 3rem}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .25rem}
h2{font-size:1.15rem;margin:2.25rem 0 .5rem}
h3{font-size:.85rem;margin:1.25rem 0 .4rem;color:var(--soft);font-weight:600}
h4{font-size:1rem;margin:1.25rem 0 .25rem}
p,ul,ol,dl{margin:.4rem 0}
ul,ol{padding-left:1.4rem}
li{margin:.3rem 0}
a{color:var(--accent)}
.soft{color:var(--soft)}
.card{background:var(--paper);border:1px solid var(--line);border-radius:10px;padding:1rem;margin:.75rem 0}
.address{display:flex;gap:1.25rem;align-items:flex-start}
.address>div{flex:1;min-width:0}
.address .paste:first-child{margin-top:0}
.address pre{white-space:pre-wrap}
.address svg{width:9rem;height:9rem;flex:none;border-radius:6px;display:block}
dt{color:var(--soft);font-size:.85rem}
dd{margin:0 0 .6rem}
dd:last-child{margin:0}
code,pre{font:.85rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
code{background:var(--code);border-radius:4px;padding:.1em .3em}
pre{background:var(--code);border-radius:6px;margin:0;padding:.75rem;overflow-x:auto;white-space:pre}
pre code{padding:0;background:none}
.paste{margin:.6rem 0}
.paste .soft{font-size:.85rem}
.paste>div{display:flex;justify-content:space-between;align-items:end;gap:1rem;margin-bottom:.25rem;min-height:2rem}
button{font:inherit;font-size:.85rem;color:var(--accent);background:var(--paper);border:1px solid var(--line);border-radius:6px;padding:.2rem .7rem;min-height:2rem;cursor:pointer;flex:none}
button[hidden]{display:none}
.models{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.4rem}
.models li{margin:0}
.models a,.models b{display:block;border:1px solid var(--line);border-radius:6px;padding:.2rem .6rem;text-decoration:none;background:var(--paper);font-weight:400}
.models b{border-color:var(--accent);background:var(--mark)}
details{background:var(--paper);border:1px solid var(--line);border-radius:8px;margin:.4rem 0}
summary{cursor:pointer;padding:.55rem .9rem;font-weight:600}
details>div{padding:0 .9rem .6rem}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
@media(max-width:34rem){.address{flex-direction:column}main{padding-top:1rem}}
@media print{details>div{display:block}button{display:none}}
`

/** The page's only script: shows the buttons, and copies what stands beside one. The clipboard of newer browsers is there for https alone. */
export const script = `
for (const button of document.querySelectorAll('button')) {
  const text = button.closest('.paste').querySelector('code')
  button.hidden = false
  button.addEventListener('click', () => {
    const selection = getSelection()
    selection.selectAllChildren(text)
    const done = document.execCommand('copy')
    if (done) selection.removeAllRanges()
    button.textContent = done ? 'Copied' : 'Selected: copy it'
    setTimeout(() => { button.textContent = 'Copy' }, 2000)
  })
}
`

const hash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/** The sign in the browser's tab, so that no browser asks for /favicon.ico. */
export const icon =
  'data:image/svg+xml,%3Csvg xmlns=%22http://www.w3.org/2000/svg%22 viewBox=%220 0 16 16%22%3E%3Crect width=%2216%22 height=%2216%22 rx=%223%22 fill=%22%230a5fbf%22/%3E%3Cpath d=%22M4 8h8M8 4v8%22 stroke=%22white%22 stroke-width=%222%22/%3E%3C/svg%3E'

/** What goes with the page: nothing from elsewhere, nothing kept, nowhere framed. */
export const headers: Record<string, string> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': `default-src 'none'; style-src ${hash(style)}; script-src ${hash(script)}; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
}
