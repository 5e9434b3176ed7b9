// Switches a blue-green service back to its other color.
import groovy.transform.Field

@Field final Map DEFAULTS = [
    service: '',     // required: the service's name in the registry
    probePath: '',   // path to request when verifying ('': the first of path)
    timeout: 0,      // time limit of the whole command in seconds (0: 120)
    lockTimeout: 0,  // seconds to wait while another deploy of the service runs
]

Map call(Map config = [:]) {
    return jenkinsProxy('rollbackProxy', 'rollback', DEFAULTS, ['service'], config)
}
