/** The verbs that this launchctl knows, with the words of the real one's help. */
const verbs: [string, string][] = [
  ['bootstrap', 'Bootstraps a domain or a service into a domain.'],
  ['bootout', 'Tears down a domain or removes a service from a domain.'],
  ['enable', 'Enables an existing service.'],
  ['disable', 'Disables an existing service.'],
  ['kickstart', 'Forces an existing service to start.'],
  ['kill', 'Sends a signal to the service instance.'],
  ['print', 'Prints a description of a domain or service.'],
  ['print-disabled', 'Prints which services are disabled.'],
  ['load', 'Bootstraps a service or directory of services.'],
  ['unload', 'Unloads a service or directory of services.'],
  ['list', 'Lists information about services.'],
  ['start', 'Starts the specified service.'],
  ['stop', 'Stops the specified service if it is running.'],
  ['setenv', 'Sets the specified environment variables for all services within the domain.'],
  ['unsetenv', 'Unsets the specified environment variables for all services within the domain.'],
  ['getenv', 'Gets the value of an environment variable from within launchd.'],
  ['asuser', 'Execute a program in the bootstrap context of a given user.'],
  ['managerpid', 'Prints the PID of the launchd controlling the session.'],
  ['manageruid', 'Prints the UID of the current launchd session.'],
  ['managername', 'Prints the name of the current launchd session.'],
  ['error', 'Prints a description of an error.'],
  ['help', 'Prints the usage for a given subcommand.'],
]

/** The text of `launchctl help`. */
export function usage(): string {
  const rows = verbs.map(([verb, what]) => `\t${verb.padEnd(16)}${what}\n`)
  return `Usage: launchctl <subcommand> ... | help [subcommand]\n\nSubcommands:\n${rows.join('')}`
}
