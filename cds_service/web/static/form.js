// Makes a form better where scripts run; without them every page works by its buttons.
// On a page with the whole form, a changed answer is posted, and the questions and what they decide are shown anew.

const said = () => document.getElementById('said')
let typed = 0

function focusProblems () {
  document.querySelector('.nhsuk-error-summary')?.focus()
}

function questions (root) {
  return [...root.querySelectorAll('[data-question]')].map((each) => each.dataset.question).join()
}

function announce (before, page) {
  const words = page.querySelector('[data-said]')?.dataset.said ?? ''
  const changed = before.questions !== questions(page) ? 'The questions have changed. ' : ''
  if (changed || words !== before.said) said().textContent = changed + words
}

function show (page) {
  const now = document.getElementById('page')
  const before = { questions: questions(now), said: now.querySelector('[data-said]')?.dataset.said ?? '' }
  const focused = document.activeElement?.id
  now.replaceWith(page)
  if (focused) document.getElementById(focused)?.focus()
  listen()
  announce(before, page)
}

// Nothing that was typed since the answer was sent may be lost: then the page stays, and the next change asks again.
async function update (form) {
  const sent = typed
  const body = new URLSearchParams(new FormData(form))
  body.set('do', 'update')
  try {
    const reply = await fetch(form.action, { method: 'POST', body, headers: { Accept: 'text/html' } })
    const page = new DOMParser().parseFromString(await reply.text(), 'text/html').getElementById('page')
    if (reply.ok && page && sent === typed) show(document.adoptNode(page))
  } catch { /* Offline, or the server is away: the buttons say so when one is pressed. */ }
}

function listen () {
  const form = document.querySelector('form[data-live]')
  if (!form) return
  form.classList.add('app-scripted')
  form.addEventListener('input', () => { typed += 1 })
  form.addEventListener('change', () => update(form))
}

function tellOpener () {
  const done = document.querySelector('[data-done]')
  if (!done) return
  const channel = new BroadcastChannel('procedure-funding')
  channel.postMessage({ done: done.dataset.done })
  channel.close()
}

focusProblems()
listen()
tellOpener()
