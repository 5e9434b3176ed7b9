// How the page asks the daemon: with the token that its reader gave, and again after a stream of events broke off.
'use strict'

const TOKEN = 'jenkins-proxy-token' // kept until the tab is closed
const PAUSE = 2000 // milliseconds before a stream is opened again

class Refused extends Error {
  constructor (status, said) {
    super(said)
    this.status = status
  }
}

async function ask (path, headers = {}) {
  const token = sessionStorage.getItem(TOKEN)
  if (token) headers.Authorization = 'Bearer ' + token
  const answer = await fetch(path, { cache: 'no-store', headers })
  if (answer.ok) return answer
  const body = await answer.json().catch(() => ({}))
  throw new Refused(answer.status, body.error ? body.error.message : 'HTTP ' + answer.status)
}

// Not an EventSource: that cannot send a token.
async function follow (position, opened, told, lost) {
  for (;;) {
    try {
      const answer = await ask('/v1/events', { 'Last-Event-ID': position })
      opened()
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
      let rest = ''
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const messages = (rest + part.value).split('\n\n')
        rest = messages.pop()
        for (const message of messages) {
          const found = /^id: (.*)\ndata: (.*)$/.exec(message)
          if (found) { position = found[1]; told(JSON.parse(found[2])) }
        }
      }
    } catch (error) {} // gone or refused: what the page asks for besides says why
    lost()
    await new Promise((resolve) => setTimeout(resolve, PAUSE))
  }
}

function offerSignIn (refused, done) {
  const form = document.getElementById('sign-in')
  const field = document.getElementById('token')
  form.hidden = !refused
  if (!refused) return
  document.getElementById('sign-in-said').textContent = sessionStorage.getItem(TOKEN) ? refused.message : ''
  form.onsubmit = (event) => {
    event.preventDefault()
    sessionStorage.setItem(TOKEN, field.value.trim())
    field.value = ''
    done()
  }
}
