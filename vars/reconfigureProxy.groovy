// Routes a service that runs already, and proves that it answers through the proxy.
import groovy.transform.Field

@Field final Map DEFAULTS = [
    service: '',        // required: the service's name in the registry
    path: [],           // paths that lead to it: '/api/v1/books', or several
    domain: [],         // domains that do: 'example.com' and below, '*.example.com' only below
    pathType: '',       // how paths match, in HAProxy's words ('': path_beg)
    slowStart: 0,       // seconds within which a new instance comes to its full share of the requests
    probePath: '',      // what to request as the proof ('': the first path)
    allowEmpty: false,  // also while no instance of it is passing
    timeout: 0,         // seconds for the whole command (0: 120)
]

Map call(Map config = [:]) {
    return jenkinsProxy('reconfigureProxy', 'reconfigure', DEFAULTS, ['service', 'path or domain'], config)
}
