// The page: reads /v1/state, and again whenever /v1/events tells of a change (access.js asks). Every value goes in as text, never as HTML.
'use strict'

const INTERVAL = 2000 // milliseconds between two looks at the traffic, while the page is seen
const SETTLE = 120 // milliseconds: a scale by ten is one look, not ten
const HISTORY = 60
const MOST_EVENTS = 100
const MOST_CHANGES = 20
const MOST_DOTS = 24

const KINDS = {
  'instance-up': ['good', 'instance up'],
  'instance-down': ['warn', 'instance down'],
  'instance-waiting': ['warn', 'instance waits'],
  'in-rotation': ['good', 'in rotation'],
  'route-put': ['good', 'route set'],
  'route-removed': ['warn', 'route removed'],
  'route-refused': ['bad', 'route refused'],
  'hold-put': ['', 'held'],
  'hold-promoted': ['good', 'promoted'],
  'hold-ended': ['', 'hold ended'],
  'users-counted': ['', 'users meanwhile'],
  'reload': ['', 'reloaded'],
  'reload-failed': ['bad', 'reload failed'],
  'registry-lost': ['bad', 'registry lost'],
  'registry-back': ['good', 'registry back'],
  'certificate-put': ['good', 'certificate set'],
  'certificate-removed': ['warn', 'certificate removed'],
  'certificate-refused': ['bad', 'certificate refused'],
  'certificate-expires': ['warn', 'certificate ends'],
  'haproxy-died': ['bad', 'HAProxy died'],
  'drift-repaired': ['warn', 'drift repaired']
}

const rates = []
const rows = new Map()
let following = false
let settling = null
let loading = false
let again = false

const $ = (id) => document.getElementById(id)
const number = new Intl.NumberFormat('en', { maximumFractionDigits: 1, notation: 'compact' })
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })

function element (name, classes, text) {
  const made = document.createElement(name)
  if (classes) made.className = classes
  if (text !== undefined) made.textContent = text
  return made
}

function pill (id, kind, text) {
  const place = $(id)
  place.className = 'pill ' + kind
  // Written only when it differs: a screen reader says it again at each change.
  if (place.textContent !== text) place.textContent = text
}

function plural (count, word) {
  return count + ' ' + word + (count === 1 ? '' : 's')
}

function lasting (seconds) {
  if (seconds < 60) return Math.max(0, Math.round(seconds)) + ' s'
  if (seconds < 3600) return Math.round(seconds / 60) + ' min'
  return Math.floor(seconds / 3600) + ' h ' + Math.round(seconds % 3600 / 60) + ' min'
}

function took (seconds) {
  return seconds < 1 ? (seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0) + ' ms' : lasting(seconds)
}

async function load () {
  if (loading) { again = true; return }
  loading = true
  const query = new URLSearchParams({ search: $('search').value, trouble: $('trouble').checked })
  try {
    const answer = await ask('/v1/state?' + query)
    offerSignIn(null)
    show(await answer.json())
    showChanges(await (await ask('/v1/audit?limit=' + MOST_CHANGES)).json())
  } catch (error) {
    if (error.status === 401) offerSignIn(error, load)
    pill('serving', 'bad', error instanceof Refused ? 'Refused: ' + error.message : 'The daemon does not answer')
  }
  loading = false
  if (again) { again = false; soon() }
}

function soon () {
  if (settling === null) settling = setTimeout(() => { settling = null; load() }, SETTLE)
}

function show (state) {
  showDaemon(state)
  showTotals(state.totals)
  showServices(state)
  if (!following) {
    following = true
    state.events.forEach((event) => showEvent(event, false))
    follow(state.position,
      () => { pill('live', 'good', 'Live'); soon() },
      (event) => { showEvent(event, true); soon() },
      () => pill('live', 'warn', 'Connecting again'))
  }
}

function showDaemon (state) {
  $('version').textContent = state.about.version
  const serving = state.status === 'serving'
  pill('serving', serving ? 'good' : 'bad', serving ? 'Serving configuration ' + state.version : 'Not serving')
  pill('registry', state.registry.up ? 'good' : 'warn', state.registry.up
    ? 'Registry ' + (state.about.embedded ? '(embedded)' : 'answers')
    : 'Registry away for ' + lasting(state.about.now - state.registry.lost_since))
  pill('certificates', ...certificatesOf(state.certificates, state.about.now))
  $('problem').hidden = !state.problem
  $('problem').className = 'banner ' + (serving ? 'warn' : 'bad')
  if ($('problem').textContent !== state.problem) $('problem').textContent = state.problem
  $('about').textContent = 'Users enter at ' + state.about.entry + '. Registry: ' + state.about.registry + '.'
  document.title = (state.totals.trouble ? '(' + state.totals.trouble + ') ' : '') + 'jenkins-proxy'
}

