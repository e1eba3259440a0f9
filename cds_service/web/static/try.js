// The order-entry screen as an EHR: reads the record, calls the hook, draws the cards, opens forms, and asks again
// when they are done. Nothing here makes HTML of a text: every text becomes a text node.

const SERVICE = '/cds-services/procedure-funding'
const EXTENSION = 'cds-service.determination'
const screen = document.getElementById('order-entry')
const block = document.getElementById('hook-body')

function element(name, members = {}, ...children) {
  const made = document.createElement(name)
  for (const [member, value] of Object.entries(members)) {
    if (value !== undefined && value !== null) made.setAttribute(member, value)
  }
  made.append(...children.filter((child) => child !== null && child !== undefined))
  return made
}

// Markdown as our cards use it; web/card_markdown.py does the same for browsers without scripts.

const INLINE = /\\([!-/:-@[-`{-~])|\*\*((?:\\[^]|[^*\\])+)\*\*|\[((?:\\[^]|[^[\]\\])+)\]\((https?:\/\/[^\s()<>]+)\)/g

export function inline(text) {
  const pieces = []
  let end = 0
  for (const found of text.matchAll(INLINE)) {
    pieces.push(text.slice(end, found.index))
    end = found.index + found[0].length
    const [, escaped, bold, label, url] = found
    if (bold) pieces.push(element('strong', {}, ...inline(bold)))
    else if (url) pieces.push(element('a', { href: url }, ...inline(label)))
    else pieces.push(escaped)
  }
  return [...pieces, text.slice(end)]
}

export function markdown(text) {
  const blocks = text.replace(/^\n+|\n+$/g, '').split(/\n{2,}/)
  return blocks.filter((each) => each.trim()).map((each) => {
    const items = each.split('\n').map((line) => line.match(/^(?:-|(\d{1,9})\.) ([^]*)$/))
    if (items.some((item) => item === null)) return element('p', {}, ...inline(each))
    return element(items[0][1] ? 'ol' : 'ul', {}, ...items.map((item) => element('li', {}, ...inline(item[2]))))
  })
}

// The hook call.

async function json(url, options = {}) {
  const answer = await fetch(url, { ...options, headers: { Accept: 'application/json', ...options.headers } })
  const text = await answer.text()
  return { status: answer.status, value: text ? JSON.parse(text) : null }
}

function posted(url, value) {
  return json(url, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(value) })
}

async function prefetch(context, hook) {
  const { value } = await json('/cds-services')
  const service = value.services.find((each) => each.hook === hook)
  const keys = Object.entries(service.prefetch).map(async ([key, template]) => {
    const query = template.replaceAll('{{context.patientId}}', encodeURIComponent(context.patientId))
    return [key, (await json(`/development/fhir/${query}`)).value]
  })
  return Object.fromEntries(await Promise.all(keys))
}

let calls = 0

async function callHook(body) {
  const call = ++calls
  say('Asking…')
  const { prefetch: _, ...rest } = body
  const request = { ...rest, hookInstance: crypto.randomUUID() }
  if (screen.dataset.record === 'sent') request.prefetch = await prefetch(request.context, request.hook)
  const started = performance.now()
  const { status, value } = await posted(SERVICE, request)
  const milliseconds = Math.round(performance.now() - started)
  if (call !== calls) return
  say(`${request.hook} was answered with ${status} in ${milliseconds} ms`)
  show('request-json', request)
  show('response-json', value)
  drawDrafts(request)
  drawCards(request, status, value)
}

function say(words) {
  document.getElementById('hook-status').textContent = words
}

function show(id, value) {
  document.getElementById(id).textContent = JSON.stringify(value, null, 2)
}

// What is drawn.

const SYSTEMS = screen ? JSON.parse(screen.dataset.systems) : {}

function named(code = {}) {
  const coding = (code.coding ?? [])[0]
  const system = coding && (SYSTEMS[coding.system] ?? coding.system)
  return `${code.text ?? 'Procedure'} (${coding ? `${system} ${coding.code}` : 'no code'})`
}

function drawDrafts(request) {
  const drafts = request.context.draftOrders.entry.map((entry) => entry.resource)
  document.getElementById('draft-orders').replaceChildren(
    ...drafts.map((draft) =>
      element('li', {}, element('strong', {}, named(draft.code)), `, ${draft.status} ${draft.resourceType}/${draft.id}`)
    )
  )
}

function drawCards(request, status, response) {
  const cards = response?.cards ?? []
  const nothing = status === 200
    ? 'No cards: no policy has anything to say on this order.'
    : `No cards: ${response?.issue?.[0]?.diagnostics ?? status}`
  document.getElementById('cards').replaceChildren(
    ...(cards.length ? cards.map((card) => drawn(card, request)) : [element('p', {}, nothing)])
  )
}

function drawn(card, request) {
  const { label, url } = card.source ?? {}
  return element(
    'article',
    { class: `app-card app-card--${['info', 'warning', 'critical'].find((each) => each === card.indicator)}` },
    element('h3', {}, card.summary),
    element('p', { class: 'app-card__indicator' }, card.indicator[0].toUpperCase() + card.indicator.slice(1)),
    element('div', { class: 'app-card__detail' }, ...markdown(card.detail ?? '')),
    element('p', { class: 'app-card__source' }, 'Source: ', url ? element('a', { href: web(url) }, label) : label),
    links(card, request),
    suggestions(card, request),
    overrides(card)
  )
}

function web(url) {
  return /^https?:\/\//.test(url) ? url : '#'
}

function links(card, request) {
  if (!card.links?.length) return null
  return element('ul', { class: 'nhsuk-list' }, ...card.links.map((link) => element('li', {}, linked(link, card, request))))
}

function linked(link, card, request) {
  if (link.type !== 'smart') return element('a', { href: web(link.url) }, link.label)
  const launch = new URLSearchParams({
    url: link.url,
    patient: request.context.patientId,
    user: request.context.userId,
    order: card.extension?.[EXTENSION]?.order ?? '',
    appContext: link.appContext ?? ''
  })
  const opened = element('a', { href: `/development/launch?${launch}`, target: '_blank' }, `${link.label} (opens in a new tab)`)
  opened.addEventListener('click', () => { formIsOpen = true })
  return opened
}

function suggestions(card, request) {
  if (!card.suggestions?.length) return null
  return element('div', { class: 'app-buttons' }, ...card.suggestions.map((suggestion) => {
    const button = element('button', { type: 'button', class: 'nhsuk-button nhsuk-button--secondary' }, suggestion.label)
    button.addEventListener('click', () => {
      feedback({ card: card.uuid, outcome: 'accepted', acceptedSuggestions: [{ id: suggestion.uuid }] })
      body = applied(suggestion.actions ?? [], request)
      callHook(body)
    })
    return button
  }))
}

function applied(actions, request) {
  const reference = (resource) => `${resource.resourceType}/${resource.id}`
  let drafts = request.context.draftOrders.entry.map((entry) => entry.resource)
  let selections = request.context.selections
  for (const action of actions) {
    const { type, resource } = action
    if (type === 'delete') {
      const gone = [].concat(action.resourceId ?? reference(resource))
      drafts = drafts.filter((draft) => !gone.includes(reference(draft)))
      selections = selections?.filter((each) => !gone.includes(each))
    } else if (type === 'update') {
      drafts = drafts.map((draft) => (reference(draft) === reference(resource) ? resource : draft))
    } else {
      drafts = [...drafts, resource]
      selections = selections && [...selections, reference(resource)]
    }
  }
  const draftOrders = { ...request.context.draftOrders, entry: drafts.map((resource) => ({ resource })) }
  return { ...request, context: { ...request.context, ...(selections && { selections }), draftOrders } }
}

function overrides(card) {
  if (!card.overrideReasons?.length) return null
  const id = `reason-${card.uuid}`
  const options = card.overrideReasons.map((reason, place) => element('option', { value: place }, reason.display))
  const choice = element('select', { class: 'nhsuk-select', id }, ...options)
  const button = element('button', { type: 'button', class: 'nhsuk-button nhsuk-button--secondary' }, 'Go on all the same')
  const said = element('p', { role: 'status' })
  button.addEventListener('click', async () => {
    const { code, system } = card.overrideReasons[Number(choice.value)]
    const status = await feedback({ card: card.uuid, outcome: 'overridden', overrideReason: { reason: { code, system } } })
    said.textContent = status < 300 ? 'The reason was passed on.' : 'The service takes no feedback yet.'
  })
  return element(
    'details',
    { class: 'nhsuk-details' },
    element('summary', { class: 'nhsuk-details__summary' }, element('span', { class: 'nhsuk-details__summary-text' }, 'Go on all the same')),
    element('div', { class: 'nhsuk-details__text' }, element('label', { class: 'nhsuk-label', for: id }, 'Reason'), choice, button, said)
  )
}

async function feedback(given) {
  const told = { ...given, outcomeTimestamp: new Date().toISOString() }
  const answer = await fetch(`${SERVICE}/feedback`, {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ feedback: [told] })
  })
  return answer.status
}

// A form may have been answered while this tab was away: then the hook is called again.

let body = block ? JSON.parse(block.textContent) : null
let formIsOpen = false

function askAgain() {
  if (formIsOpen && body) callHook(body).catch(failed)
}

function failed() {
  say('The service could not be reached.')
}

if (screen && body) {
  document.getElementById('without-script').hidden = true
  window.addEventListener('focus', askAgain)
  new BroadcastChannel('procedure-funding').addEventListener('message', askAgain)
  callHook(body).catch(failed)
}
