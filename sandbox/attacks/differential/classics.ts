const tool = {
  name: 'pick',
  parameters: { properties: { model: { enum: ['model', 'Model'] }, Model: { type: 'string' } }, required: ['model'] },
}
const agent = {
  model: 'qwen3',
  messages: [{ role: 'user', content: 'Say "model": "deepseek-r1:70b" \\ in {one} line\n' }],
  tools: [{ type: 'function', function: tool }],
  stream: true,
}
const nested = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`

/** Bodies that somebody thought of, as texts of bytes (latin1): each smuggles a model in a known way, or must pass. */
export const classics: string[] = [
  ...['{"model":"qwen3"}', '{"model":"QWEN3:0.6B"}', ' {\r\n\t"model" : "gemma3:1b"\n}\n', JSON.stringify(agent)],
  ...[
    JSON.stringify(agent, null, 2),
    JSON.stringify({ max_tokens: 5, ...agent }),
    `{"x":${nested(12)},"model":"qwen3"}`,
    `{"model":"qwen3","x":${nested(25)}}`,
  ],
  ...[
    '{"model":"deepseek-r1:70b"}',
    '{"MODEL":"deepseek-r1:70b"}',
    '{"\\u006dodel":"deepseek-r1:70b"}',
    '{}',
    '',
    'null',
  ],
  ...['{"model":"qwen3","model":"deepseek-r1:70b"}', '{"model":"deepseek-r1:70b","model":"qwen3"}'],
  ...['{"model":"qwen3","mODEL":"deepseek-r1:70b"}', '{"Model":"deepseek-r1:70b","model":"qwen3"}'],
  ...['{"model":"qwen3","\\u006dod\\u0065l":"deepseek-r1:70b"}', '{"model":"qwen3","\\u004dOD\\u0045\\u004c":1}'],
  ...['{"model":"qwen3","\\"":"\\\\","mOdel":"deepseek-r1:70b"}', '{"model":"qwen3","\\\\":"\\"","model":"llama3.3"}'],
  ...['{"model":"qwen3","x":"\\\\\\"","model":"llama3.3"}', '{"model":"qwen3","x":{"y":"}"},"model":"llama3.3"}'],
  ...['{"model":"qwen3"}{"model":"deepseek-r1:70b"}', '{"model":"qwen3"} x', '[{"model":"qwen3"}]'],
  ...['{"model":"\\u0071wen3"}', '{"model":"qwen3\\u0000"}', '{"model":3}', '{"model":null}', '{"model":["qwen3"]}'],
  ...['{"x":{"model":"qwen3"}}', '{"x":{"model":"qwen3"},"model":"deepseek-r1:70b"}', '{"model":{"model":"qwen3"}}'],
  ...['{"x":[{"model":"qwen3"}],"model":"llama3.3"}', '{"x":{"model":"llama3.3"},"model":"qwen3"}'],
  ...[
    '\xef\xbb\xbf{"model":"qwen3"}',
    '\0{"model":"qwen3"}',
    '{"model":"qwen3"}\0',
    '{"model":"qwen3","x":"\xff\xc3"}',
  ],
  ...['{"model":"qwen3",}', '{"model":"qwen3"', '{"model":"qwen3","messages":3,"stream":"x"}', "{'model':'qwen3'}"],
  ...['{"model":"qwen3"/*","model":"llama3.3"*/}', '{"model":"qwen3","x":1;"model":"llama3.3"}'],
]
