// Makes a form better where scripts run; without them every page works by its buttons.
// On a page with the whole form, a changed answer is posted, and the questions and what they decide are shown anew.

const said = () => document.getElementById('said')
const LONGEST_WAIT = 10_000 // milliseconds
let typed = 0
let updates = Promise.resolve()
let waiting = 0
let leaving = false

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

function liveForm () {
  return document.querySelector('form[data-live]')
}

// One after the other: of two at once, the server would refuse one as a change from elsewhere. The last says it all.
function update () {
  waiting += 1
  updates = updates.then(() => (waiting > 1 ? null : updated(liveForm()))).finally(() => { waiting -= 1 })
}

// Nothing that was typed since the answer was sent may be lost: then the page stays, and the next change asks again.
async function updated (form) {
  const sent = typed
  const body = new URLSearchParams(new FormData(form))
  body.set('do', 'update')
  try {
    const signal = AbortSignal.timeout(LONGEST_WAIT)
    const reply = await fetch(form.action, { method: 'POST', body, headers: { Accept: 'text/html' }, signal })
    const page = new DOMParser().parseFromString(await reply.text(), 'text/html').getElementById('page')
    if (reply.ok && page && sent === typed && !leaving) show(document.adoptNode(page))
  } catch { /* Offline, or the server is away: the buttons say so when one is pressed. */ }
}

// Whoever presses a button straight after typing has just caused an update: it comes first.
function submitAfterUpdates (event) {
  if (waiting === 0) return
  const { target: form, submitter } = event
  event.preventDefault()
  leaving = true
  updates.then(() => form.requestSubmit(submitter))
}

function listen () {
  const form = liveForm()
  if (!form) return
  form.classList.add('app-scripted')
  form.addEventListener('input', () => { typed += 1 })
  form.addEventListener('change', update)
  form.addEventListener('submit', submitAfterUpdates)
}

function tellOpener () {
  const done = document.querySelector('[data-done]')
  if (!done) return
  const channel = new BroadcastChannel('procedure-funding')
  channel.postMessage({ done: done.dataset.done })
  channel.close()
}

// A page that the browser kept is shown again by its Back button.
window.addEventListener('pageshow', () => { leaving = false })
focusProblems()
listen()
tellOpener()
