import { t, tn } from '../i18n'
import { largest } from '../model/duration'

/** "5 min" in the page's language. */
export function duration(ms: number): string {
  const { n, unit } = largest(ms)
  return unit === 'd' ? tn('duration.d', n) : t(`duration.${unit}`, { n })
}
