// Calls once per animation frame, and once more after that frame was painted.
// A hidden page has no animation frames: there a slow timer stands in, so that the node is still answered.

export interface Painter {
  /** Asks for one flush; further calls before it are joined. */
  request(): void
  dispose(): void
}

const HIDDEN_MS = 1_000

export function framePainter(flush: () => void, painted: () => void): Painter {
  const channel = new MessageChannel()
  let frame = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  let wanted = false

  // The message is handled after the frame's rendering: that is the earliest "painted" a page can know.
  channel.port1.onmessage = painted

  function run() {
    wanted = false
    flush()
    channel.port2.postMessage(null)
  }
  function schedule() {
    if (document.hidden) timer = setTimeout(run, HIDDEN_MS)
    else frame = requestAnimationFrame(run)
  }
  function onVisibility() {
    if (!wanted) return
    cancelAnimationFrame(frame)
    clearTimeout(timer)
    schedule()
  }
  document.addEventListener('visibilitychange', onVisibility)

  return {
    request() {
      if (wanted) return
      wanted = true
      schedule()
    },
    dispose() {
      cancelAnimationFrame(frame)
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', onVisibility)
      channel.port1.close()
    },
  }
}