// The one that needs a person first: refused, then the first to end, then one whose time has not come.
function certificatesOf (all, now) {
  if (all.length === 0) return ['', '']
  const refused = all.find((one) => one.problem)
  if (refused) return ['bad', 'Certificate ' + refused.name + ' refused: ' + refused.problem]
  const first = all.reduce((least, one) => one.days_left < least.days_left ? one : least)
  if (first.days_left < 0) return ['bad', 'Certificate ' + first.name + ' has expired']
  const early = all.find((one) => Date.parse(one.not_before) > now * 1000)
  if (early) return ['bad', 'Certificate ' + early.name + ' is not valid before ' + early.not_before]
  if (first.days_left < 30) return ['warn', 'Certificate ' + first.name + ' ends in ' + plural(first.days_left, 'day')]
  return ['good', plural(all.length, 'certificate') + ', ' + first.days_left + ' days at the least']
}

function showTotals (totals) {
  $('total-services').textContent = totals.services
  $('note-services').textContent = totals.trouble ? totals.trouble + ' in trouble' : totals.services ? 'all well' : ''
  $('note-services').className = totals.trouble ? 'note warn' : 'note'
  $('total-instances').textContent = totals.serving
  $('note-instances').textContent = totals.instances === 0 ? '' : totals.serving === totals.instances
    ? 'all in rotation' : 'of ' + totals.instances + ' in rotation'
  $('total-rate').textContent = number.format(totals.rate)
  $('total-sessions').textContent = number.format(totals.sessions)
  $('total-errors').textContent = number.format(totals.errors)
  rates.push(totals.rate)
  if (rates.length > HISTORY) rates.shift()
  $('note-rate').textContent = 'highest ' + number.format(Math.max(...rates))
  draw()
}

function draw () {
  const most = Math.max(1, ...rates)
  const points = rates.map((rate, at) =>
    (120 - (rates.length - 1 - at) * 120 / (HISTORY - 1)).toFixed(2) + ',' + (31 - rate / most * 30).toFixed(2))
  const line = 'M' + points.join('L')
  const first = points[0].split(',')[0]
  const paths = [['area', line + 'L120,32L' + first + ',32Z'], ['', line]].map(([kind, d]) => {
    const path = document.createElementNS('http://www.w3.org/2000/svg', 'path')
    path.setAttribute('class', kind)
    path.setAttribute('d', d)
    return path
  })
  $('chart').replaceChildren(...paths)
}

function showServices (state) {
  const list = $('list')
  const wanted = new Set(state.services.map((one) => one.service))
  for (const [service, row] of rows) {
    if (!wanted.has(service)) { row.remove(); rows.delete(service) }
  }
  state.services.forEach((one, at) => {
    const row = rows.get(one.service) || $('service').content.firstElementChild.cloneNode(true)
    rows.set(one.service, row)
    // Moved only when it must be: a moved element loses the keyboard's focus.
    if (list.children[at] !== row) list.insertBefore(row, list.children[at] || null)
    showService(row, one)
  })
  $('empty').hidden = state.services.length > 0
  $('empty').textContent = state.totals.services
    ? 'No service matches.'
    : 'No routes yet. `jenkins-proxy deploy` or a reconfigure call makes the first one.'
  $('more').hidden = state.matching <= state.services.length
  $('more').textContent = 'The first ' + state.services.length + ' of ' + state.matching + '; the search finds the others.'
}

function showService (row, one) {
  const part = (name) => row.querySelector(name)
  const name = [document.createTextNode(one.service)]
  if (one.route.color) name.push(element('span', 'tag plain', one.route.color))
  const trouble = troubleOf(one)
  if (trouble) name.push(element('span', 'tag ' + trouble[0], trouble[1]))
  part('.name').replaceChildren(...name)
  const paths = one.route.paths.length ? one.route.paths.join('  ') : 'every path'
  part('.where').textContent = one.route.domains.length ? one.route.domains.join(', ') + '  ' + paths : paths
  part('.dots').replaceChildren(...dots(one))
  figure(part('.rate'), one.traffic.rate, 'req/s')
  figure(part('.sessions'), one.traffic.sessions, 'active')
  figure(part('.errors'), one.traffic.errors, one.traffic.errors === 1 ? 'error' : 'errors')
  part('.errors').classList.toggle('some', one.traffic.errors > 0)
  part('.refused').hidden = !one.refused
  part('.refused').textContent = one.refused
  part('tbody').replaceChildren(...one.instances.map(instanceRow))
  part('.scroll').hidden = one.instances.length === 0
  part('.facts').textContent = facts(one)
  part('a.releases').href = '/releases/' + encodeURIComponent(one.service)
}

