// What is asked for over HTTP because it changes only with what is pushed anyway: when it is shown, and when that changes.
import { shallowRef, watch, type ShallowRef, type WatchSource } from 'vue'
import type { Failure, Result } from '../api/http'

export interface Asked<T> {
  /** The last answer; null before the first. */
  readonly value: ShallowRef<T | null>
  readonly error: ShallowRef<Failure | null>
  load(): Promise<void>
}

/** Asks now, and again whenever `when` changes; an answer to an earlier question is never shown over a later one. */
export function useAsked<T>(ask: () => Promise<Result<T>>, when?: WatchSource<unknown>): Asked<T> {
  const value: ShallowRef<T | null> = shallowRef(null)
  const error: ShallowRef<Failure | null> = shallowRef(null)
  let asked = 0
  async function load() {
    const mine = ++asked
    const answer = await ask()
    if (mine !== asked) return
    if (answer.ok) value.value = answer.value
    error.value = answer.ok ? null : answer.error
  }
  if (when) watch(when, () => void load())
  void load()
  return { value, error, load }
}
