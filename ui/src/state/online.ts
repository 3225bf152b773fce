// Whether the browser itself believes to have a network.
import { shallowRef, type ShallowRef } from 'vue'

const online = shallowRef(navigator.onLine)
addEventListener('online', () => (online.value = true))
addEventListener('offline', () => (online.value = false))

export const useOnline = (): ShallowRef<boolean> => online
