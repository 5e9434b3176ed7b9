// Runs scripts for Jenkins' script console, each on the same libraries, and shows what they print and leave.
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

println JsonOutput.toJson(new File(args[0]).listFiles().sort { it.name }.collect { file ->
    GlobalLibraries.get().libraries = before()
    StringWriter out = new StringWriter()
    new GroovyShell(this.class.classLoader, new Binding(out: new PrintWriter(out, true))).evaluate(file)
    [printed: out.toString(), libraries: GlobalLibraries.get().libraries.collect { shown(it) }]
})
