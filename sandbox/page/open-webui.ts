import type { Page } from 'playwright-core'

/** Signs in at Open WebUI, and puts away what it has to say about itself. */
export async function signIn(page: Page, url: string, who: { email: string; password: string }): Promise<void> {
  await page.goto(url)
  await page.locator('input[type=email]').waitFor({ timeout: 90_000 })
  await page.locator('input[type=email]').fill(who.email)
  await page.locator('input[type=password]').fill(who.password)
  await page.locator('button[type=submit]').click()
  await page.locator('#chat-input').waitFor({ timeout: 90_000 })
  await page
    .getByRole('button', { name: /Okay/i })
    .click({ timeout: 10_000 })
    .catch(() => {})
}

/** Asks the model of a chat. */
export async function say(page: Page, text: string): Promise<void> {
  await page.locator('#chat-input').click()
  await page.keyboard.type(text)
  await page.keyboard.press('Enter')
}

/** How many of these words, one after the other from the first on, were to be read on the page at some time; until it is told to end. */
export function wordsSeen(page: Page, words: string[]): { end(): number[] } {
  const seen = new Set<number>()
  const look = setInterval(async () => {
    const text = await page
      .locator('body')
      .innerText()
      .catch(() => '')
    seen.add(words.filter((_, at) => text.includes(words.slice(0, at + 1).join(' '))).length)
  }, 100)
  return {
    end() {
      clearInterval(look)
      return [...seen]
    },
  }
}
