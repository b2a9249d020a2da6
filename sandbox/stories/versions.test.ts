import { suites } from '../attacks/versions/debian.ts'
import { holds } from './holding.ts'

holds(suites.at(-1) ?? '')
