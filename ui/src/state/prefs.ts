// What this browser prefers: theme and language.
import { shallowRef, watchEffect } from 'vue'

export type Theme = 'auto' | 'light' | 'dark'
export const THEMES: readonly Theme[] = ['auto', 'light', 'dark']

function read(key: string): string | null {
  try {
    return localStorage.getItem(key)
  } catch {
    return null
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(key, value)
  } catch {
    // private mode: the choice lasts as long as the page
  }
}

export const stored = read

const saved = read('archipelago.theme') as Theme | null
export const theme = shallowRef<Theme>(saved && THEMES.includes(saved) ? saved : 'auto')

watchEffect(() => {
  if (theme.value === 'auto') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = theme.value
  remember('archipelago.theme', theme.value)
})
