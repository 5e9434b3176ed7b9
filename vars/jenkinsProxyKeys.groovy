// The keys that steps have in common, and the check that finds everything that is wrong with the keys of a call.
import groovy.transform.Field

// Options of a route, for every step that takes a path. A test holds them equal to jenkins_proxy/route_options.py.
@Field final Map ROUTE = [
    pathType: '',                     // how paths match, in HAProxy's words ('': path_beg)
    aclName: '',                      // what orders the routes that match neither by an exact path nor by a prefix (default: the service's name)
    skipCheck: false,                 // no health check by the proxy itself
    reqPathSearch: '',                // a regular expression: what it matches in the path is replaced before the request goes on
    reqPathReplace: '',               // what replaces the match of the regular expression
    slowStart: 0,                     // seconds within which a new instance reaches its full share of the requests
    timeoutServer: 0,                 // seconds that the proxy waits for data from an instance
    timeoutTunnel: 0,                 // seconds that a silent WebSocket stays open
    checkPath: '',                    // path that a ready instance answers with 2xx, 3xx, 401 or 403 (default: the first path, below 500)
    domainAlgo: '',                   // how domains match, in HAProxy's words (default: the domain and all below it, as hdr_dom(host)); req.ssl_sni is the very name, in the mode sni
    serviceHeader: [],                // headers that a request must have to reach the service: X-Version:3
    userAgent: [],                    // parts of a User-Agent header, one of which a request must have to reach the service
    pathExclude: [],                  // paths that do not lead to the service, though they match; compared as the route's own
    isDefaultBackend: false,          // requests that no route is for reach this service, too
    redirectFromDomain: [],           // domains whose users are sent to the route's first domain, by 301
    httpsOnly: false,                 // requests that did not come by HTTPS are redirected to it; X-Forwarded-Proto: https counts as HTTPS
    httpsRedirectCode: '',            // the status of redirects to HTTPS (default: 302)
    redirectWhenHttpProto: false,     // requests with X-Forwarded-Proto: http are redirected to HTTPS
    redirectUnlessHttpsProto: false,  // requests without X-Forwarded-Proto: https are redirected to HTTPS
    denyHttp: false,                  // requests that did not come by HTTPS are answered with 403; X-Forwarded-Proto: https counts as HTTPS
    allowedMethods: [],               // the only methods that are let through; others are answered with 403
    deniedMethods: [],                // methods that are answered with 403
    users: [],                        // who may enter, by HTTP's basic authentication: a name and a password's hash (hash it with: openssl passwd -6)
    ignoreAuthorization: false,       // everybody may enter, whatever users are given
    reqPathSearchReplace: '',         // as req_path_search and req_path_replace, several times: /old/,/new/:^/v1,
    addReqHeader: [],                 // headers that are added to the request before it goes on: X-Name value
    setReqHeader: [],                 // headers that are set in the request before it goes on: X-Name value
    delReqHeader: [],                 // headers that are taken out of the request before it goes on: X-Name
    addResHeader: [],                 // headers that are added to the answer: X-Name value
    setResHeader: [],                 // headers that are set in the answer: X-Name value
    delResHeader: [],                 // headers that are taken out of the answer: X-Name
    sessionType: '',                  // keeps a user at one instance, by a cookie of the service's name
    compressionAlgo: '',              // compresses answers for clients that take it
    compressionType: [],              // content types that are compressed (default: all)
    checkTcp: false,                  // an instance is ready once it takes connections, whatever it answers
    srcPort: '',                      // the port at which requests come in, one of those that the daemon's --bind or --tcp-bind gives (default: any)
    reqMode: '',                      // what is routed: requests of HTTP, connections by their port alone (tcp), or by port and TLS name (sni)
    allowFrom: [],                    // networks, such as 10.0.0.0/8, from which users may connect; all others get 403 (default: everywhere)
    proto: '',                        // what instances speak: h2 is HTTP/2 without TLS, as gRPC has it (default: HTTP/1.1)
]
// For the step that can hold candidates: how they are tested before users meet them.
@Field final Map TEST = [
    test: '',                       // shell command that tests the candidates; or give a block
    candidateKeyCredentialsId: '',  // secret text: key that leads a request to the candidates ('': a new one each time)
]
// Options of every command of jenkins-proxy …
@Field final Map OPTIONS = [
    dockerHost: '',  // engine or Swarm manager: tcp://10.100.192.200:2375 (else DOCKER_HOST)
    consul: '',      // registry: http://consul:8500 (else CONSUL_HTTP_ADDR)
    proxy: '',       // the proxy's API: http://proxy:8081 (else JENKINS_PROXY_URL)
    entry: '',       // the users' URL of the proxy: http://proxy (else JENKINS_PROXY_ENTRY)
    config: '',      // settings file (else jenkins-proxy.yml in the workspace, if present)
    report: '',      // file for the report ('': in the workspace's temporary folder)
]
// … and what only Jenkins knows.
@Field final Map JENKINS = [
    archive: true,                   // keep the report with the build
    stage: '',                       // run in a stage of its own: true, or its name
    lock: '',                        // hold a lock meanwhile: true, or its resource (plugin Lockable Resources)
    image: '',                       // image that contains jenkins-proxy, for agents without it
    pipSpec: '',                     // what pip installs on agents without it ('': jenkins-proxy==VERSION)
    python: 'python3',               // Python 3.11 or newer on the agent
    imageRegistry: '',               // image registry to log in to ('': Docker Hub)
    imageRegistryCredentialsId: '',  // user name and password for the image registry
    dockerCredentialsId: '',         // client certificate for TLS to dockerHost
    consulTokenCredentialsId: '',    // secret text: token for the registry
    proxyTokenCredentialsId: '',     // secret text: token for the proxy's API
    notify: '',                      // URL that gets the report as JSON, or a closure that gets the result
    notifyCredentialsId: '',         // secret text: that URL
]
// Aliases of keys, where a step has no key of that name: first the parameters of Docker Flow: Proxy.
@Field final Map ALIASES = [serviceName: 'service', servicePath: 'path', serviceDomain: 'domain',
                            composeFile: 'file', scale: 'amount', instances: 'amount', timeoutSeconds: 'timeout']
