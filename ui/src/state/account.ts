// Lists that are asked for, not pushed: sessions and tokens. Asked for when they are shown and after a change.
import type { ShallowRef } from 'vue'
import { t } from '../i18n'
import type { Failure, Result } from '../api/http'
import { useAsked } from './asked'

export interface Listed<T> {
  readonly list: ShallowRef<readonly T[] | null>
  readonly error: ShallowRef<Failure | null>
  load(): Promise<void>
  /** Does something and asks for the list anew; true where it worked. */
  change(work: Promise<Result<unknown>>): Promise<boolean>
}

export function useListed<T>(ask: () => Promise<Result<T[]>>): Listed<T> {
  const { value: list, error, load } = useAsked(ask)
  async function change(work: Promise<Result<unknown>>) {
    const answer = await work
    if (answer.ok) await load()
    else error.value = answer.error
    return answer.ok
  }
  return { list, error, load, change }
}

/** What failed, in words, and what to do. */
export function wordsOf(error: Failure): { message: string; hint: string | null } {
  if (error.code === 'unreachable') return { message: t('error.unreachable'), hint: t('error.unreachable.hint') }
  const problems = error.problems.map((p) => `${p.message} ${p.remedy}`.trim()).join(' ')
  return { message: error.message || t('error.internal'), hint: error.hint ?? (problems || null) }
}
