// One polite live region: outcomes and states that need attention, not every change.
import { shallowRef } from 'vue'

const PAUSE_MS = 5_000
export const announcement = shallowRef('')
const waiting: string[] = []
let resting = false

function next(): void {
  const text = waiting.splice(0).join('. ')
  resting = text !== ''
  if (!resting) return
  announcement.value = text
  setTimeout(next, PAUSE_MS)
}

export function announce(text: string): void {
  if (waiting.includes(text)) return
  waiting.push(text)
  if (!resting) next()
}
