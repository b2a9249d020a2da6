/** Settings of a gateway with a node at each port. */
export const behind = (ports: number[], slots: number, more = ''): string =>
  `role: gateway\nnodes:\n${ports
    .map((port, at) => `  n${at + 1}: { address: 127.0.0.1, port: ${port}, engine: vllm, slots: ${slots} }\n`)
    .join('')}${more}`
