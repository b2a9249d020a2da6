import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { type Box, isRoot } from './box.ts'
import { intelBox, placeBrew, wrapper } from './brew/kegs.ts'
import { become, complain, say, translated } from './system.ts'

/** curl: the Homebrew installer's address gives the box's own installer; everything else goes to the real curl. */
export async function main(argv: string[], box: Box): Promise<number> {
  const url = argv.find((word) =>
    /^https:\/\/raw\.githubusercontent\.com\/Homebrew\/install\/.*install\.sh$/.test(word),
  )
  if (!url) {
    const real = ['/usr/bin/curl', '/bin/curl'].find((path) => existsSync(path))
    return real ? become(real, argv) : complain('curl: the real curl is not on this machine', 127)
  }
  if (!box.mac.brew.network) return complain('curl: (6) Could not resolve host: raw.githubusercontent.com', 6)
  const script = wrapper(box, 'homebrew-installer').replace('#!/bin/sh', '#!/bin/bash')
  const at = argv.findIndex((word) => word === '-o' || word === '--output')
  const output = argv[at + 1]
  if (at >= 0 && output !== undefined) writeFileSync(output, script)
  else process.stdout.write(script)
  return 0
}

/** It turns itself non-interactive without a terminal and then never asks for a password (install.sh). */
function nonInteractive(): boolean {
  return Boolean(process.env.NONINTERACTIVE || process.env.CI) || !process.stdin.isTTY
}

async function agreed(prefix: string): Promise<boolean> {
  say(
    `==> This script will install:\n${prefix}/bin/brew\n==> The following new directories will be created:\n${prefix}/Cellar\n${prefix}/opt`,
  )
  if (nonInteractive()) return true
  const lines = createInterface({ input: process.stdin, output: process.stdout })
  try {
    return (await lines.question('\nPress RETURN/ENTER to continue or any other key to abort:\n')) === ''
  } finally {
    lines.close()
  }
}

/** What install.sh does, as far as a box needs it: sudo, consent, brew at the prefix that `uname -m` decides. */
export async function installer(_argv: string[], box: Box): Promise<number> {
  if (isRoot()) return complain("Don't run this as root!")
  const silent = nonInteractive()
  if (silent) say('Running in non-interactive mode because `stdin` is not a TTY or `$NONINTERACTIVE` is set.')
  say('==> Checking for `sudo` access (which may request your password)...')
  const sudo = spawnSync('sudo', [...(silent ? ['-n'] : []), '-v'], { stdio: 'inherit' }).status
  if (sudo !== 0)
    return complain(`Need sudo access on macOS (e.g. the user ${box.mac.user} needs to be an Administrator)!`)
  const forIntel = translated(box.mac) || box.mac.arch === 'x86_64'
  const { prefix } = (forIntel ? intelBox(box) : box).mac
  if (!(await agreed(prefix))) return 1
  say('==> Downloading and installing Homebrew...')
  if (!box.mac.brew.network)
    return complain(
      "fatal: unable to access 'https://github.com/Homebrew/brew/': Could not resolve host: github.com\nFailed during: git fetch",
    )
  box.save((mac) => {
    if (forIntel) mac.intelBrew = { installed: {} }
    else mac.brew.present = true
  })
  placeBrew(forIntel ? intelBox(box) : box)
  say('==> Installation successful!\n')
  return say(
    `==> Next steps:\n- Run these commands in your terminal to add Homebrew to your PATH:\n    eval "$(${join(prefix, 'bin/brew')} shellenv)"`,
  )
}
