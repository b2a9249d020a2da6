import { suites } from '../attacks/versions/debian.ts'
import { holds } from './holding.ts'

for (const suite of suites.slice(0, -1)) holds(suite)
