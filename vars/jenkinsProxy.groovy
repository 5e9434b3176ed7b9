// Runs a command for the steps; the only file that calls `sh`. Values go through the environment into one constant
// script, and its answer comes back as a map. What a command does is in the Python package.
import com.cloudbees.groovy.cps.NonCPS
import groovy.json.JsonOutput
import groovy.transform.Field

@Field final String VERSION = '1.0.0'  // also in pyproject.toml and jenkins_proxy/__init__.py: a test compares them

/**
 * Runs one command of jenkins-proxy.
 * @param step      name of the calling step, for messages
 * @param command   name of the command
 * @param defaults  the step's keys: see jenkinsProxyKeys, also for required and for config, what the caller gives
 * @param block     the test of the candidates; null where the caller gives none
 * @return service, status, url, instances (host:port), timings (seconds) …
 */
Map call(String step, String command, Map defaults, List required, config, block) {
    Map checked = jenkinsProxyKeys(step, defaults, required, config, block)
    Map settings = checked.settings
    if (checked.problems) {
        error(step + ': ' + (checked.problems + valueProblems(command, checked)).join('; '))
    }
    needAgent(step)
    Closure run = { String name, Map options -> execute(step, name, options, settings) }
    Closure test = block ?: (settings.test ? { candidate -> shell(settings) } : null)
    return inStage(settings.stage == true ? titleOf(command, settings) : settings.stage) {
        inLock(step, settings.lock == true ? 'jenkins-proxy ' + settings.service : settings.lock) {
            withSecrets(settings) {
                test || settings.hold ? jenkinsProxyCandidates(step, checked, test, run) : run(command, checked.options)
            }
        }
    }
}

String titleOf(String command, Map settings) {
    return 'jenkins-proxy ' + command + ' ' + settings.service
}

void needAgent(String step) {
    def unix
    try {
        unix = isUnix()
    } catch (Exception missing) {
        error("${step} needs an agent: call it inside node { } or in a stage with an agent")
    }
    if (unix == false) {
        error("${step} needs an agent with a POSIX shell, and this one runs Windows")
    }
}

// What jenkins-proxy has against the values of a call whose keys are wrong, where there is an agent to ask: one build
// shows all that is to be mended.
List valueProblems(String command, Map checked) {
    try {
        return !isUnix() ? [] : withEnv(environment(command, checked.options, checked.settings) +
                                        ['JENKINS_PROXY_CHECK=values']) {
            answerOf(tool('check', checked.settings)).problems
        }
    } catch (Exception failure) {
        if (isInterruption(failure)) {
            throw failure
        }
        return []  // without an agent, or with one that goes away
    }
}

// Whether somebody stopped the build: that is not to be swallowed.
boolean isInterruption(failure) {
    return failure.toString().contains('FlowInterruptedException')
}

// Becomes jenkins-proxy on the agent, with what the environment says: its answer in lines.
String tool(String command, Map settings) {
    return sh(label: titleOf(command, settings), script: libraryResource('jenkins_proxy/jenkins/step.sh'),
              returnStdout: true, encoding: 'UTF-8')
}

// Where the report and its summary are, in the workspace's temporary folder: a workspace is for what a build makes.
// The name is unique: parallel branches share a workspace, and a build may deploy a service twice.
Map filesOf(String command, Map settings) {
    String folder = pwd(tmp: true) + '/jenkins-proxy'
    String name = 'jenkins-proxy-' + command + '-' + safe(settings.service) + '-' +
        UUID.randomUUID().toString().substring(0, 8)
    return [folder: folder, name: name, report: settings.report ?: folder + '/' + name + '.json',
            summary: folder + '/' + name + '.html']
}

String safe(service) {
    return service.toString().replaceAll('[^A-Za-z0-9_.-]', '_')
}

