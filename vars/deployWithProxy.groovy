// Deploys a compose service and routes it; done when users reach a new instance through the proxy.
import groovy.transform.Field

@Field final Map DEFAULTS = [
    service: '',       // required: the service's name in the registry
    path: [],          // paths that lead to it: '/api/v1/books', or several
    domain: [],        // domains that do: 'example.com' and below, '*.example.com' only below
    pathType: '',      // how paths match, in HAProxy's words ('': path_beg)
    slowStart: 0,      // seconds within which a new instance comes to its full share of the requests
    noProxy: false,    // leave the proxy alone: deploy and wait only
    probePath: '',     // what to request as the proof ('': the first path)
    file: [],          // compose file, or several ([]: the one that compose finds)
    project: '',       // compose project or stack ('': the service's name)
    target: '',        // compose service that holds the instances ('': the one that publishes a port)
    orchestrator: '',  // what brings containers up ('': found by probing)
    scale: 0,          // how many instances (0: as many as run)
    pull: false,       // pull the images first
    strategy: '',      // auto, recreate, rolling or blue-green ('': auto)
    batch: 0,          // rolling: how many containers to replace at a time (0: all)
    keepOld: false,    // blue-green: leave the other color running
    timeout: 0,        // seconds for the whole command (0: 120)
    settle: 0,         // seconds of steady health before an instance counts
    lockTimeout: 0,    // seconds to wait for another deploy of the service to end
    dryRun: false,     // say what would be done, and change nothing
]

Map call(Map config = [:]) {
    return jenkinsProxy('deployWithProxy', 'deploy', DEFAULTS, ['service', 'path or domain or noProxy'], config)
}
