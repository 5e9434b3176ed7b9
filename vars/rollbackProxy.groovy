// Switches a blue-green service back to its other color, at once.
import groovy.transform.Field

@Field final Map DEFAULTS = [
    service: '',     // required: the service's name in the registry
    probePath: '',   // what to request as the proof ('': the first path)
    timeout: 0,      // seconds for the whole command (0: 120)
    lockTimeout: 0,  // seconds to wait for another deploy of the service to end
]

Map call(Map config = [:]) {
    return jenkinsProxy('rollbackProxy', 'rollback', DEFAULTS, ['service'], config)
}
