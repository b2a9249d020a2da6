import { z } from 'zod'
import { type Group, groups, openable, presets } from './endpoints.ts'
import { didYouMean } from './nearest.ts'

const selectableNames = () => [...Object.keys(presets), ...(Object.keys(groups) as Group[]).filter(openable)]

/** A group or a preset of groups, as settings name them. */
export const group = z.string().superRefine((name, context) => {
  if (Object.hasOwn(presets, name)) return
  const known = Object.hasOwn(groups, name) ? groups[name as Group] : undefined
  const message = !known
    ? `unknown group "${name}"; known are ${selectableNames().join(', ')}${didYouMean(name, selectableNames())}`
    : !openable(name as Group)
      ? `group "${name}" cannot be opened: ${known.what}`
      : undefined
  if (message) context.addIssue({ code: 'custom', message })
})
