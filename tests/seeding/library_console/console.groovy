// Runs scripts for Jenkins' script console, each on the same libraries, and shows what they print and leave.
// What is in a file beside it, 01-0.other of 01-0.groovy, runs at the same moment.
// groovy -cp <this folder> console.groovy <folder with the scripts>: results as JSON on stdout.
import groovy.json.JsonOutput
import jenkins.plugins.git.GitSCMSource
import org.jenkinsci.plugins.workflow.libs.GlobalLibraries
import org.jenkinsci.plugins.workflow.libs.LibraryConfiguration
import org.jenkinsci.plugins.workflow.libs.SCMSourceRetriever

class GitHubSCMSource {
    String remote = 'https://github.com/o/r.git'
}

class LegacySCM {
    List userRemoteConfigs = [[url: 'https://bot:s3cret@git/old.git', credentialsId: 'reg']]
}

class SCMRetriever {
    Object scm = new LegacySCM()
}

List before() {
    GitSCMSource source = new GitSCMSource('https://bot:s3cret@git/x.git')
    source.with { id = 'the-id'; credentialsId = 'reg'; traits = ['branches', 'tags'] }
    SCMSourceRetriever retriever = new SCMSourceRetriever(source)
    retriever.with { libraryPath = 'sub/'; setClone(true) }
    LibraryConfiguration ours = new LibraryConfiguration('ours', retriever)
    ours.with {
        defaultVersion = '0.9.0'; implicit = true; allowVersionOverride = false; includeInChangesets = false
        cachingConfiguration = '60 minutes'
    }
    return [new LibraryConfiguration('first', null), ours, new LibraryConfiguration('last', null),
            new LibraryConfiguration('hub', new SCMSourceRetriever(new GitHubSCMSource())),
            new LibraryConfiguration('legacy', new SCMRetriever())]
}

Map shown(LibraryConfiguration library) {
    def source = library.retriever?.scm
    Map settings = ['defaultVersion', 'implicit', 'allowVersionOverride', 'includeInChangesets', 'cachingConfiguration']
        .collectEntries { [it, library[it]] }
    if (source instanceof GitSCMSource) {
        settings += ['remote', 'id', 'credentialsId', 'traits'].collectEntries { [it, source[it]] } +
            [libraryPath: library.retriever.libraryPath, clone: library.retriever.isClone()]
    }
    return [name: library.name] + settings
}

void evaluate(File file, StringWriter out) {
    new GroovyShell(this.class.classLoader, new Binding(out: new PrintWriter(out, true))).evaluate(file)
}

List scripts = new File(args[0]).listFiles().findAll { it.name.endsWith('.groovy') }
println JsonOutput.toJson(scripts.sort { it.name }.collect { file ->
    GlobalLibraries.get().libraries = before()
    File other = new File(file.path.replace('.groovy', '.other'))
    Thread beside = new Thread({ evaluate(other, new StringWriter()) })
    if (other.exists()) {
        // It has the time to get in between, and is waited for no longer where it may not.
        GlobalLibraries.get().meanwhile = { beside.start(); beside.join(300) }
    }
    StringWriter out = new StringWriter()
    evaluate(file, out)
    beside.join()
    [printed: out.toString(), libraries: GlobalLibraries.get().libraries.collect { shown(it) }]
})
