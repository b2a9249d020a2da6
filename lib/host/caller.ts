/** Who typed `sudo` before this, by name: whose keys and known machines a person means there. Undefined where nobody did, or root. */
export function calledBySudo(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const name = env.SUDO_USER
  return name === undefined || name === '' || name === 'root' ? undefined : name
}
