/** Says in one sentence what is missing before anything else is loaded: a newer Node, or `npm ci`. */
export function ready(): void {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const old = major < 20 || (major === 20 && minor < 17)
  const missing = old
    ? `Node ${process.versions.node} is too old; run ./bootstrap.sh, which finds or brings Node 20.17 or newer.`
    : packages()
  if (!missing) return
  process.stderr.write(`${missing}\n`)
  process.exit(3)
}

function packages(): string | undefined {
  try {
    import.meta.resolve('zx')
    return undefined
  } catch {
    return 'The packages are not there yet; run `npm ci` in this folder first.'
  }
}
