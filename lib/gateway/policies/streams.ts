import type { Policy } from '../policy.ts'

/** Tokens leave at once, half an hour of silence is allowed, a hang-up reaches the engine at once (haproxy-policy.md §6). */
export function streams(): Policy {
  return {
    name: 'streams',
    lines: {
      defaults: [
        'mode http',
        'option http-no-delay',
        'option abortonclose',
        'timeout connect 2s',
        'timeout client 35m',
        'timeout server 35m',
        'timeout http-keep-alive 120s',
        'timeout client-fin 30s',
        'timeout server-fin 30s',
      ],
    },
  }
}
