/** A block of a page that claims to be what a run printed. */
export interface Block {
  /** the recorded run, such as docs/pictures/status.txt */
  file: string
  /** shortened: a line `…` stands for lines that are left out */
  part: boolean
  text: string
}

const block = /<!-- (part of )?(docs\/pictures\/[\w-]+\.txt) -->\n```\n([\s\S]*?)```\n/g

/** The blocks that a mark above them says to be recorded. */
export const blocksOf = (page: string): Block[] =>
  [...page.matchAll(block)].map(([, part, file = '', text = '']) => ({ file, text, part: part !== undefined }))

/** The page with what the runs printed now, where it shows all of it. */
export const filled = (page: string, recorded: (file: string) => string | undefined): string =>
  page.replaceAll(block, (old, part: string | undefined, file: string) => {
    const now = part === undefined ? recorded(file) : undefined
    return now === undefined ? old : `<!-- ${file} -->\n\`\`\`\n${now}\`\`\`\n`
  })
