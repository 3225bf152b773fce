// The command palette, the sheet of shortcuts, and the keys that lead everywhere.
import { shallowRef } from 'vue'
import { go, ROUTES, type PageName } from './route'

export type Overlay = 'palette' | 'keys' | null
export const overlay = shallowRef<Overlay>(null)

export function open(what: Exclude<Overlay, null>): void {
  overlay.value = what
}
export function close(): void {
  overlay.value = null
}

/** `g`, then one of these. */
export const GO_KEYS: Record<string, PageName> = { a: 'apps', s: 'store', v: 'activity', n: 'node', t: 'tree', e: 'settings' }
/** By when the keys were pressed, not by when a busy page came to them. */
const CHORD_MS = 1_500
let chordUntil = 0

const writing = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))

export function onShortcut(ev: KeyboardEvent): void {
  if (ev.key.toLowerCase() === 'k' && (ev.ctrlKey || ev.metaKey) && !ev.shiftKey && !ev.altKey) {
    ev.preventDefault()
    overlay.value = overlay.value === 'palette' ? null : 'palette'
    return
  }
  if (ev.ctrlKey || ev.metaKey || ev.altKey || ev.defaultPrevented || writing(ev.target) || document.querySelector('dialog[open]')) return
  if (ev.key === '?') {
    ev.preventDefault()
    open('keys')
  } else if (ev.key === '/') {
    ev.preventDefault()
    const field = document.querySelector<HTMLInputElement>('[data-search]')
    if (field) field.focus()
    else open('palette')
  } else if (ev.key === 'g') {
    chordUntil = ev.timeStamp + CHORD_MS
  } else if (ev.timeStamp < chordUntil) {
    chordUntil = 0
    const page = GO_KEYS[ev.key]
    if (!page) return
    ev.preventDefault()
    go(ROUTES[page])
  }
}
