/** The old order with what is gone taken out and what is new put at the end. */
export function keepOrder(old: readonly string[], wanted: readonly string[]): string[] {
  const now = new Set(wanted)
  const before = new Set(old)
  return [...old.filter((id) => now.has(id)), ...wanted.filter((id) => !before.has(id))]
}
