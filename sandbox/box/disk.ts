import type { Box } from './box.ts'
import { mountProgram } from './layout.ts'
import { node } from './paths.ts'

/** Lays a disk over a folder, with what the folder holds, and makes it just so large that `$4` KB are left. */
const LAY = `set -e
mount=$1 node=$2 folder=$3
kept=$(mktemp -d)
cp -a "$folder/." "$kept"
"$mount" -t tmpfs -o size=16m,mode=700 disk "$folder"
cp -a "$kept/." "$folder"
rm -r "$kept"
used=$("$node" -p 'const { blocks, bfree, bsize } = fs.statfsSync(process.argv[1]); ((blocks - bfree) * bsize) / 1024' "$folder")
"$mount" -o "remount,size=$((used + $4))k" "$folder"`

/** Puts a folder of a box with namespaces on a small disk; from then on only the box's own programs see what is in it. */
export async function smallDisk(box: Box, folder: string, freeKb: number): Promise<void> {
  const words = [mountProgram(box.dir), node, folder, String(freeKb)]
  const { code, stderr } = await box.run(['/bin/sh', '-c', LAY, 'sh', ...words])
  if (code !== 0) throw new Error(`no small disk at ${folder}: ${stderr}`)
}
