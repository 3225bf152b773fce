import { createApp } from 'vue'
import App from './App.vue'
import { choice, useLanguage } from './i18n'
import './styles/tokens.css'
import './styles/base.css'

useLanguage(choice.value)
  .catch(() => {}) // the other language could not be loaded: English stands in
  .finally(() => createApp(App).mount('#app'))

// Only in secure contexts: a node on a plain-http address of the home network does without.
if (import.meta.env.PROD && 'serviceWorker' in navigator) void navigator.serviceWorker.register('/sw.js').catch(() => {})
