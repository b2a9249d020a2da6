import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    reporters: ['default', './sandbox/stories/counts-reporter.ts'],
    // Stories wait for half of their time.
    maxWorkers: availableParallelism() + 1,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['lib/**/*.test.ts', 'test/**/*.test.ts', 'sandbox/standins/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 600_000,
        },
      },
      {
        test: {
          name: 'stories',
          include: ['sandbox/stories/**/*.test.ts'],
          exclude: ['sandbox/stories/**/*.long.test.ts'],
          testTimeout: 600_000,
          // Programs and whole systems are fetched first where none has them yet.
          hookTimeout: 900_000,
        },
      },
      {
        test: {
          name: 'long',
          include: ['sandbox/stories/**/*.long.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 900_000,
        },
      },
    ],
  },
})
