// Removes a service's route; its containers keep running.
import groovy.transform.Field

@Field final Map DEFAULTS = [
    service: '',  // required: the service's name in the registry
]

Map call(config = [:], block = null) {
    return jenkinsProxy('removeFromProxy', 'remove', DEFAULTS, ['service'], config, block)
}
