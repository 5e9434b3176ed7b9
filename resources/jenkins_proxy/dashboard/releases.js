// The history of one service, named by the page's address. Every value goes in as text, never as HTML.
'use strict'

const GOOD = { done: 'good', held: 'warn', failed: 'bad', stopped: 'bad' }
const service = decodeURIComponent(location.pathname.split('/').pop())
const $ = (id) => document.getElementById(id)

function cell (text, classes) {
  const made = document.createElement('td')
  if (classes) made.className = classes
  made.append(text)
  return made
}

// What is no address becomes no link.
function buildOf (release) {
  if (!/^https?:\/\//.test(release.build)) return release.build
  const link = document.createElement('a')
  link.href = release.build
  link.rel = 'noreferrer'
  link.textContent = release.build
  return link
}

function row (release) {
  const made = document.createElement('tr')
  const when = document.createElement('time')
  when.dateTime = new Date(release.time * 1000).toISOString()
  when.textContent = when.dateTime.slice(0, 19).replace('T', ' ') + ' UTC'
  const outcome = document.createElement('span')
  outcome.className = 'tag ' + GOOD[release.outcome]
  outcome.textContent = release.outcome
  const where = cell(outcome)
  if (release.code) where.append(' in ' + (release.phase || 'its end') + ' (exit code ' + release.code + ')')
  const image = cell(release.image, 'mono')
  image.title = release.image_id
  made.append(cell(when), cell((release.command + ' ' + release.color).trim()), where, image,
    cell(String(release.instances)), cell(release.seconds.toFixed(1)), cell(release.who + '@' + release.host),
    cell(buildOf(release), 'check'))
  return made
}

async function load () {
  try {
    const { releases } = await (await ask('/v1/releases/' + encodeURIComponent(service))).json()
    offerSignIn(null)
    $('problem').hidden = true
    $('releases').replaceChildren(...releases.map(row))
    $('none').hidden = releases.length > 0
  } catch (error) {
    if (error.status === 401) offerSignIn(error, load)
    $('problem').hidden = false
    $('problem').textContent = error instanceof Refused ? 'Refused: ' + error.message : 'The daemon does not answer'
  }
}

$('name').textContent = service
document.title = service + ': releases'
load()
