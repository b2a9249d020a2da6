import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import { clients } from '../../lib/clients/index.ts'
import { checkout } from '../box/paths.ts'
import { startRecorder } from '../lab/recorder.ts'
import { startBrowser } from './browser.ts'
import { address, engineAnswers, key, name, serve } from './server.ts'

/** `npm run page [FOLDER]`: opens the page of /connect in a real Chromium, through a real gateway, and makes the pictures of it in docs/pictures; those of every variant come into the folder. */
const folder = process.argv[2]
const pictures = join(checkout, 'docs/pictures')
const say = (text: string) => process.stdout.write(`${text}\n`)

const sizes = { phone: { width: 320, height: 640 }, desktop: { width: 1280, height: 860 } }
const schemes = ['light', 'dark'] as const

/** Opens the page and hears of everything that a browser complains about or asks for beside it. */
async function opened(context: BrowserContext, target = address): Promise<{ page: Page; heard: string[] }> {
  const page = await context.newPage()
  const heard: string[] = []
  page.on('console', (message) => heard.push(`console: ${message.text()}`))
  page.on('pageerror', (error) => heard.push(`error: ${error.message}`))
  page.on('request', (request) => {
    const url = request.url()
    if (url !== target && !url.startsWith('data:')) heard.push(`asks ${url}`)
  })
  const answer = await page.goto(target)
  assert.equal(answer?.status(), 200)
  return { page, heard }
}

/** What another page is pasted. */
async function pasted(context: BrowserContext): Promise<string> {
  const page = await context.newPage()
  await page.goto('data:text/html,<textarea autofocus></textarea>')
  await page.locator('textarea').focus()
  await page.keyboard.press('Control+V')
  const text = await page.locator('textarea').inputValue()
  await page.close()
  return text
}

async function withinItsWidth(page: Page): Promise<void> {
  const [wide, width] = await page.evaluate<number[]>('[document.documentElement.scrollWidth, innerWidth]')
  assert.ok(Number(wide) <= Number(width), `the page is ${wide} wide in a window of ${width}`)
}

/** Opens every block; without JavaScript, too. */
async function unfolded(page: Page): Promise<void> {
  const blocks = page.locator('details')
  for (let at = 0; at < (await blocks.count()); at += 1) {
    const block = blocks.nth(at)
    await block.locator('summary').click()
    assert.ok(await block.locator('> div').isVisible(), `${await block.locator('summary').innerText()} does not open`)
    await withinItsWidth(page)
  }
}

async function copies(context: BrowserContext, page: Page): Promise<void> {
  const first = page.locator('.paste').first()
  await first.locator('button').click()
  assert.equal(await first.locator('button').innerText(), 'Copied')
  assert.equal(await pasted(context), await first.locator('code').innerText())
}

async function variant(browser: Browser, called: string, options: BrowserContextOptions): Promise<void> {
  const context = await browser.newContext(options)
  const { page, heard } = await opened(context)
  const text = await page.locator('main').innerText()
  for (const words of ['ann@example.com', 'anns-laptop', `http://${name}:11434/v1`, 'qwen3-coder:30b'])
    assert.ok(text.includes(words), `${words} is not on it`)
  assert.equal(await page.locator('summary').count(), clients.filter(({ never }) => !never).length + 1)
  const light = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor')
  assert.equal(light === 'rgb(245, 246, 248)', options.colorScheme === 'light', `in ${options.colorScheme}: ${light}`)
  const buttons = await page.locator('button:visible').count()
  assert.equal(buttons > 0, options.javaScriptEnabled !== false, `${buttons} buttons`)
  await withinItsWidth(page)
  if (folder) await page.screenshot({ path: join(folder, `${called}.png`), fullPage: true })
  if (options.javaScriptEnabled !== false) await copies(context, page)
  await unfolded(page)
  if (folder) await page.screenshot({ path: join(folder, `${called}-unfolded.png`), fullPage: true })
  assert.deepEqual(heard, [])
  await context.close()
  say(`ok  ${called}`)
}

async function byKey(browser: Browser): Promise<void> {
  const context = await browser.newContext({ httpCredentials: { username: 'x', password: key }, viewport: sizes.phone })
  const without = await opened(await browser.newContext())
  assert.ok(!(await without.page.locator('main').innerText()).includes('qwen3'), 'a model without a key')
  if (folder) await without.page.screenshot({ path: join(folder, 'keys.png'), fullPage: true })
  const { page, heard } = await opened(context, `${address}?key`)
  const text = await page.locator('main').innerText()
  assert.ok(text.includes('Your key is called ann') && text.includes('qwen3-coder:30b'), text.slice(0, 200))
  assert.ok(!(await page.content()).includes(key), 'the key is on the page')
  await page.getByRole('link', { name: 'qwen3:8b' }).click()
  assert.ok((await page.content()).includes('ANTHROPIC_MODEL=qwen3:8b'), 'no other model can be chosen')
  assert.deepEqual([...heard.filter((line) => !line.endsWith('?model=qwen3%3A8b')), ...without.heard], [])
  await context.close()
  say('ok  with a key as password')
}

async function picture(browser: Browser, file: string, options: BrowserContextOptions): Promise<void> {
  const context = await browser.newContext(options)
  const { page } = await opened(context)
  await page.screenshot({ path: join(pictures, file) })
  await context.close()
}

async function inBrowser(settings: string, work: (browser: Browser) => Promise<void>): Promise<void> {
  const engine = await startRecorder(engineAnswers)
  const gateway = await serve(engine, settings)
  const browser = await startBrowser(gateway.rules)
  try {
    await work(browser)
  } finally {
    await browser.close()
    await gateway.stop()
    await engine.stop()
  }
}

for (const path of [pictures, ...(folder ? [folder] : [])]) mkdirSync(path, { recursive: true })
await inBrowser('', async (browser) => {
  for (const javaScriptEnabled of [true, false])
    for (const [size, viewport] of Object.entries(sizes))
      for (const colorScheme of schemes)
        await variant(browser, `${size}-${colorScheme}${javaScriptEnabled ? '' : '-without-javascript'}`, {
          ...{ javaScriptEnabled, viewport, colorScheme },
        })
  await picture(browser, 'connect-light.png', { viewport: { width: 900, height: 1000 }, colorScheme: 'light' })
  await picture(browser, 'connect-phone-dark.png', {
    viewport: { width: 320, height: 640 },
    colorScheme: 'dark',
    deviceScaleFactor: 2,
  })
})
await inBrowser('access: keys', byKey)
// The observer's socket is served as long as its process lives.
process.exit()
