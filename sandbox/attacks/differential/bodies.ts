import fc, { type Arbitrary } from 'fast-check'

/** Bodies are texts of bytes (latin1): what is written in UTF-8 is brought to bytes here. */
const bytesOf = (text: string): string => Buffer.from(text).toString('latin1')

const hex = (letter: string): string => `\\u00${letter.charCodeAt(0).toString(16)}`

/** One letter as JSON lets it be written, and now and then as it does not. */
const letter = (plain: string): Arbitrary<string> => {
  const capital = plain.toUpperCase()
  const strange = [`\\x${hex(plain).slice(4)}`, `\\U${hex(plain).slice(2)}`, `\\${plain}`, `${plain}\\u0000`]
  return fc.oneof(
    { weight: 8, arbitrary: fc.constant(plain) },
    { weight: 2, arbitrary: fc.constant(capital) },
    { weight: 2, arbitrary: fc.constantFrom(hex(plain), hex(capital), hex(plain).toUpperCase().replace('U', 'u')) },
    { weight: 1, arbitrary: fc.constantFrom(hex(capital).toUpperCase().replace('U', 'u'), hex(plain).toUpperCase()) },
    { weight: 1, arbitrary: fc.constantFrom(...strange, bytesOf(String.fromCodePoint(0xfee0 + plain.charCodeAt(0)))) },
  )
}

const spelled: Arbitrary<string> = fc.tuple(...[...'model'].map(letter)).map((letters) => `"${letters.join('')}"`)

/** Spellings that Go reads as model, each with one letter changed: what a look ahead that forgets one thing lets through. */
const oneOff: Arbitrary<string> = fc.tuple(fc.nat(4), fc.nat(3)).map(([at, how]) => {
  const plain = 'model'[at] ?? ''
  const forms = [plain.toUpperCase(), hex(plain), hex(plain.toUpperCase()), hex(plain).toUpperCase().replace('U', 'u')]
  return `"${'model'.slice(0, at)}${forms[how]}${'model'.slice(at + 1)}"`
})

const nearMiss = fc.constantFrom('"models"', '"mode"', '"model "', '" model"', '"m\\u006fde"', '"model\\u0000"', '""')

/** White space of JSON, and what others take for it: form feed, vertical tab, NEL, no-break space, byte-order mark. */
const blank: Arbitrary<string> = fc.oneof(
  { weight: 200, arbitrary: fc.constant('') },
  { weight: 60, arbitrary: fc.constantFrom(' ', '\n', '\t', '\r\n', '    ') },
  {
    weight: 1,
    arbitrary: fc.constantFrom('\v', '\f', '\x85', '\xa0', '\0', bytesOf('\u00a0\u2028'), bytesOf('\ufeff')),
  },
)

const spaced = (text: Arbitrary<string>): Arbitrary<string> =>
  fc.tuple(blank, text, blank).map((parts) => parts.join(''))

/** Pieces of strings: what looks like the end of one, a key, a model; valid escapes first, broken ones rarer. */
const soundPieces = [
  ...['hello', '\\"', '\\\\', '\\\\\\"', '\\/', '\\n', '\\u0022', '\\u005c', '\\u006d', '\\ud83d\\ude00', '\\u0000'],
  ...['{', '}', '[', ']', ':', ',', '\\"model\\":\\"deepseek-r1:70b\\"', '\\",\\"model\\":\\"', '},{', '//', '/*'],
  ...['model', ' ', '\x7f', bytesOf('é€😀'), bytesOf('\u2028')],
]
const brokenPieces = [
  '\\',
  '\\x',
  '\\u12',
  '\\u',
  '\n',
  '\t',
  '\0',
  '\x01',
  '\\ud800',
  '\xff',
  '\xc3',
  '\xed\xa0\x80',
  '"',
]
const pieces = (chance: number): Arbitrary<string> =>
  fc
    .array(
      fc.oneof(
        { weight: 100, arbitrary: fc.constantFrom(...soundPieces) },
        { weight: chance, arbitrary: fc.constantFrom(...brokenPieces) },
      ),
      { maxLength: 5 },
    )
    .map((parts) => parts.join(''))
const text = pieces(1).map((inner) => `"${inner}"`)

