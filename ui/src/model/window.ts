// Which rows of a long list are drawn: those on the screen and some around them.

export interface Slice {
  readonly from: number
  readonly to: number
  /** Heights of what is not drawn. */
  readonly before: number
  readonly after: number
}

/** For rows of one height. */
export function slice(count: number, rowHeight: number, scrollTop: number, height: number, around = 20): Slice {
  const from = Math.max(0, Math.min(count, Math.floor(scrollTop / rowHeight) - around))
  const to = Math.max(from, Math.min(count, Math.ceil((scrollTop + height) / rowHeight) + around))
  return { from, to, before: from * rowHeight, after: (count - to) * rowHeight }
}
