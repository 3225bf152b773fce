// Whether an app fits this node, as far as its manifest and the machine tell before it is installed.
import type { AppFacts } from '../protocol/archy'

export type Need = 'architecture' | 'memory' | 'storage'
/** `unknown`: the machine does not say what it has. */
export type Fit = 'ok' | 'short' | 'unknown'

export interface Check {
  readonly need: Need
  readonly fit: Fit
}

const enough = (need: number, there: number | null): Fit => (there === null ? 'unknown' : there >= need ? 'ok' : 'short')

/** What the app asks for, and whether the machine has it; what it does not ask for is left out. */
export function checks({ needs }: AppFacts): Check[] {
  const list: Check[] = []
  if (needs.architectures.length) list.push({ need: 'architecture', fit: needs.architectures.includes(needs.architecture) ? 'ok' : 'short' })
  if (needs.memory !== null) list.push({ need: 'memory', fit: enough(needs.memory, needs.memory_there) })
  if (needs.storage !== null) list.push({ need: 'storage', fit: enough(needs.storage, needs.storage_there) })
  return list
}

/** Whether nothing speaks against installing it now. */
export const fits = (facts: AppFacts): boolean => facts.problems.length === 0 && checks(facts).every((c) => c.fit !== 'short')

/** Null for anything but a web address: what a manifest says must never run as a script of this page. */
export function webLink(text: string | null): string | null {
  return text !== null && /^https?:\/\/[^\s]+$/i.test(text) ? text : null
}
