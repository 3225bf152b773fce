// The pure parts of the catalogue.

export const LOCALES = ['en', 'de'] as const
export type Locale = (typeof LOCALES)[number]

export function pickLocale(languages: readonly string[]): Locale {
  for (const language of languages) {
    const base = language.toLowerCase().split('-')[0]
    const found = LOCALES.find((l) => l === base)
    if (found) return found
  }
  return 'en'
}

export function format(text: string, params: Record<string, string | number> = {}): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in params ? String(params[name]) : whole))
}

const UNITS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
]

/** "12 seconds ago"; a time that is ahead by a skewed clock counts as now. */
export function relative(formatter: Intl.RelativeTimeFormat, from: number, now: number): string {
  const age = Math.max(0, now - from)
  for (const [unit, ms] of UNITS) if (age >= ms) return formatter.format(-Math.floor(age / ms), unit)
  return formatter.format(-Math.floor(age / 1_000), 'second')
}
