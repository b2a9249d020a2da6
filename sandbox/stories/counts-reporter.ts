import type { Reporter, TestModule } from 'vitest/node'

/** Prints the one closing line that any judge of the run understands: `N passed, N failed, N skipped`. */
export default class CountsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const counts = { passed: 0, failed: errors.length, skipped: 0, pending: 0 }
    for (const module of modules) {
      // What went wrong around tests, such as in a hook: these say of themselves that they were skipped.
      for (const whole of [module, ...module.children.allSuites()]) if (whole.errors().length > 0) counts.failed += 1
      for (const test of module.children.allTests()) counts[test.result().state] += 1
    }
    process.on('exit', () => {
      console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped + counts.pending} skipped`)
    })
  }
}
