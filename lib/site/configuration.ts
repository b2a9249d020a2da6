/** A whole configuration: the text, the files it names (absolute path -> text), and the fingerprint that the worker answers. */
export interface Configuration {
  text: string
  files: Record<string, string>
  fingerprint: string
}

/** The fingerprint written in a configuration; empty when it has none. */
export const fingerprintOf = (text: string): string => /setenv CFG_ID ([0-9a-f]{64})/.exec(text)?.[1] ?? ''
