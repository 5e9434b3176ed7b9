// Takes a service's route away; its containers are left as they are.
import groovy.transform.Field

@Field final Map DEFAULTS = [
    service: '',  // required: the service's name in the registry
]

Map call(Map config = [:]) {
    return jenkinsProxy('removeFromProxy', 'remove', DEFAULTS, ['service'], config)
}
