// Deploys with a test in between: the new instances are held back from users, tested, and then promoted or taken away.
// The test may take days and outlive a restart of Jenkins: what is kept meanwhile is texts, lists and maps, and what is
// held stands in the registry.
import groovy.transform.Field

@Field final String KEY = 'JENKINS_PROXY_CANDIDATE_KEY'

/**
 * Holds the candidates, and runs the test where there is one.
 * @param step     name of the calling step, for messages
 * @param checked  options and settings of the call: see jenkinsProxyKeys
 * @param block    the test, which gets a map: id, url, header, instances (host:port), until; null for none
 * @param run      runs a command with options, and returns its answer
 * @return what `promote` answers; without a test what `deploy --hold` does, with that map as candidate
 */
Map call(String step, Map checked, Closure block, Closure run) {
    Map settings = checked.settings
    if (settings.dryRun) {
        return run('deploy', checked.options)
    }
    return withKey(step, settings) { String key ->
        Map held = withEnv([KEY + '=' + key]) { run('deploy', checked.options + [hold: true]) }
        Map candidate = candidateOf(held.candidate, key)
        if (settings.hold) {
            return held + [candidate: candidate]
        }
        try {
            test(candidate, block)
            return run('promote', checked.options)
        } catch (Throwable failure) {
            // An aborted build or a failed assertion, too. Where the promotion has cleaned up itself, nothing is left.
            abort(step, settings) { run('abort', checked.options) }
            throw failure
        }
    }
}

Map candidateOf(Map held, String key) {
    return held.findAll { name, value -> name != 'header_name' } + [header: held.header_name + ': ' + key]
}

void test(Map candidate, Closure block) {
    // Joined with +: Jenkins warns of a GString here that holds a secret.
    withEnv(['JENKINS_PROXY_CANDIDATE_URL=' + candidate.url, 'JENKINS_PROXY_CANDIDATE_HEADER=' + candidate.header]) {
        block(candidate)
    }
}

// The build fails with the words of its test, also when this fails.
void abort(String step, Map settings, Closure command) {
    try {
        command()
    } catch (Exception failure) {
        echo("${step}: the candidates are left: abortProxy service: '${settings.service}' takes them away: ${failure}")
    }
}

// The key is a secret: the console masks it where Jenkins can.
def withKey(String step, Map settings, Closure body) {
    if (settings.candidateKeyCredentialsId) {
        return withCredentials([string(credentialsId: settings.candidateKeyCredentialsId, variable: KEY)]) {
            body(env.JENKINS_PROXY_CANDIDATE_KEY)
        }
    }
    String key = UUID.randomUUID().toString()
    Map seen = [masked: false]
    try {
        return maskPasswords(varPasswordPairs: [[var: KEY, password: key]]) {
            seen.masked = true
            body(key)
        }
    } catch (NoSuchMethodError missing) {
        if (seen.masked) {
            throw missing  // of the caller's own block
        }
    }
    echo(step + ': this console does not mask the key of the candidates: candidateKeyCredentialsId does, ' +
        'or the plugin Mask Passwords')
    return body(key)
}
