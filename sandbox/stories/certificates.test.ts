import { swapping } from './swapping.ts'

swapping()
