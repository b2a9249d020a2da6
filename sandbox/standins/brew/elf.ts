import { chmodSync, readFileSync, writeFileSync } from 'node:fs'

/** Numbers of the ELF format (elf.h). */
const PT_DYNAMIC = 2
const PT_NOTE = 4
const NT_GNU_BUILD_ID = 3
const DT_NULL = 0
const DT_STRTAB = 5
const DT_RPATH = 15
const DT_RUNPATH = 29

/** The loader reads `$ORIGIN` as the folder of the program itself. */
const searched = Buffer.from('$ORIGIN/lib\0')

interface Segment {
  type: number
  offset: number
  address: number
  size: number
}

function segments(elf: Buffer): Segment[] {
  const start = Number(elf.readBigUInt64LE(32))
  const size = elf.readUInt16LE(54)
  return Array.from({ length: elf.readUInt16LE(56) }, (_, at) => {
    const head = start + at * size
    return {
      type: elf.readUInt32LE(head),
      offset: Number(elf.readBigUInt64LE(head + 8)),
      address: Number(elf.readBigUInt64LE(head + 16)),
      size: Number(elf.readBigUInt64LE(head + 32)),
    }
  })
}

/** Where the build id's bytes are: loaded with the program, needed by nobody who runs it. */
function spareBytes(elf: Buffer, notes: Segment[]): { offset: number; address: number } | undefined {
  for (const { offset, address, size } of notes) {
    for (let at = 0; at + 12 <= size; ) {
      const [name = 0, length = 0, type = 0] = [0, 4, 8].map((field) => elf.readUInt32LE(offset + at + field))
      const body = at + 12 + Math.ceil(name / 4) * 4
      if (type === NT_GNU_BUILD_ID && length >= searched.length)
        return { offset: offset + body, address: address + body }
      at = body + Math.ceil(length / 4) * 4
    }
  }
  return undefined
}

interface Entry {
  tag: number
  value: bigint
  at: number
}

function entries(elf: Buffer, { offset, size }: Segment): Entry[] {
  return Array.from({ length: Math.floor(size / 16) }, (_, index) => {
    const at = offset + index * 16
    return { tag: Number(elf.readBigInt64LE(at)), value: elf.readBigUInt64LE(at + 8), at }
  })
}

function patch(elf: Buffer): boolean {
  const isElf64 = elf.subarray(0, 6).equals(Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1]))
  const all = isElf64 ? segments(elf) : []
  const dynamic = all.find(({ type }) => type === PT_DYNAMIC)
  const spare = spareBytes(
    elf,
    all.filter(({ type }) => type === PT_NOTE),
  )
  if (!dynamic || !spare) return false
  const list = entries(elf, dynamic)
  const strings = list.find(({ tag }) => tag === DT_STRTAB)?.value
  const ends = list.filter(({ tag }) => tag === DT_NULL)
  const [free] = ends
  // The list must still end in a null entry, and must not name a path of its own.
  if (strings === undefined || free === undefined || ends.length < 2) return false
  if (list.some(({ tag }) => tag === DT_RPATH || tag === DT_RUNPATH)) return false
  searched.copy(elf, spare.offset)
  elf.writeBigInt64LE(BigInt(DT_RPATH), free.at)
  elf.writeBigUInt64LE(BigInt.asUintN(64, BigInt(spare.address) - strings), free.at + 8)
  return true
}

/**
 * Copies a program so that it finds its libraries in the folder `lib` beside it, by no environment: HAProxy's master
 * starts itself again by its own path on each reload. False when the program has no room for that; it is copied as it is.
 */
export function copyWithLibraries(from: string, to: string): boolean {
  const elf = readFileSync(from)
  const patched = patch(elf)
  writeFileSync(to, elf)
  chmodSync(to, 0o755)
  return patched
}
