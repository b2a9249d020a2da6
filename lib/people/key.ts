import { randomInt } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { sha256 } from '../host/command.ts'

const letters = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const prefix = 'rop_'
/** 30 letters of 62 are 178 random bits; six more hold their CRC-32, so that a mistyped key is known as such. */
const secretLength = 30
const checkLength = 6

/** A new API key. It is told once and kept nowhere: only its hash is. */
export function generateKey(): string {
  const secret = Array.from({ length: secretLength }, () => letters[randomInt(letters.length)]).join('')
  return `${prefix}${secret}${checksum(secret)}`
}

function checksum(secret: string): string {
  let rest = crc32(secret)
  let text = ''
  for (let at = 0; at < checkLength; at += 1) {
    text = `${letters[rest % letters.length]}${text}`
    rest = Math.floor(rest / letters.length)
  }
  return text
}

/** Whether a text has the form and the checksum of a key of ours. */
export function wellFormed(key: string): boolean {
  const [, secret = '', check] =
    new RegExp(`^${prefix}([0-9A-Za-z]{${secretLength}})([0-9A-Za-z]{${checkLength}})$`).exec(key) ?? []
  return secret !== '' && check === checksum(secret)
}

/** SHA-256 in capitals, as HAProxy's `sha2(256),hex` writes it (haproxy-policy.md §3). */
export const hashKey = (key: string): string => sha256(key).toUpperCase()
