import { renderSVG } from 'uqr'
import type { Client, Connection, Snippet } from '../../clients/client.ts'
import { clients } from '../../clients/index.ts'
import { type Shared, sharing, type Way } from '../../clients/sharing.ts'
import { placeOf } from '../../clients/text.ts'
import { unable } from '../../clients/unable.ts'
import { typed } from '../../host/typed.ts'
import { Html, html, nothing } from './html.ts'
import { icon, script, style } from './look.ts'
import { seesModels, type Visit } from './visit.ts'

/** Everything that the page tells. */
export interface Shown {
  visit: Visit
  /** the models that are theirs; undefined when Ollama does not answer */
  models?: string[]
  /** the model that the snippets name; '' when none is known */
  model: string
  /** tokens */
  context: number
}

/** What stands where a person puts what this page does not know. */
const unknown = { key: 'YOUR_KEY', model: 'MODEL' }

const connection = ({ visit, model, context }: Shown): Connection => ({
  ...{ base: visit.base, model: model || unknown.model, context },
  ...(visit.needsKey && { key: unknown.key }),
})

const paste = (where: string, text: string): Html =>
  html`<div class="paste"><div><span class="soft">${where}</span><button type="button" hidden>Copy</button></div><pre tabindex="0"><code>${text}</code></pre></div>`

const list = (items: Html[], of = 'ul'): Html =>
  html`${new Html(`<${of}>`)}${items.map((item) => html`<li>${item}</li>`)}${new Html(`</${of}>`)}`

function named({ login, device }: Visit): Html {
  if (!login && !device)
    return html`Tailscale does not say who you are: this did not come straight from a device that it knows, or the device is new; then reload in half a minute.`
  if (login.startsWith('tag:')) return html`This is <b>${device}</b>, a device with <b>${login}</b>, as Tailscale says.`
  return html`You are <b>${login || 'somebody'}</b> on <b>${device}</b>, as Tailscale says.`
}

const entitled = ({ who, byKey }: Visit): Html =>
  who ? html` ${byKey ? 'Your key is called' : 'The rule that counts for you is called'} <b>${who}</b>.` : nothing

const needed = html`<p class="soft">This server asks for a key; its owner makes one. Put yours where ${unknown.key} stands, on your own machine: this page never shows or keeps it.</p>`

const you = (visit: Visit): Html =>
  html`<p>${named(visit)}${entitled(visit)}${visit.needsKey ? nothing : ' You need no key here.'}</p>${visit.needsKey ? needed : nothing}`

function address(shown: Shown): Html {
  const { base, key, model } = connection(shown)
  const code = renderSVG(base, { border: 4 }).replace(
    '<svg ',
    '<svg role="img" aria-label="The base URL as a QR code" ',
  )
  return html`<div class="card address"><div>
${paste('Base URL: Anthropic, Ollama', base)}
${paste('Base URL: OpenAI, and most others', `${base}/v1`)}
<dl><dt>API key</dt><dd>${key ? 'yours' : html`none; a client that insists takes any word, such as <code>ollama</code>`}</dd>
<dt>Model</dt><dd>${model === unknown.model ? 'one of those that you may use' : html`<code>${model}</code>`}</dd></dl>
</div>${new Html(code)}</div>
${paste('Try it in a terminal', `curl ${base}/v1/models${key ? ` -H "Authorization: Bearer ${key}"` : ''}`)}`
}

const withKey = html` <a href="/connect?key">Show them with my key</a>: the browser asks for a password, which is the key; any word does as name.`

function models({ visit, models: found, model }: Shown): Html {
  if (!seesModels(visit))
    return html`<p>They are shown to whom Tailscale or a key makes known, and who may use some.${visit.needsKey && !visit.byKey ? withKey : nothing}</p>`
  if (!found)
    return html`<p>Ollama does not answer at the moment, so they are not known. What stands below is right all the same.</p>`
  if (found.length === 0) return html`<p>There is none for you yet; the owner of this server can change that.</p>`
  const item = (name: string) =>
    name === model ? html`<b>${name}</b>` : html`<a href="/connect?model=${encodeURIComponent(name)}">${name}</a>`
  return html`<ul class="models">${found.map((name) => html`<li>${item(name)}</li>`)}</ul>${found.length > 1 ? html`<p class="soft">Choose one, and everything here names it.</p>` : nothing}`
}

const kinds: [kind: Client['kind'], title: string][] = [
  ['agent', 'Agents'],
  ['editor', 'Editors'],
  ['chat', 'Chat'],
  ['library', 'Libraries'],
  ['automation', 'Automation'],
  ['phone', 'Phones'],
]

function block(client: Client, shown: Shown): Html {
  const { needsKey, who, open, may } = shown.visit
  // Whoever has not said who they are may have a key for all that is open.
  const theirs = needsKey && who === '' ? open : may
  const lacking = client.groups.filter((group) => !theirs.includes(group) && group !== 'probe')
  const snippets = client.snippets(connection(shown))
  return html`<details name="client"><summary>${client.title}</summary><div>
${lacking.length > 0 ? html`<p>It asks what is not open to you here (${lacking.join(', ')}), so some of it will not work; the owner can open it (groups in settings.yaml).</p>` : nothing}
${snippets.map((snippet: Snippet) => paste(placeOf(snippet), snippet.text))}
${client.notes ? list(client.notes.map((note) => html`${note}`)) : nothing}</div></details>`
}

const known = (shown: Shown): Html[] =>
  kinds.flatMap(([kind, title]) => {
    const found = clients.filter((client) => client.kind === kind && !client.never)
    return found.length > 0 ? [html`<h3>${title}</h3>${found.map((client) => block(client, shown))}`] : []
  })

const cannot = ({ visit }: Shown): Html =>
  list([
    ...unable(visit.base).map(({ what, why }) => html`<b>${what}.</b> ${why}`),
    ...clients.flatMap(({ title, never }) => (never ? [html`<b>${title}.</b> ${never}`] : [])),
  ])

const way = ({ title, steps, paste: text }: Way): Html =>
  html`<h4>${title}</h4>${list(steps.map(worded), 'ol')}${text ? paste(text.where, text.text) : nothing}`

/** Words between backticks are commands. */
const worded = (step: string): Html =>
  html`${step.split('`').map((part, at) => (at % 2 === 1 ? html`<code>${part}</code>` : html`${part}`))}`

const friend = ({ visit }: Shown): Html => {
  const server: Shared = { address: visit.address, port: Number(/:(\d+)$/.exec(visit.base)?.[1] ?? 443), typed }
  return html`<details><summary>For the owner: how a friend gets here</summary><div>${sharing(server).map(way)}</div></details>`
}

/** The whole page, for one visitor. */
export const page = (shown: Shown): string =>
  html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Connect to this AI server</title><link rel="icon" href="${icon}"><style>${new Html(style)}</style></head><body><main>
<h1>Connect to this AI server</h1>
${you(shown.visit)}
<h2>Address</h2>${address(shown)}
<h2>Your models</h2>${models(shown)}
<h2>Your client</h2>${known(shown)}
<h2>What will not work from here</h2>${cannot(shown)}
<h2>Somebody else</h2>${friend(shown)}
</main><script>${new Html(script)}</script></body></html>
`.text
