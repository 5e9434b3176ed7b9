// Removes a service's route; its containers keep running.
import groovy.transform.Field

@Field final Map DEFAULTS = [
    service: '',  // required: the service's name in the registry
    proxies: '',  // all or any: which live proxies must serve a change before the step goes on ('': all)
]

Map call(config = [:], block = null) {
    return jenkinsProxy('removeFromProxy', 'remove', DEFAULTS, ['service'], config, block)
}

// More in the parentheses than a call has: the answer is the right form.
Map call(config, block, third, Object... more) {
    return call(null)
}
