// Comparing what two observers saw of the same transitions, when each may have missed some.

/** Consecutive equal phases are one. */
export function phases(list) {
  return list.map((x) => x.phase).filter((phase, i, all) => i === 0 || phase !== all[i - 1])
}

/** A transition is known by its phase and the node's time of it. */
export const mark = (x) => `${x.phase}@${x.since}`

/** What both saw, once each, in the order of the first. */
export function common(a, b) {
  const inB = new Set(b)
  return [...new Set(a)].filter((x) => inB.has(x))
}
