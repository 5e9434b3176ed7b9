// Deploys a compose service and routes it. It returns when users reach a new instance through the proxy.
import groovy.transform.Field

@Field final Map DEFAULTS = [
    service: '',       // required: the service's name in the registry
    path: [],          // paths that lead to the service: '/api/v1/books', or several
    domain: [],        // domains that lead to it: 'example.com' and all below, '*.example.com' only what is below
    noProxy: false,    // do not touch the proxy: only deploy and wait
    probePath: '',     // path to request when verifying ('': the first of path)
    file: [],          // compose file, or several ([]: the one that compose finds)
    project: '',       // compose project or stack ('': the service's name)
    target: '',        // compose service whose containers are the instances ('': the one that publishes a port)
    orchestrator: '',  // compose-v2, compose-v1 or stack ('': detected)
    scale: 0,          // number of instances (0: as many as run now)
    pull: false,       // pull the images first
    strategy: '',      // auto, recreate, rolling or blue-green ('': auto)
    batch: 0,          // rolling: number of containers to replace at a time (0: all)
    keepOld: false,    // blue-green: keep the other color running
    timeout: 0,        // time limit of the whole command in seconds (0: 120)
    settle: 0,         // seconds that an instance must stay healthy before it counts
    lockTimeout: 0,    // seconds to wait while another deploy of the service runs
    dryRun: false,     // print what would be done, and change nothing
]

Map call(Map config = [:]) {
    return jenkinsProxy('deployWithProxy', 'deploy', DEFAULTS, ['service', 'path or domain or noProxy'], config)
}
