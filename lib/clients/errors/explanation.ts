/** An error as people meet it in a client, and what is behind it. */
export interface Explanation {
  /** `thing.fault` */
  id: string
  /** what is in every text of it */
  says: RegExp
  /** the status that stands for it where a client shows nothing else */
  status?: number[]
  /** a sentence each */
  cause: string
  next: string
  /** texts as they were seen (facts: clients.md §3, §5, §12; issues of the clients), each with who prints it */
  examples: [client: string, text: string][]
}
