import { defineAsyncComponent, type AsyncComponentLoader, type Component } from 'vue'

/** A part that is loaded when it is first shown; a failed load is tried again by the next visit. */
export const lazy = (loader: AsyncComponentLoader): Component => defineAsyncComponent({ loader, delay: 200 })
