// Runs the steps in plain Groovy 2.4 with steps that only record, many cases in one JVM.
// groovy harness.groovy <folder of the checkout> <cases.json>: results as JSON on stdout.
// A case with `parse` asks for the syntax of that text only.
// What CPS and the sandbox refuse, only a real Jenkins shows: jenkins/test_on_jenkins.py.
import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import org.codehaus.groovy.control.CompilationUnit
import org.codehaus.groovy.control.MultipleCompilationErrorsException
import org.codehaus.groovy.control.Phases

class BuildFailed extends RuntimeException {
    BuildFailed(String message) { super(message) }
}

class Recorder {
    static final List STEPS = ['isUnix', 'sh', 'libraryResource', 'fileExists', 'archiveArtifacts', 'withEnv', 'stage',
                               'lock', 'withCredentials', 'string', 'usernamePassword', 'dockerCert', 'zip', 'error', 'echo',
                               'maskPasswords', 'pwd', 'dir']
    File checkout
    Map given                 // what the case wants of the world
    List calls = []           // each step: its name, its arguments, the environment that it has
    Map environment = [:]
    Map currentBuild = [:]

    Map run(String step, Object config) {
        currentBuild.description = given.description
        Binding binding = new Binding(currentBuild: currentBuild, env: environment)
        STEPS.each { name -> binding.setVariable(name, { Object... arguments -> record(name, arguments as List) }) }
        ['jenkinsProxy', 'jenkinsProxyKeys', 'jenkinsProxyCandidates'].each { name ->
            binding.setVariable(name, { Object... arguments -> script(name, binding).call(*arguments) })
        }
        Map outcome = [:]
        try {
            tellers(config)
            List arguments = given.containsKey('arguments') ? given.arguments : [config]
            arguments += given.block ? [{ candidate -> block(candidate) }] : []
            outcome.result = script(step, binding).call(*arguments)
            // What a build keeps over a restart of Jenkins must be serialisable.
            new ObjectOutputStream(new ByteArrayOutputStream()).writeObject(outcome.result)
        } catch (BuildFailed failed) {
            outcome.error = failed.message
        } catch (NoSuchMethodError | AssertionError failed) {
            outcome.thrown = failed.message
        }
        return outcome + [calls: calls, description: currentBuild.description]
    }

    // {"closure": "passes"} in a case stands for a closure that is told.
    void tellers(Object config) {
        if (config instanceof Map && config.notify instanceof Map) {
            String how = config.notify.closure
            config.notify = { report ->
                calls << [step: 'notify', arguments: [report], environment: [:]]
                if (how == 'fails') { throw new BuildFailed('no such channel') }
                if (how == 'misspells') { throw new NoSuchMethodError("No such DSL method 'shh' found among steps") }
            }
        }
    }

    Script script(String name, Binding binding) {
        return new GroovyShell(binding).parse(new File(checkout, "vars/${name}.groovy"))
    }

    Object record(String name, List arguments) {
        if (name in (given.absent ?: [])) {
            throw new NoSuchMethodError("No such DSL method '${name}' found among steps [sh, stage]")
        }
        Closure body = arguments && arguments.last() instanceof Closure ? arguments.last() : null
        List plain = body ? arguments.init() : arguments
        if (name in ['string', 'usernamePassword', 'dockerCert', 'zip']) {
            return [kind: name] + plain[0]
        }
        List interpolated = interpolations(plain)
        calls << [step: name, arguments: plain, interpolated: interpolated, environment: new LinkedHashMap(environment)]
        switch (name) {
            case 'isUnix': return unix()
            case 'libraryResource':
                if (given.libraries) { throw new BuildFailed("Library resource ${plain[0]} ambiguous among libraries ${given.libraries}") }
                return new File(checkout, "resources/${plain[0]}").text
            case 'fileExists':
                if (given.agent == 'gone') { throw new BuildFailed('cannot connect to the agent') }
                return given.report != false
            case 'sh': return shell(plain[0])
            case 'pwd': return plain[0].tmp ? '/agent/books@tmp' : '/agent/books'
            case 'error': throw new BuildFailed(plain[0].toString())
            case 'withEnv': return within(plain[0].collectEntries { it.toString().split('=', 2) as List }, body)
            case 'withCredentials':
                List bound = plain[0].findAll { it.variable }
                return within(bound.collectEntries { [it.variable, 'the secret ' + it.credentialsId] }, body)
        }
        return body ? body() : null
    }