const plainKey = fc.constantFrom(
  '"messages"',
  '"stream"',
  '"tools"',
  '"options"',
  '"max_tokens"',
  '"name"',
  '"x"',
  '"m"',
)
const insideKey = fc.oneof(
  { weight: 4, arbitrary: plainKey },
  { weight: 3, arbitrary: fc.constantFrom('"model"', '"Model"', '"$.model"', '"properties"') },
  { weight: 2, arbitrary: text },
  { weight: 1, arbitrary: spelled },
)

const scalar = fc.oneof(
  { weight: 40, arbitrary: text },
  {
    weight: 20,
    arbitrary: fc.constantFrom('true', 'false', 'null', '0', '-1', '1.5e3', '"qwen3"', '"deepseek-r1:70b"'),
  },
  {
    weight: 10,
    arbitrary: fc.double({ noDefaultInfinity: true, noNaN: true }).map((number) => JSON.stringify(number)),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('+1', '01', '.5', 'NaN', 'True', 'truefalse', 'undefined', "'x'", '1.', '0x1'),
  },
)

const listOf = (item: Arbitrary<string>, most: number): Arbitrary<string> =>
  fc.array(spaced(item), { maxLength: most }).map((items) => items.join(','))
const pairOf = (key: Arbitrary<string>, value: Arbitrary<string>): Arbitrary<string> =>
  fc.tuple(spaced(key), spaced(value)).map(([name, inner]) => `${name}:${inner}`)

const { value } = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    { weight: 5, arbitrary: scalar },
    { weight: 1, arbitrary: listOf(tie('value'), 4).map((inner) => `[${inner}]`) },
    { weight: 2, arbitrary: listOf(pairOf(insideKey, tie('value')), 4).map((inner) => `{${inner}}`) },
  ),
}))

/** The schema of a tool whose arguments speak of models. */
const tool = fc
  .tuple(insideKey, text, fc.constantFrom('"model"', '"Model"', '"mOdEl"'))
  .map(([key, about, name]) =>
    [`{"type":"function","function":{"name":"pick","description":${about},"parameters":{"type":"object",`]
      .concat(`"properties":{${name}:{"type":"string","enum":["model","deepseek-r1:70b"]},${key}:{"type":"object"}},`)
      .concat(`"required":[${name}]}}}`)
      .join(''),
  )
const tools = fc.array(tool, { maxLength: 3 }).map((all) => `"tools":[${all.join(',')}]`)

const messages = fc
  .array(text, { maxLength: 4 })
  .map((all) => `"messages":[${all.map((one) => `{"role":"user","content":${one}}`).join(',')}]`)

const goodName = fc.constantFrom('qwen3', 'qwen3:0.6b', 'QWEN3:0.6B', 'library/qwen3:latest', 'gemma3:1b')
const strangeName = fc.oneof(
  fc.constantFrom(
    'deepseek-r1:70b',
    'llama3.3',
    '',
    'qwen3 ',
    'qwen3\\u0000',
    '\\u0071wen3',
    'qwen3\\/',
    'q'.repeat(201),
  ),
  fc.constantFrom(
    bytesOf('qwen３'),
    'qwen3\xff',
    bytesOf('qwen3\u212a'),
    'qwen3"',
    'qwen3\\"',
    'qwen3\\',
    'qwen3|x',
    'bob|qwen3',
  ),
  pieces(4),
)
const goodModel = pairOf(
  fc.constant('"model"'),
  goodName.map((name) => `"${name}"`),
)
const strangeModel = pairOf(
  fc.oneof(fc.constant('"model"'), spelled, oneOff, oneOff, nearMiss, text),
  fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom('"deepseek-r1:70b"', '"llama3.3"', '"gemma3:1b"') },
    { weight: 1, arbitrary: strangeName.map((name) => `"${name}"`) },
    { weight: 1, arbitrary: value },
  ),
)

const deepPair = fc
  .tuple(
    fc.constantFrom(['[', ']'], ['{"model":', '}'], ['{"x":[', ']}'], ['{"a":1,"model":{"model":', '}}']),
    fc.oneof({ weight: 12, arbitrary: fc.integer({ min: 1, max: 40 }) }, { weight: 1, arbitrary: fc.nat(3000) }),
    fc.nat(9),
  )
  .map(
    ([[open = '', close = ''], depth, lost]) =>
      `"x":${open.repeat(depth)}"model"${close.repeat(Math.max(0, depth - (lost === 9 ? 1 : 0)))}`,
  )
