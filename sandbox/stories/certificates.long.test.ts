import { suites } from '../attacks/versions/debian.ts'
import { swapping } from './swapping.ts'

for (const suite of suites) swapping(suite)