function troubleOf (one) {
  if (one.refused) return ['bad', 'refused']
  if (!one.trouble) return null
  const serving = one.instances.filter((instance) => instance.serving).length
  if (serving === 0) return ['bad', 'nothing serves']
  if (one.instances.some((instance) => stateOf(instance) === 'critical')) return ['bad', 'critical instance']
  if (one.instances.some((instance) => instance.waiting_seconds > 0)) return ['warn', 'has not answered yet']
  if (one.instances.some((instance) => instance.draining)) return ['warn', 'draining']
  return ['warn', 'not all serve']
}

function stateOf (instance) {
  if (instance.draining) return 'draining'
  if (instance.status === 'critical') return 'critical'
  if (instance.serving) return 'serving'
  return instance.status === 'warning' ? 'warning' : 'waiting'
}

function stateText (instance) {
  if (instance.waiting_seconds === 0) return stateOf(instance)
  return 'has not answered yet (' + lasting(instance.waiting_seconds) + ')'
}

function dots (one) {
  if (one.route.outbound_hostname) return [element('span', 'count', 'to ' + one.route.outbound_hostname)]
  const made = one.instances.slice(0, MOST_DOTS).map((instance) => {
    const dot = element('span', 'dot ' + stateOf(instance))
    dot.title = instance.address + ':' + instance.port + ' ' + stateText(instance)
    dot.setAttribute('aria-hidden', 'true')
    return dot
  })
  const serving = one.instances.filter((instance) => instance.serving).length
  made.push(element('span', one.instances.length > MOST_DOTS ? 'count' : 'hidden', serving + ' of ' + plural(one.instances.length, 'instance') + ' serving'))
  return made
}

function figure (place, value, unit) {
  place.replaceChildren(element('b', '', number.format(value)), document.createTextNode(' ' + unit))
}

function instanceRow (instance) {
  const row = element('tr')
  const host = instance.address.includes(':') ? '[' + instance.address + ']' : instance.address
  const state = element('td', 'state')
  const dot = element('span', 'dot ' + stateOf(instance))
  dot.setAttribute('aria-hidden', 'true')
  state.append(dot, document.createTextNode(stateText(instance)))
  const check = instance.output.trim() || (instance.checked ? instance.status : 'no check: registered is all that is known')
  row.append(element('td', 'mono', host + ':' + instance.port), state, element('td', 'node', instance.node), element('td', 'check', check))
  return row
}

function facts (one) {
  const said = ['route version ' + one.version, 'match ' + one.route.path_type]
  const answers = Object.entries(one.traffic.answers).filter(([, count]) => count > 0)
  if (answers.length) said.push('answers ' + answers.map(([code, count]) => code + ': ' + number.format(count)).join(', '))
  if (one.traffic.retries) said.push(plural(one.traffic.retries, 'retry').replace('retrys', 'retries'))
  return said.join(' · ')
}

function showEvent (event, fresh) {
  const [kind, label] = KINDS[event.kind] || ['', event.kind]
  const item = element('li', fresh ? 'new' : '')
  const when = element('time', '', clock.format(event.time * 1000))
  when.dateTime = new Date(event.time * 1000).toISOString()
  const what = element('span', 'what')
  if (event.service) what.append(element('b', '', event.service), ' ')
  what.append(element('span', 'kind ' + kind, label))
  if (event.address) what.append(' ', element('span', 'mono', event.address))
  if (event.seconds) what.append(' ', element('span', 'count', (event.kind === 'registry-back' ? 'after ' : 'in ') + took(event.seconds)))
  item.append(when, what)
  if (event.detail) item.append(element('span', 'detail', event.detail))
  $('events').prepend(item)
  while ($('events').children.length > MOST_EVENTS) $('events').lastElementChild.remove()
  $('quiet').hidden = true
}

function showChanges (audit) {
  $('unchanged').hidden = audit.changes.length > 0
  $('changes').replaceChildren(...audit.changes.map((change) => {
    const item = element('li')
    const when = element('time', '', clock.format(change.time * 1000))
    when.dateTime = new Date(change.time * 1000).toISOString()
    const what = element('span', 'what')
    what.append(element('b', '', change.caller), ' ', element('span', 'mono', change.peer), ' ' + change.action + ' ',
      element('b', '', change.service), ' ', element('span', 'kind ' + (change.status < 400 ? 'good' : 'bad'), change.status))
    item.append(when, what, element('span', 'detail', change.request_id))
    return item
  }))
}

$('search').addEventListener('input', soon)
$('trouble').addEventListener('change', soon)
document.addEventListener('visibilitychange', () => { if (!document.hidden) soon() })
setInterval(() => { if (!document.hidden) load() }, INTERVAL)
load()
