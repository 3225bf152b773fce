// How well a text fits what somebody types: whole words first, then beginnings, then letters in order.

export function score(text: string, query: string): number {
  const hay = text.toLowerCase()
  const needle = query.trim().toLowerCase()
  if (needle === '') return 1
  if (hay === needle) return 100
  if (hay.startsWith(needle)) return 80
  if (hay.split(/[\s:·/-]+/).some((word) => word.startsWith(needle))) return 60
  if (hay.includes(needle)) return 40
  const words = needle.split(/\s+/)
  if (words.length > 1 && words.every((word) => hay.includes(word))) return 30
  let at = 0
  for (const letter of needle) {
    at = hay.indexOf(letter, at) + 1
    if (at === 0) return 0
  }
  return needle.length > 2 ? 5 : 0
}

/** The best first; the given order decides between equals. */
export function best<T>(items: readonly T[], query: string, text: (item: T) => string, limit: number): T[] {
  return items
    .map((item, i) => ({ item, i, score: score(text(item), query) }))
    .filter((x) => x.score > 0)
    .sort((a, b) => b.score - a.score || a.i - b.i)
    .slice(0, limit)
    .map((x) => x.item)
}
