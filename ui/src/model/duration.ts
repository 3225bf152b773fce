// A length of time in its largest whole unit.

export type Unit = 's' | 'm' | 'h' | 'd'

export function largest(ms: number): { n: number; unit: Unit } {
  const s = Math.max(0, Math.floor(ms / 1_000))
  if (s < 60) return { n: s, unit: 's' }
  if (s < 3_600) return { n: Math.floor(s / 60), unit: 'm' }
  if (s < 86_400) return { n: Math.floor(s / 3_600), unit: 'h' }
  return { n: Math.floor(s / 86_400), unit: 'd' }
}
