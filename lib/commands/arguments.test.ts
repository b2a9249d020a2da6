import { expect, test } from 'vitest'
import { resolverOf } from './arguments.ts'

test.each(['192.168.1.1', '127.0.0.1:5353', 'fd00::1', '[fd00::1]:53', undefined])(
  'a resolver is an address, with a port or without: %s',
  (resolver) => {
    expect(resolverOf({ resolver })).toBe(resolver)
  },
)

test.each(['ns.example.net', '', '1.2.3', '[ns]:53', '127.0.0.1:'])(
  'anything else is refused before anybody is asked: %j',
  (resolver) => {
    expect(() => resolverOf({ resolver })).toThrow(
      `--resolver takes an address such as 192.168.1.1 or 127.0.0.1:5353, not ${JSON.stringify(resolver)}.`,
    )
  },
)
