"""What a Jenkins is told by its script console: credentials and libraries of a folder, and to forget them."""

from __future__ import annotations

CREDENTIALS = """
import com.cloudbees.plugins.credentials.*
import com.cloudbees.plugins.credentials.domains.Domain
import com.cloudbees.plugins.credentials.impl.UsernamePasswordCredentialsImpl
import org.jenkinsci.plugins.plaincredentials.impl.*
def store = SystemCredentialsProvider.instance.store
def zip = SecretBytes.fromBytes('{certificates}'.decodeBase64())
def tls = new FileCredentialsImpl(CredentialsScope.GLOBAL, '{name}-tls', '', 'tls.zip', zip)
if (Jenkins.get().pluginManager.getPlugin('docker-commons')) {{
    def kind = 'org.jenkinsci.plugins.docker.commons.credentials.DockerServerCredentials'
    tls = Jenkins.get().pluginManager.uberClassLoader.loadClass(kind).newInstance(CredentialsScope.GLOBAL,
        '{name}-tls', '', hudson.util.Secret.fromString('the key.pem'), 'the cert.pem', 'the ca.pem')
}}
[new StringCredentialsImpl(CredentialsScope.GLOBAL, '{name}', '', hudson.util.Secret.fromString('{secret}')),
 new UsernamePasswordCredentialsImpl(CredentialsScope.GLOBAL, '{name}-login', '', 'deployer', '{secret}-login'),
 tls,
].each {{ store.addCredentials(Domain.global(), it) }}
null
"""


FORGET = """
import com.cloudbees.plugins.credentials.SystemCredentialsProvider
import com.cloudbees.plugins.credentials.domains.Domain
def store = SystemCredentialsProvider.instance.store
def ours = store.getCredentials(Domain.global()).findAll {{ it.id.startsWith('{name}') }}
ours.each {{ store.removeCredentials(Domain.global(), it) }}
def all = org.jenkinsci.plugins.workflow.libs.GlobalLibraries.get()
synchronized (all) {{ all.libraries = all.libraries.findAll {{ it.name != '{name}-trusted' }} }}
null
"""


LIBRARIES = """
import com.cloudbees.hudson.plugins.folder.Folder
import jenkins.plugins.git.GitSCMSource
import org.jenkinsci.plugins.workflow.libs.*
def source = new SCMSourceRetriever(new GitSCMSource('file://{repository}'))
def library = {{ name ->
    def made = new LibraryConfiguration(name, source)
    made.defaultVersion = 'main'
    // It does not change meanwhile: without a cache, each build fetches it anew.
    if (made.hasProperty('cachingConfiguration')) {{
        made.cachingConfiguration = new LibraryCachingConfiguration(60, '')
    }}
    made
}}
def all = GlobalLibraries.get()
// Other workers change them at the same moment.
synchronized (all) {{ all.libraries = all.libraries + library('{name}-trusted') }}
def folder = Jenkins.get().createProject(Folder, '{name}')
folder.properties.replace(new FolderLibraries([library('{name}-sandboxed')]))
folder.save()
"""