// Joined with +: Jenkins warns of a GString here whose value is also some credential's.
List environment(String command, Map options, Map settings) {
    List tls = settings.dockerCredentialsId ? ['DOCKER_TLS_VERIFY=1'] : []
    return tls + ['JENKINS_PROXY_VERSION=' + VERSION, 'JENKINS_PROXY_COMMAND=' + command,
                  'JENKINS_PROXY_PARAMS=' + JsonOutput.toJson(options), 'JENKINS_PROXY_IMAGE=' + settings.image,
                  'JENKINS_PROXY_SERVICE=' + safe(settings.service),
                  'JENKINS_PROXY_PIP_SPEC=' + settings.pipSpec, 'JENKINS_PROXY_PYTHON=' + settings.python,
                  'JENKINS_PROXY_IMAGE_REGISTRY=' + settings.imageRegistry]
}

def inStage(name, Closure body) {
    return name ? stage(name) { body() } : body()
}

def inLock(String step, name, Closure body) {
    if (!name) {
        return body()
    }
    Map seen = [locked: false]
    try {
        return lock(resource: name) {
            seen.locked = true
            body()
        }
    } catch (NoSuchMethodError missing) {
        if (seen.locked) {
            throw missing  // of the caller's own block
        }
        error("${step}: lock needs the plugin Lockable Resources, which this Jenkins does not have")
    }
}

def withSecrets(Map settings, Closure body) {
    List bindings = []
    if (settings.consulTokenCredentialsId) {
        bindings << string(credentialsId: settings.consulTokenCredentialsId, variable: 'CONSUL_HTTP_TOKEN')
    }
    if (settings.proxyTokenCredentialsId) {
        bindings << string(credentialsId: settings.proxyTokenCredentialsId, variable: 'JENKINS_PROXY_TOKEN')
    }
    if (settings.notifyCredentialsId) {
        bindings << string(credentialsId: settings.notifyCredentialsId, variable: 'JENKINS_PROXY_NOTIFY')
    }
    if (settings.imageRegistryCredentialsId) {
        bindings << usernamePassword(credentialsId: settings.imageRegistryCredentialsId,
            usernameVariable: 'JENKINS_PROXY_IMAGE_REGISTRY_USER',
            passwordVariable: 'JENKINS_PROXY_IMAGE_REGISTRY_PASSWORD')
    }
    if (settings.dockerCredentialsId) {
        bindings << dockerCertificate(settings.dockerCredentialsId)
    }
    return bindings ? withCredentials(bindings) { body() } : body()
}

// The plugin Docker Commons has a kind for this; without it, a Secret file holds a ZIP of ca.pem, cert.pem and key.pem.
def dockerCertificate(String id) {
    try {
        return dockerCert(credentialsId: id, variable: 'DOCKER_CERT_PATH')
    } catch (NoSuchMethodError missing) {
        return zip(credentialsId: id, variable: 'DOCKER_CERT_PATH')
    }
}

Map execute(String step, String command, Map options, Map settings) {
    Map files = filesOf(command, settings)
    Map answer
    withEnv(environment(command, options + [report: files.report], settings) + places(files, settings)) {
        try {
            answer = answerOf(tool(command, settings))
        } catch (Exception failure) {
            try {
                keepReport(files, settings)
            } catch (Exception lost) {
                // Where the agent is gone, its own reason is the one to show.
                echo("${step}: the report ${files.report} is not kept: ${lost.message}")
            }
            String ended = howItEnded(settings, failure)
            tell(step, settings, [status: 'failed', reason: ended ?: failure.message])
            if (ended) {
                error("${step}: ${ended}")
            }
            throw failure
        }
        keepReport(files, settings)
    }
    tell(step, settings, answer.exit == '0' ? resultOf(answer, files) : [status: 'failed', reason: answer.reason])
    if (answer.exit != '0') {
        error("${step}: ${answer.reason} (exit code ${answer.exit})")
    }
    if (answer.description) {
        describe(currentBuild, answer.description)
    }
    return resultOf(answer, files)
}

Map resultOf(Map answer, Map files) {
    return answer.findAll { key, value -> !(key in ['exit', 'reason', 'problems', 'description']) } + [report: files.report]
}

