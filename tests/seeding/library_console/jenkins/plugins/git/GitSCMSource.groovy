package jenkins.plugins.git

// As in the plugin: the address is given once, all else can be set.
class GitSCMSource {
    private final String remote
    String id
    String credentialsId
    List traits = []

    GitSCMSource(String remote) { this.remote = remote }
    String getRemote() { return remote }
}
