// Switches a blue-green service back to its other color.
import groovy.transform.Field

@Field final Map DEFAULTS = [
    service: '',       // required: the service's name in the registry
    checkPath: '',     // path to request when verifying ('': the route's)
    probePath: '',     // older name of checkPath, for verifying only
    checkStatus: '',   // statuses that prove an instance ('': 200-399,401,403)
    checkHost: '',     // host name to request when verifying ('': the first of domain)
    checkTimeout: 0,   // seconds within which each new instance must prove itself (0: 30)
    checkCount: 0,     // number of answers in a row that prove an instance (0: 1)
    drain: '',         // seconds that requests get to end on an old instance before it is stopped ('': 30)
    drainStreams: '',  // seconds that websockets and streams get ('': 5)
    maxErrors: '',     // requests of users that may fail meanwhile ('': any number)
    proxies: '',       // all or any: which live proxies must serve a change before the step goes on ('': all)
    timeout: 0,        // time limit of the whole command in seconds (0: 120)
    lockTimeout: 0,    // seconds to wait while another deploy of the service runs
]

Map call(config = [:], block = null) {
    return jenkinsProxy('rollbackProxy', 'rollback', DEFAULTS, ['service'], config, block)
}

// More in the parentheses than a call has: the answer is the right form.
Map call(config, block, third, Object... more) {
    return call(null)
}
