// Deploys a compose service and routes it. It returns when users reach the new instances through the proxy. A block,
// deployWithProxy(…) { candidate -> … }, tests the new instances before users meet them.
import groovy.transform.Field

@Field final Map DEFAULTS = [
    service: '',       // required: the service's name in the registry
    path: [],          // paths that lead to the service: '/api/v1/books', or several
    domain: [],        // domains that lead to it: 'example.com' and all below, '*.example.com' only what is below
    noProxy: false,    // do not touch the proxy: only deploy and wait
    probePath: '',     // older name of checkPath, for verifying only
    file: [],          // compose file, or several ([]: the one that compose finds)
    project: '',       // compose project or stack ('': as compose finds it, else the service's name)
    profile: [],       // compose profile, or several, to enable beside those of the target
    target: [],        // compose service whose containers are the instances ([]: the one that publishes a port); more go with it
    side: [],          // other service to bring to what the file says, or several ([]: only what the target needs)
    withSides: false,  // bring all services of the file to what it says
    orchestrator: '',  // compose-v2, compose-v1 or stack ('': detected)
    scale: 0,          // number of instances (0: as many as run now)
    pull: false,       // pull the images first
    build: false,      // build the images first
    adopt: false,      // replace another project's containers that are registered under the service's name
    strategy: '',      // auto, recreate, rolling or blue-green ('': auto)
    batch: '',         // rolling: containers to replace at a time, 0: all ('': as the compose file says, else all)
    batchDelay: '',    // rolling: seconds between two batches ('': as the compose file says, else 0)
    keepOld: false,    // blue-green: keep the other color running
    timeout: 0,        // time limit of the whole command in seconds (0: 120, and the compose file's start_period)
    settle: 0,         // seconds that an instance must stay healthy before it counts
    drain: '',         // seconds that requests get to end on an old instance before it is stopped ('': 30)
    drainStreams: '',  // seconds that websockets and streams get ('': 5)
    maxErrors: '',     // requests of users that may fail meanwhile ('': any number)
    proxies: '',       // all or any: which live proxies must serve a change before the step goes on ('': all)
    checkStatus: '',   // statuses that prove an instance ('': 200-399,401,403)
    checkHost: '',     // host name to request when verifying ('': the first of domain)
    checkTimeout: 0,   // seconds within which each new instance must prove itself (0: 30, or the start_period)
    checkCount: 0,     // number of answers in a row that prove an instance (0: 1)
    hold: false,       // end once the new instances are verified: promoteProxy lets users in, abortProxy does not
    holdTimeout: 0,    // seconds after which another deploy may take the place of one that is held (0: 1800)
    lockTimeout: 0,    // seconds to wait while another deploy of the service runs
    dryRun: false,     // print what would be done, and change nothing
]

Map call(config = [:], block = null) {
    return jenkinsProxy('deployWithProxy', 'deploy', DEFAULTS, ['service', 'path or domain or noProxy'], config, block)
}

// More in the parentheses than a call has: the answer is the right form.
Map call(config, block, third, Object... more) {
    return call(null)
}