// Old keys, which still work: elsewhere 'registry' is the registry of services.
@Field final Map DEPRECATED = [registry: 'imageRegistry', registryCredentialsId: 'imageRegistryCredentialsId']

/**
 * Checks a call; one without names and values fails the build at once.
 * @param step      name of the step, for the message
 * @param defaults  the step's own keys and their defaults; a default's type is the key's type
 * @param required  keys that must be given; 'path or domain' where one of several is enough
 * @param config    what stands in the step's parentheses: keys and values, or whatever a caller takes for that
 * @param block     the block that tests the candidates, or null
 * @return options: what was given for the command line; settings: the value of every key; problems: what is wrong,
 *         in words, and then left out of the other two
 */
Map call(String step, Map defaults, List required, config, block) {
    if (!(config instanceof Map) || !(block == null || block instanceof Closure)) {
        error("${step} takes names with values: ${example(step, required)}")
    }
    if (block != null && !defaults.containsKey('hold')) {
        error("${step} takes no block: ${example(step, required)}")
    }
    Map known = OPTIONS + defaults + (defaults.containsKey('path') ? ROUTE : [:]) +
        (defaults.containsKey('hold') ? TEST : [:]) + JENKINS
    Map aliases = (ALIASES + DEPRECATED).findAll { other, key -> known.containsKey(key) && !known.containsKey(other) }
    Map given = plain(config, aliases)
    List problems = unknown(config, aliases, known) + missing(given, required) + twice(config, aliases) + empty(config, known) +
        wrong(given, known) + contradictory(given, block != null)
    if (!problems) {
        warnOfDeprecated(step, config)
    }
    Map good = given.findAll { key, value -> known.containsKey(key) && !wanted(key, value, known[key]) }
    Map options = good.findAll { key, value ->
        !(JENKINS + TEST).containsKey(key) && isForCommand(key, value, known[key])
    }
    return [options: options, settings: known + good, problems: problems]
}

// A value that is the default is left out; but of a route all that is given, as it wins over a label in the compose file.
boolean isForCommand(String key, value, standard) {
    return ROUTE.containsKey(key) || value.toString() != standard.toString()
}