const longPair = fc
  .tuple(fc.constantFrom(...soundPieces), fc.oneof(fc.nat(300), fc.nat(300), fc.nat(20_000)))
  .map(([piece, times]) => `"long":"${piece.repeat(times)}"`)
const manyPairs = fc.nat(400).map((times) => '"m":1,'.repeat(times).concat('"m":2'))

const pair = fc.oneof(
  { weight: 20, arbitrary: pairOf(plainKey, value) },
  { weight: 8, arbitrary: messages },
  { weight: 6, arbitrary: tools },
  { weight: 4, arbitrary: pairOf(text, value) },
  { weight: 4, arbitrary: strangeModel },
  { weight: 2, arbitrary: deepPair },
  { weight: 1, arbitrary: longPair },
  { weight: 1, arbitrary: manyPairs },
)
const comma = fc.oneof(
  { weight: 60, arbitrary: fc.constant(',') },
  { weight: 1, arbitrary: fc.constantFrom(',,', ';', '', ':', ',"":', '}{') },
)
const pairs = fc
  .array(fc.tuple(pair, comma), { maxLength: 4 })
  .map((all) => all.map((parts) => parts.join('')).join(''))

const first = fc.oneof(
  { weight: 12, arbitrary: goodModel },
  { weight: 2, arbitrary: strangeModel },
  { weight: 1, arbitrary: pair },
)
const inner = fc
  .tuple(pairs, first, pairs)
  .map(([before, one, after]) => `${before}${one}${after && `,${after.replace(/,$/, '')}`}`)

const prefix = fc.oneof(
  { weight: 20, arbitrary: blank },
  {
    weight: 1,
    arbitrary: fc.constantFrom(bytesOf('\ufeff'), '\xff\xfe', '\0', '[', '{', 'null', ")]}',\n", '{}', '//\n'),
  },
)
const suffix = fc.oneof(
  { weight: 20, arbitrary: blank },
  { weight: 2, arbitrary: strangeModel.map((model) => `{${model}}`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('}', ']', ',', 'x', '\0', '\n{}', ',"model":"llama3.3"}', bytesOf('\ufeff'), '/**/'),
  },
)
const whole = fc.tuple(prefix, inner, suffix).map(([front, middle, back]) => `${front}{${middle}}${back}`)

type Edit = (body: string) => string
const place = fc.double({ min: 0, max: 1, noNaN: true })
const at = (body: string, share: number): number => Math.min(body.length, Math.floor(share * (body.length + 1)))

/** Changes of bytes anywhere: cut off, turned over, put in, taken out, repeated. */
const edit: Arbitrary<Edit> = fc.oneof(
  place.map(
    (share): Edit =>
      (body) =>
        body.slice(0, at(body, share)),
  ),
  fc.tuple(place, fc.nat(7)).map(
    ([share, bit]): Edit =>
      (body) => {
        const spot = Math.min(at(body, share), body.length - 1)
        const turned = String.fromCharCode((body.charCodeAt(Math.max(0, spot)) || 0) ^ (1 << bit))
        return body.slice(0, Math.max(0, spot)) + turned + body.slice(spot + 1)
      },
  ),
  fc.tuple(place, fc.constantFrom(...'"\\{}[]:,u0m \n\0\x80\xff')).map(
    ([share, byte]): Edit =>
      (body) => {
        const spot = at(body, share)
        return body.slice(0, spot) + byte + body.slice(spot)
      },
  ),
  fc.tuple(place, fc.nat(12)).map(
    ([share, length]): Edit =>
      (body) => {
        const spot = at(body, share)
        return body.slice(0, spot) + body.slice(spot + length)
      },
  ),
  fc.tuple(place, place, fc.nat(40)).map(
    ([from, to, length]): Edit =>
      (body) => {
        const [copied, spot] = [at(body, from), at(body, to)]
        return body.slice(0, spot) + body.slice(copied, copied + length) + body.slice(spot)
      },
  ),
)
const edits = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Edit[]>([]) },
  { weight: 1, arbitrary: fc.array(edit, { minLength: 1, maxLength: 3 }) },
)

/** Hostile and mutated bodies, as texts of bytes (latin1). */
export const bodies: Arbitrary<string> = fc
  .tuple(whole, edits)
  .map(([body, changes]) => changes.reduce((changed, change) => change(changed), body))
