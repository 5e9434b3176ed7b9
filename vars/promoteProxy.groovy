// Lets users in to the instances that deployWithProxy with hold: true has left, and takes the old ones away.
import groovy.transform.Field

@Field final Map DEFAULTS = [
    service: '',       // required: the service's name in the registry
    file: [],          // compose file, or several: a stack needs it again
    project: '',       // compose project or stack ('': as compose finds it, else the service's name)
    orchestrator: '',  // compose-v2, compose-v1 or stack ('': detected)
    checkPath: '',     // path to request when verifying ('': the route's)
    checkStatus: '',   // statuses that prove an instance ('': 200-399,401,403)
    checkHost: '',     // host name to request when verifying ('': the first of domain)
    checkTimeout: 0,   // seconds within which each new instance must prove itself (0: 30)
    checkCount: 0,     // number of answers in a row that prove an instance (0: 1)
    timeout: 0,        // time limit of the whole command in seconds (0: 120)
    drain: '',         // seconds that requests get to end on an old instance before it is stopped ('': 30)
    drainStreams: '',  // seconds that websockets and streams get ('': 5)
    maxErrors: '',     // requests of users that may fail meanwhile ('': any number)
    proxies: '',       // all or any: which live proxies must serve a change before the step goes on ('': all)
    lockTimeout: 0,    // seconds to wait while another deploy of the service runs
]

Map call(config = [:], block = null) {
    return jenkinsProxy('promoteProxy', 'promote', DEFAULTS, ['service'], config, block)
}

// More in the parentheses than a call has: the answer is the right form.
Map call(config, block, third, Object... more) {
    return call(null)
}
