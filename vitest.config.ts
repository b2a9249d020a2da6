import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    reporters: ['default', './sandbox/stories/counts-reporter.ts'],
    maxWorkers: 2,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['lib/**/*.test.ts', 'test/**/*.test.ts', 'sandbox/standins/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'stories',
          include: ['sandbox/stories/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
})