// Variables for what is written besides the report.
List places(Map files, Map settings) {
    String url = settings.notify instanceof String ? settings.notify : ''
    return ['JENKINS_PROXY_REPORTS=' + files.folder] + (url ? ['JENKINS_PROXY_NOTIFY=' + url] : []) +
        (settings.archive ? ['JENKINS_PROXY_SUMMARY=' + files.summary] : [])
}

// A deploy is what it is, whatever becomes of the news of it; but who stops the build meanwhile stops it.
void tell(String step, Map settings, Map result) {
    if (!(settings.notify instanceof Closure)) {
        return
    }
    Closure notify = settings.notify
    try {
        notify([service: settings.service] + result)
    } catch (Throwable failure) {
        if (isInterruption(failure)) {
            throw failure
        }
        echo("${step}: notify failed: ${failure.message ?: failure}")
    }
}

// One entry a service, its last: a build may deploy, scale and roll back the same one. In one go: branches of `parallel`
// end at the same moment, and Jenkins would run them in turns between the look and the write.
@NonCPS
void describe(build, String entry) {
    String service = entry.substring(0, entry.indexOf(':') + 1)
    List entries = []
    for (String other : (build.description ?: '').split('; ')) {
        if (other && !other.startsWith(service)) {
            entries << other
        }
    }
    build.description = (entries + [entry]).join('; ')
}

// Where no report was written, archiveArtifacts would report a configuration error.
void keepReport(Map files, Map settings) {
    if (!settings.archive || !fileExists(files.report)) {
        return
    }
    if (settings.report) {
        archiveArtifacts(artifacts: settings.report, allowEmptyArchive: true)
    }
    // What is archived has to be below the current folder.
    dir(files.folder) {
        archiveArtifacts(artifacts: files.name + '.*', allowEmptyArchive: true)
    }
}

// A jenkins-proxy that did not start or could not answer, in words: only a signal ends it so, or the end of its agent's
// machine. Jenkins would say `script returned exit code 137`, and not of which step. A build that is stopped has its own
// reason.
String howItEnded(Map settings, Exception failure) {
    String ends = 'script returned exit code '
    if (failure.message?.startsWith('Library resource ')) {
        return failure.message + ': a build takes these steps from one library: leave out the others, of which Jenkins ' +
            'may load one implicitly'
    }
    if (!failure.message?.startsWith(ends)) {
        return ''
    }
    String code = failure.message.substring(ends.length())
    Map words = ['137': "was killed (exit code 137) before it could clean up ${settings.service}",
                 '143': "was stopped (exit code 143): its last lines above say what serves of ${settings.service}, and what is left"]
    String how = words[code] ?: "ended with exit code ${code} and without an answer about ${settings.service}"
    return "jenkins-proxy ${how}: run the build again, it takes away what is left and goes on from what serves"
}

// The shell of a test writes no trace: it would show the key in the header.
void shell(Map settings) {
    echo('+ ' + settings.test)
    String script = settings.test.startsWith('#!') ? settings.test : 'set +x\n' + settings.test
    sh(label: titleOf('test', settings), script: script)
}

// key=value lines of jenkins_proxy/cli/jenkins_step/run.py: the sandbox has no JSON parser.
Map answerOf(String lines) {
    Map answer = [exit: '0', problems: [], instances: [], timings: [:]]
    (lines ?: '').split('\n').each { line ->
        int at = line.indexOf('=')
        String key = at < 0 ? '' : line.substring(0, at)
        String value = line.substring(at + 1)
        if (key == 'problem') {
            answer.problems << value
        } else if (key == 'instances') {
            answer.instances = value.tokenize(',')
        } else if (key.startsWith('candidate.')) {
            String name = key.substring('candidate.'.length())
            answer.candidate = (answer.candidate ?: [:]) + [(name): name == 'instances' ? value.tokenize(',') : value]
        } else if (key.startsWith('timings.')) {
            answer.timings[key.substring('timings.'.length())] = value.toDouble()
        } else if (key) {
            answer[key] = value
        }
    }
    return answer
}
