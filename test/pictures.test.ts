import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { drawings } from '../sandbox/pictures/diagrams.ts'
import { drawing } from '../sandbox/pictures/drawing.ts'

const read = (file: string): string => readFileSync(file, 'utf8')

describe('the drawings of the pages', () => {
  it('are those that the script makes', () => {
    const made = { ...drawings(), 'way-light.svg': drawing('light'), 'way-dark.svg': drawing('dark') }
    for (const [name, text] of Object.entries(made)) expect(read(`docs/pictures/${name}`), name).toBe(text)
  })

  it('are shown by the page of their name, light and dark, with words for who does not see them', () => {
    for (const name of Object.keys(drawings())) {
      const page = read(`docs/${name.replace(/-.*/, '')}.md`)
      expect(page).toContain(`"pictures/${name}"`)
      expect(page).toMatch(/<img src="[^"]+" alt="[^"]{20,}">/)
    }
  })

  it('point from one box that is there to another', () => {
    for (const text of Object.values(drawings())) expect(text).not.toMatch(/NaN|undefined|M0 |L0 /)
  })
})
