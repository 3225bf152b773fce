// Hands calls of window.nostr on to the page that shows this one in a frame, if it has a key to sign with.
(() => {
  if (window.nostr || window.parent === window) return
  const waiting = new Map()
  const ask = (method, params) => new Promise((resolve, reject) => {
    const id = crypto.randomUUID()
    waiting.set(id, { resolve, reject })
    window.parent.postMessage({ kind: 'nostr-request', id, method, params }, '*')
  })
  window.addEventListener('message', ({ source, data }) => {
    if (source !== window.parent || data?.kind !== 'nostr-response' || !waiting.has(data.id)) return
    const { resolve, reject } = waiting.get(data.id)
    waiting.delete(data.id)
    data.error ? reject(new Error(String(data.error))) : resolve(data.result)
  })
  window.nostr = {
    getPublicKey: () => ask('getPublicKey', {}),
    signEvent: (event) => ask('signEvent', { event }),
  }
})()
