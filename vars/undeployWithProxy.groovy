// Takes a service away, as when its branch is deleted: route, containers, networks, and what only it needs.
import groovy.transform.Field

@Field final Map DEFAULTS = [
    service: '',       // required: the service's name in the registry
    project: '',       // compose project or stack ('': the one whose containers serve, else as for a deploy)
    file: [],          // compose file, or several: who needs whom, where labels do not say it ([]: without)
    profile: [],       // compose profile, or several, to enable beside those of the target
    target: [],        // compose service whose containers are the instances ([]: the one that serves); more go with it
    side: [],          // other service of the project that goes, too, or several
    withSides: false,  // all services of the project go
    volumes: false,    // their volumes go, too, and the data in them
    noProxy: false,    // do not touch the proxy: the route stays
    orchestrator: '',  // compose-v2, compose-v1 or stack ('': detected)
    drain: '',         // seconds that requests get to end before an instance is stopped ('': 30)
    drainStreams: '',  // seconds that websockets and streams get ('': 5)
    timeout: 0,        // time limit of the whole command in seconds (0: 120)
    lockTimeout: 0,    // seconds to wait while a deploy of the service runs
    dryRun: false,     // print what would go, and change nothing
]

Map call(config = [:], block = null) {
    return jenkinsProxy('undeployWithProxy', 'undeploy', DEFAULTS, ['service'], config, block)
}

// More in the parentheses than a call has: the answer is the right form.
Map call(config, block, third, Object... more) {
    return call(null)
}
