// Takes away the instances that deployWithProxy with hold: true, or a deploy that was killed, has left.
import groovy.transform.Field

@Field final Map DEFAULTS = [
    service: '',       // required: the service's name in the registry
    file: [],          // compose file, or several: a stack needs it again
    project: '',       // compose project or stack ('': as compose finds it, else the service's name)
    orchestrator: '',  // compose-v2, compose-v1 or stack ('': detected)
    proxies: '',       // all or any: which live proxies must serve a change before the step goes on ('': all)
    timeout: 0,        // time limit of the whole command in seconds (0: 120)
    lockTimeout: 0,    // seconds to wait while another deploy of the service runs
]

Map call(config = [:], block = null) {
    return jenkinsProxy('abortProxy', 'abort', DEFAULTS, ['service'], config, block)
}

// More in the parentheses than a call has: the answer is the right form.
Map call(config, block, third, Object... more) {
    return call(null)
}
