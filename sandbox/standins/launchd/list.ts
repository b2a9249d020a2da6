import { type Answer, type Call, fail, ok } from './answer.ts'
import { errno } from './errors.ts'
import { readMac } from './mac.ts'
import { statusOf } from './print.ts'
import { callersDomain } from './target.ts'
import type { Job, World } from './world.ts'

/** The status as wait(2) gives it: an exit status times 256, or the bare signal. */
function rawStatus(job: Job): number {
  const status = statusOf(job)
  return status < 0 ? -status : status * 256
}

function dictionary(job: Job): string {
  const { spec } = job
  const lines = [
    spec.stdoutPath && `"StandardOutPath" = "${spec.stdoutPath}";`,
    spec.stderrPath && `"StandardErrorPath" = "${spec.stderrPath}";`,
    `"LimitLoadToSessionType" = "${job.domain.kind === 'gui' ? 'Aqua' : 'Background'}";`,
    `"Label" = "${spec.label}";`,
    `"OnDemand" = ${spec.keepAlive === false};`,
    `"LastExitStatus" = ${rawStatus(job)};`,
    job.child?.pid !== undefined && `"PID" = ${job.child.pid};`,
    `"Program" = "${spec.program}";`,
    `"ProgramArguments" = (\n${spec.args.map((arg) => `\t\t"${arg}";\n`).join('')}\t);`,
  ]
  const said = lines.filter((line) => typeof line === 'string' && line !== '')
  return `{\n${said.map((line) => `\t${line}\n`).join('')}};\n`
}

/** Apps have rows too: `list | grep com.ollama`-like readers meet Ollama.app's. Label as captured, ollama/ollama#1107. */
function runningApps(world: World): Record<string, number | null> {
  const { launchd, ollamaApp } = readMac(world.box)
  return {
    ...(ollamaApp.running ? { 'application.com.electron.ollama.61282955.61282961': null } : {}),
    ...launchd.apps,
  }
}

/** `launchctl list` and `launchctl list LABEL`, about the domain that the caller stands in. */
export function list(world: World, call: Call): Answer {
  const { jobs } = callersDomain(world, call)
  const label = call.argv[1]
  if (label === undefined) {
    const rows = [...jobs.values()].map((job) => `${job.child?.pid ?? '-'}\t${statusOf(job)}\t${job.spec.label}\n`)
    const apps = Object.entries(runningApps(world)).map(([app, pid]) => `${pid ?? '-'}\t0\t${app}\n`)
    return ok(`PID\tStatus\tLabel\n${[...rows, ...apps].join('')}`)
  }
  const job = jobs.get(label)
  return job ? ok(dictionary(job)) : fail(errno.noService, `Could not find service "${label}" in domain for port`)
}