void warnOfDeprecated(String step, Map config) {
    List old = DEPRECATED.findAll { other, key -> config[other] != null }
        .collect { other, key -> other + ' is deprecated: use ' + key }
    if (old) {
        echo(step + ': ' + old.join('; '))
    }
}

// Aliases become their keys and GStrings become strings; null counts as not given: see empty.
Map plain(Map config, Map aliases) {
    Map given = [:]
    config.each { key, value ->
        String name = key.toString()
        if (value != null) {
            given[aliases[name] ?: name] = several(value) ? value.collect { text(it) } : text(value)
        }
    }
    return given
}

// What split(',') gives is an array.
boolean several(value) {
    return value instanceof Collection || value instanceof Object[]
}

def text(value) {
    return value instanceof CharSequence || value instanceof Number ? value.toString() : value
}

// A key without a value, too: dryrun: params.DRY_RUN would deploy where the build has no such parameter.
List unknown(Map config, Map aliases, Map known) {
    List names = config.keySet().collect { it.toString() }
    List keys = names.findAll { !known.containsKey(aliases[it] ?: it) }
    return keys ? ["unknown parameter(s) ${keys.join(', ')} (known: ${known.keySet().join(', ')})"] : []
}

List missing(Map given, List required) {
    List keys = required.findAll { names -> names.split(' or ').every { isBlank(given[it]) } }
    return keys ? ["missing parameter(s) ${keys.join(', ')}"] : []
}

// Of a list, too, all of whose items are empty: path: [params.TYPO ?: ''].
boolean isBlank(value) {
    return value in [null, '', false] || value instanceof List && value.every { it == '' }
}

List twice(Map config, Map aliases) {
    return aliases.findAll { other, key -> config[other] != null && config[key] != null }
        .collect { other, key -> "${other} is another word for ${key}: give one of them" }
}

// A call of the step, for who has none that works.
String example(String step, List required) {
    Map values = [service: "'books-ms'", path: "'/api/v1/books'", amount: '3']
    List pairs = required.collect { names -> names.tokenize(' ')[0] }.collect { key -> key + ': ' + values[key] }
    return step + '(' + pairs.join(', ') + ')'
}

// A switch that is null was meant to be something: dryRun: params.DRY_RNU would deploy.
List empty(Map config, Map known) {
    return config.findAll { key, value -> value == null && known[key.toString()] instanceof Boolean }
        .collect { key, value -> "${key} takes true or false, not null, which params gives for a name that it does not have" }
}

List wrong(Map given, Map known) {
    return given.findAll { key, value -> known.containsKey(key) && wanted(key, value, known[key]) }
        .collect { key, value -> "${key} takes ${wanted(key, value, known[key])}, not ${shown(value)}" }
}

// Which ways to test the candidates exclude each other.
List contradictory(Map given, boolean block) {
    List ways = (block ? ['a block'] : []) + (given.test ? ['test'] : []) + (given.hold == true ? ['hold'] : [])
    List problems = ways.size() > 1 ? [ways.join(' and ') + ' exclude each other: give one of them'] : []
    return problems + (ways && given.noProxy == true ? [ways[0] + ' needs the proxy, which noProxy leaves out'] : [])
}

// In quotes where it is a text: 'false' is not false. A closure's own words for itself name a class of Jenkins'.
String shown(value) {
    if (value instanceof Closure) {
        return 'a closure'
    }
    return value instanceof String ? "'" + value + "'" : value.toString()
}

// What a key takes, where the value is not that; else ''.
String wanted(String key, value, standard) {
    if (standard instanceof Boolean) {
        return value instanceof Boolean ? '' : 'true or false'
    }
    if (standard instanceof Number) {
        boolean negative = value.toString() ==~ /-\d+(\.\d+)?/
        return value.toString() ==~ /\d+(\.\d+)?/ ? '' : negative ? 'a number from 0 up' : 'a number'
    }
    if (key in ['stage', 'lock'] && value instanceof Boolean || key == 'notify' && value instanceof Closure) {
        return ''
    }
    List items = standard instanceof List && value instanceof List ? value : [value]
    if (items.every { it instanceof String }) {
        return ''
    }
    if (key == 'notify') {
        return 'a URL or a closure'
    }
    return standard instanceof List ? 'a text or a list of texts' : 'a text'
}
