// Rows of cards: what is seen is redrawn at once, what is scrolled away catches up later, so that a flood of changes
// costs what is on the screen and not what exists. It does catch up: a page search and a screen reader read it too.
import { onBeforeUnmount, onMounted, shallowRef, watch, type Ref, type ShallowRef } from 'vue'

const CATCH_UP_MS = 2_000
const MARGIN = '300px'

const seen = new WeakMap<Element, (visible: boolean) => void>()
const observer =
  typeof IntersectionObserver === 'undefined'
    ? null
    : new IntersectionObserver(
        (entries) => {
          for (const entry of entries) seen.get(entry.target)?.(entry.isIntersecting)
        },
        { rootMargin: MARGIN },
      )

/** The row as it is drawn. */
export function useVisibleRow<T>(row: ShallowRef<T>, element: Ref<HTMLElement | null>): ShallowRef<T> {
  const drawn = shallowRef(row.value) as ShallowRef<T>
  let visible = true
  let timer: ReturnType<typeof setTimeout> | undefined

  function draw() {
    clearTimeout(timer)
    timer = undefined
    drawn.value = row.value
  }
  watch(row, () => {
    if (visible || drawn.value === undefined || row.value === undefined) draw()
    else timer ??= setTimeout(draw, CATCH_UP_MS * (1 + Math.random())) // not all in one frame
  })
  function look(now: boolean) {
    visible = now
    if (now) draw()
  }
  let watched: Element | null = null
  const stop = () => {
    if (!watched) return
    observer?.unobserve(watched)
    seen.delete(watched)
    watched = null
  }
  onMounted(() => {
    watch(
      element,
      (el) => {
        stop()
        if (!el || !observer) return
        watched = el
        seen.set(el, look)
        observer.observe(el)
      },
      { immediate: true },
    )
  })
  onBeforeUnmount(() => {
    stop()
    clearTimeout(timer)
  })
  return drawn
}
