// Changes how many instances of a service run; on the way down the proxy lets go of one before it is stopped.
import groovy.transform.Field

@Field final Map DEFAULTS = [
    service: '',        // required: the service's name in the registry
    amount: '',         // required: how many instances: 3, or '+2', '-1' (also: scale, instances)
    allowEmpty: false,  // let the amount be 0
    path: [],           // paths that lead to it ([]: the route that it has)
    domain: [],         // domains that do
    pathType: '',       // how paths match, in HAProxy's words ('': path_beg)
    slowStart: 0,       // seconds within which a new instance comes to its full share of the requests
    probePath: '',      // what to request as the proof ('': the first path)
    file: [],           // compose file, or several ([]: the one that compose finds)
    project: '',        // compose project or stack ('': the service's name)
    target: '',         // compose service that holds the instances ('': the one that publishes a port)
    orchestrator: '',   // what runs containers ('': found by probing)
    timeout: 0,         // seconds for the whole command (0: 120)
    settle: 0,          // seconds of steady health before an instance counts
    lockTimeout: 0,     // seconds to wait for another deploy of the service to end
]

Map call(Map config = [:]) {
    return jenkinsProxy('scaleWithProxy', 'scale', DEFAULTS, ['service', 'amount'], config)
}
