// Routes a running service, and verifies that it answers through the proxy.
import groovy.transform.Field

@Field final Map DEFAULTS = [
    service: '',        // required: the service's name in the registry
    path: [],           // paths that lead to the service: '/api/v1/books', or several
    domain: [],         // domains that lead to it: 'example.com' and all below, '*.example.com' only what is below
    probePath: '',      // older name of checkPath, for verifying only
    checkStatus: '',    // statuses that prove an instance ('': 200-399,401,403)
    checkHost: '',      // host name to request when verifying ('': the first of domain)
    checkTimeout: 0,    // seconds within which each new instance must prove itself (0: 30)
    checkCount: 0,      // number of answers in a row that prove an instance (0: 1)
    allowEmpty: false,  // route the service even when no instance passes its checks
    proxies: '',        // all or any: which live proxies must serve a change before the step goes on ('': all)
    timeout: 0,         // time limit of the whole command in seconds (0: 120)
]

Map call(config = [:], block = null) {
    return jenkinsProxy('reconfigureProxy', 'reconfigure', DEFAULTS, ['service', 'path or domain'], config, block)
}

// More in the parentheses than a call has: the answer is the right form.
Map call(config, block, third, Object... more) {
    return call(null)
}
