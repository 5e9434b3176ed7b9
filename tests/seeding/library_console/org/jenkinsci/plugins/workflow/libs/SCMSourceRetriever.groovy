package org.jenkinsci.plugins.workflow.libs

class SCMSourceRetriever {
    private final Object scm
    String libraryPath
    boolean clone

    SCMSourceRetriever(Object scm) { this.scm = scm }
    Object getScm() { return scm }
}
