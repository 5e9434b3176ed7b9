// Changes the number of instances of a service; instances are drained in the proxy before they are stopped.
import groovy.transform.Field

@Field final Map DEFAULTS = [
    service: '',        // required: the service's name in the registry
    amount: '',         // required: number of instances: 3, or '+2', '-1' (also: scale, instances)
    allowEmpty: false,  // allow an amount of 0
    path: [],           // paths that lead to the service ([]: keep its route)
    domain: [],         // domains that lead to it
    probePath: '',      // older name of checkPath, for verifying only
    checkStatus: '',    // statuses that prove an instance ('': 200-399,401,403)
    checkHost: '',      // host name to request when verifying ('': the first of domain)
    checkTimeout: 0,    // seconds within which each new instance must prove itself (0: 30)
    checkCount: 0,      // number of answers in a row that prove an instance (0: 1)
    file: [],           // compose file, or several ([]: the one that compose finds)
    project: '',        // compose project or stack ('': as compose finds it, else the service's name)
    profile: [],        // compose profile, or several, to enable beside those of the target
    target: [],         // compose service whose containers are the instances ([]: the one that publishes a port)
    orchestrator: '',   // compose-v2, compose-v1 or stack ('': detected)
    timeout: 0,         // time limit of the whole command in seconds (0: 120)
    settle: 0,          // seconds that an instance must stay healthy before it counts
    drain: '',          // seconds that requests get to end on an old instance before it is stopped ('': 30)
    drainStreams: '',   // seconds that websockets and streams get ('': 5)
    maxErrors: '',      // requests of users that may fail meanwhile ('': any number)
    proxies: '',        // all or any: which live proxies must serve a change before the step goes on ('': all)
    lockTimeout: 0,     // seconds to wait while another deploy of the service runs
]

Map call(config = [:], block = null) {
    return jenkinsProxy('scaleWithProxy', 'scale', DEFAULTS, ['service', 'amount'], config, block)
}

// More in the parentheses than a call has: the answer is the right form.
Map call(config, block, third, Object... more) {
    return call(null)
}
