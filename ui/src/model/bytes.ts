// Sizes in the units that people know; binary, as memory and containers are counted.
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

export function sized(bytes: number): { n: number; unit: (typeof UNITS)[number]; digits: number } {
  let n = Math.max(0, bytes)
  let i = 0
  while (n >= 1024 && i < UNITS.length - 1) {
    n /= 1024
    i++
  }
  return { n, unit: UNITS[i] ?? 'B', digits: i === 0 || n >= 100 ? 0 : 1 }
}
