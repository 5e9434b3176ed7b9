// Lets users in to the instances that deployWithProxy with hold: true has left, and takes the old ones away.
import groovy.transform.Field

@Field final Map DEFAULTS = [
    service: '',       // required: the service's name in the registry
    file: [],          // compose file, or several: a stack needs it again
    project: '',       // compose project or stack ('': the service's name)
    orchestrator: '',  // compose-v2, compose-v1 or stack ('': detected)
    timeout: 0,        // time limit of the whole command in seconds (0: 120)
    drain: '',         // seconds that requests get to end on an old instance before it is stopped ('': 30)
    drainStreams: '',  // seconds that websockets and streams get ('': 5)
    maxErrors: '',     // requests of users that may fail meanwhile ('': any number)
    lockTimeout: 0,    // seconds to wait while another deploy of the service runs
]

Map call(Map config = [:]) {
    return jenkinsProxy('promoteProxy', 'promote', DEFAULTS, ['service'], config)
}