    // Where a GString stands: Jenkins warns of one in sh, withEnv and withCredentials that holds a secret.
    List interpolations(Object value) {
        if (value instanceof GString) { return [value.toString()] }
        if (value instanceof Map) { return value.values().collectMany { interpolations(it) } }
        return value instanceof List ? value.collectMany { interpolations(it) } : []
    }

    Object unix() {
        if (given.agent == 'none') { throw new IllegalStateException('Required context class hudson.Launcher is missing') }
        return given.agent != 'windows'
    }

    // What a command answers; a case says it for all of them, or for each by its name.
    Object shell(Map arguments) {
        String command = arguments.returnStdout ? environment.JENKINS_PROXY_COMMAND : 'test'
        def answer = given.answer instanceof Map ? given.answer[command] : given.answer
        if (given.shell == 'aborted' || answer == 'aborted') { throw new BuildFailed('the build was stopped') }
        if (given.shell instanceof Number) { throw new BuildFailed('script returned exit code ' + given.shell) }
        if (given.agent == 'gone') { throw new BuildFailed('the agent was removed') }
        if (answer == 'killed') { throw new BuildFailed('script returned exit code 137') }
        if (answer == 'fails') { throw new BuildFailed('script returned exit code 1') }
        return answer ?: ''
    }

    // What the case's pipeline has behind the step's parentheses.
    Object block(Object candidate) {
        calls << [step: 'block', arguments: [candidate], environment: new LinkedHashMap(environment)]
        // A map and its items outlive a restart of Jenkins.
        new ObjectOutputStream(new ByteArrayOutputStream()).writeObject(candidate)
        switch (given.block) {
            case 'fails': throw new BuildFailed('3 of 40 tests failed')
            case 'asserts': assert candidate.id == 'another'
            case 'misspells': throw new NoSuchMethodError("No such DSL method 'shh' found among steps [sh, stage]")
        }
        return null
    }

    Object within(Map more, Closure body) {
        Map before = new LinkedHashMap(environment)
        environment.putAll(more)
        try { return body() } finally { environment.clear(); environment.putAll(before) }
    }
}

// JSON has no GString: {"gstring": "books"} in a case stands for "${'books'}"; {"split": "a,b"} is an array of texts,
// {"code": true} a closure.
Object dressed(Object value) {
    if (value instanceof Map && value.containsKey('gstring')) { String text = value.gstring; return "${text}" }
    if (value instanceof Map && value.containsKey('split')) { return value.split.split(',') }
    if (value instanceof Map && value.containsKey('code')) { return { true } }
    if (value instanceof Map) { return value.collectEntries { key, item -> [key, dressed(item)] } }
    return value instanceof List ? value.collect { dressed(it) } : value
}

// What is wrong with the syntax of a pipeline; empty when nothing is. Names are not looked up: Jenkins has those.
Object syntaxError(String text) {
    CompilationUnit unit = new CompilationUnit()
    unit.addSource('pipeline', text)
    try {
        unit.compile(Phases.CONVERSION)
        return ''
    } catch (MultipleCompilationErrorsException failed) {
        return failed.message
    }
}

File checkout = new File(args[0])
println JsonOutput.toJson(new JsonSlurper().parse(new File(args[1])).collect { one ->
    one.parse ? [error: syntaxError(one.parse)]
              : new Recorder(checkout: checkout, given: one).run(one.step, dressed(one.config))
})
